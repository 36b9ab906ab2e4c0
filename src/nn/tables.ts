/** Constants that depend on sizes alone: position indices, rotation angles. Made once per device, kept outside of scopes. */
import type { Backend } from "../autograd/contract.ts";
import type { Tensor } from "../autograd/tensor.ts";

export class Tables {
  readonly #kept = new WeakMap<Backend, Map<string, Tensor>>();

  /** The table of that name on that device; `make` is called where there is none yet. */
  get(backend: Backend, name: string, make: () => Tensor): Tensor {
    let tables = this.#kept.get(backend);
    if (!tables) this.#kept.set(backend, (tables = new Map()));
    let table = tables.get(name);
    if (!table) {
      // A generation that grows token by token asks for ever new sizes: the old ones are let go.
      if (tables.size >= LIMIT) tables.clear();
      tables.set(name, (table = make().persist()));
    }
    return table;
  }
}

const LIMIT = 256;
