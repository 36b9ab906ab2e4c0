/** Constant tensors that depend on sizes only, such as position indices and rotation angles. */
import type { Backend } from "../autograd/contract.ts";
import type { Tensor } from "../autograd/tensor.ts";

/** Keeps constants, one of each name for each device, outside of scopes. */
export class Tables {
  readonly #kept = new WeakMap<Backend, Map<string, Tensor>>();

  /** The constant of that name on that device; `make` makes it the first time. */
  get(backend: Backend, name: string, make: () => Tensor): Tensor {
    let tables = this.#kept.get(backend);
    if (!tables) this.#kept.set(backend, (tables = new Map()));
    let table = tables.get(name);
    if (!table) {
      // Generation needs another size for every token: old ones are let go.
      if (tables.size >= LIMIT) tables.clear();
      tables.set(name, (table = make().persist()));
    }
    return table;
  }
}

const LIMIT = 256;
