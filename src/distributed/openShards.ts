/** Reads checkpoints of many ranks at any layout. How they are written: checkpoint.ts. */
import { check, describe, having, instance, optional, text, whole } from "../autograd/arguments.ts";
import type { DType } from "../autograd/contract.ts";
import { formatShape, sameShape } from "../autograd/contract.ts";
import { concat } from "../autograd/operations.ts";
import { scope } from "../autograd/scope.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Optimizer } from "../nn/optimizer.ts";
import { Module } from "../nn/module.ts";
import { readSafetensors } from "../nn/safetensors.ts";
import { Replicas } from "./replicas.ts";
import { shardFiles } from "./shardFiles.ts";
import { LATEST, OPTIMIZER, aFolder, rowsOf } from "./shardIndex.ts";
import type { Index, Part } from "./shardIndex.ts";

/** A checkpoint that was written by any number of ranks. */
export interface ShardedCheckpoint {
  readonly step: number;
  readonly metadata: Readonly<Record<string, string>>;
  /** Weights and buffers by name, then optimiser state as "optimizer/NAME/KIND"; shapes are those of whole tensors. */
  readonly tensors: ReadonlyMap<string, { readonly dtype: DType; readonly shape: readonly number[] }>;
  /** Rows [from, to) of a tensor; by default all of them. */
  read(name: string, from?: number, to?: number): Tensor;
}

/** Opens the latest checkpoint of a folder. Throws an Error that names the file where something is missing or damaged; `read` too. */
export function openShards(folder: string): ShardedCheckpoint {
  check("openShards", "folder", folder, aFolder);
  const files = shardFiles();
  const place = files.join(folder, textOf(files.join(folder, LATEST)).trim());
  const index = indexIn(files.join(place, "index.json"));
  let open = { file: "", tensors: new Map<string, Tensor>() }; // one file at a time
  const tensorsOf = (file: string): Map<string, Tensor> => {
    if (file === open.file) return open.tensors;
    const path = files.join(place, file);
    const content = contentOf(path);
    open = { file, tensors: undamaged(path, () => readSafetensors(content).tensors) };
    for (const tensor of open.tensors.values()) tensor.persist(); // the reader's scope may end before the file is done with
    return open.tensors;
  };
  return {
    step: index.step,
    metadata: index.metadata,
    tensors: new Map(Object.entries(index.tensors)),
    read: (of, from = 0, to = Infinity) => readRows(index, tensorsOf, of, from, to),
  };
}

function indexIn(path: string): Index {
  const content = textOf(path);
  const index = undamaged(path, () => JSON.parse(content) as Partial<Index> | null);
  if (index?.format !== "1") throw new Error(`openShards: ${path} has format ${describe(index?.format)}: want "1"`);
  if (typeof index.tensors !== "object" || index.tensors === null) throw new Error(`openShards: ${path} is damaged: it lists no tensors`);
  return index as Index;
}

/** What `read` returns; its error names the file. */
function undamaged<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new Error(`openShards: ${path} is damaged: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

const textOf = (path: string): string => new TextDecoder().decode(contentOf(path));

function contentOf(path: string): Uint8Array {
  try {
    return shardFiles().read(path);
  } catch (error) {
    throw new Error(`openShards: ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function readRows(index: Index, tensorsOf: (file: string) => Map<string, Tensor>, name: string, from: number, to: number): Tensor {
  check("openShards", "name", name, text);
  check("openShards", "from", from, whole(0));
  check("openShards", "to", to, {
    ...whole(0),
    wanted: "a whole number of 0 or more, or Infinity",
    accepts: (n) => n === Infinity || whole(0).accepts(n),
  });
  const entry = index.tensors[name];
  if (!entry) throw new RangeError(`openShards: there is no tensor "${name}"`);
  const all = rowsOf(entry);
  const end = Math.min(to, all);
  const parts = entry.parts.toSorted((a, b) => a.from - b.from).filter((part) => part.from < end && part.to > from);
  if (total(parts, from, end) !== end - from) throw new Error(`openShards: "${name}": rows ${from} to ${end} are not all there`);
  const pieces = parts.map(({ file, from: first, to: last }) => {
    const tensor = tensorsOf(file).get(name);
    if (!tensor) throw new Error(`openShards: ${file} holds no "${name}"`);
    return entry.shape.length === 0 ? tensor : tensor.narrow(0, Math.max(from, first) - first, Math.min(end, last) - first);
  });
  return pieces.length === 1 ? pieces[0] : concat(pieces);
}

function total(parts: readonly Part[], from: number, to: number): number {
  return parts.reduce((sum, part) => sum + Math.min(part.to, to) - Math.max(part.from, from), 0);
}

/**
 * Loads a checkpoint into a model at its own layout, and into its optimiser, if given. Each rank reads what it holds. Everything is checked before
 * anything is assigned. Throws for a tensor that is missing, has another shape or dtype, or has no place in the model.
 */
export function restoreShards(
  checkpoint: ShardedCheckpoint,
  model: Module,
  replicas: Replicas,
  optimizer?: Pick<Optimizer, "state" | "load">,
): void {
  check("restoreShards", "checkpoint", checkpoint, having("a checkpoint, such as openShards(folder)", "step", "tensors", "read"));
  check("restoreShards", "model", model, instance(Module, "a Module"));
  check("restoreShards", "replicas", replicas, instance(Replicas, "a Replicas"));
  check("restoreShards", "optimizer", optimizer, optional(having("an optimiser", "state", "load")));
  const experts = new Map(replicas.held.flatMap(({ name, by }) => (by === "experts" ? [[name, replicas.layout.experts] as const] : [])));
  const own = model.state();
  const homeless = [...checkpoint.tensors.keys()].find((name) => !name.startsWith(OPTIMIZER) && !own.has(name));
  if (homeless !== undefined) throw new RangeError(`restoreShards: "${homeless}" of the checkpoint has no place in this model`);
  scope(() => {
    const part = (name: string, of: string, own: Tensor): [string, Tensor] => {
      const group = experts.get(of);
      const rows = rowsOf(own);
      const found = group ? checkpoint.read(name, group.rank * rows, (group.rank + 1) * rows) : checkpoint.read(name);
      const saved = checkpoint.tensors.get(name)?.shape ?? [];
      const wanted = group ? [rows * group.size, ...own.shape.slice(1)] : own.shape;
      if (!sameShape(saved, wanted) || found.dtype !== own.dtype)
        throw new RangeError(
          `restoreShards: "${name}" is ${found.dtype} ${formatShape(saved)} in the checkpoint, ${own.dtype} ${formatShape(wanted)} here`,
        );
      return [of, found];
    };
    const weights = new Map([...own].map(([name, tensor]) => part(name, name, tensor)));
    const state = [...(optimizer?.state().tensors ?? [])].map(([name, own]): [string, Tensor] => {
      const [, found] = part(`${OPTIMIZER}${name}`, name.slice(0, name.lastIndexOf("/")), own);
      return [name, found];
    });
    model.load(weights);
    optimizer?.load({ step: checkpoint.step, tensors: new Map(state) });
  });
}
