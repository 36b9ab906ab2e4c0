/**
 * Checkpoints of many ranks: each writes what it holds. A folder holds one sub-folder per save, "save-000007", with a safetensors file of
 * each rank and index.json, and a file `latest` that names the sub-folder that counts.
 *
 * Saving has two phases: all ranks write their files; when all have, rank 0 writes the index and names the new sub-folder in `latest`, by a
 * rename. Killed at any moment, the folder holds the old checkpoint or the new one, whole. A file of the index says where each row of each
 * tensor is, so a checkpoint is read at any other layout, and in one process.
 */
import type * as files from "node:fs";
import { check, checkOptions, describe, either, having, instance, nothing, optional, text, whole } from "../autograd/arguments.ts";
import type { Kind } from "../autograd/arguments.ts";
import { noGrad } from "../autograd/context.ts";
import type { DType } from "../autograd/contract.ts";
import { formatShape, sameShape } from "../autograd/contract.ts";
import { concat } from "../autograd/operations.ts";
import { scope } from "../autograd/scope.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Optimizer, OptimizerState } from "../nn/optimizer.ts";
import { Module } from "../nn/module.ts";
import { readSafetensors, writeSafetensors } from "../nn/safetensors.ts";
import { allGatherRows } from "./collectives.ts";
import { gatherUneven } from "./globalRouting.ts";
import { Replicas } from "./replicas.ts";
import type { Held } from "./replicas.ts";
import { ownersOf } from "./sharedState.ts";

/** What `saveShards` writes: the model, its replicas, and each rank's share of the optimiser state. */
export interface ShardedSave {
  readonly model: Module;
  readonly replicas: Replicas;
  /** The state of the optimiser; null: none. With `SharedState` each rank gives the state that it keeps. */
  readonly optimizer: OptimizerState | null;
  /** Texts that are saved with the tensors, such as the configuration. */
  readonly metadata?: Readonly<Record<string, string>>;
}

interface Part {
  readonly file: string;
  /** Rows [from, to) of the first axis; a scalar is one row. */
  readonly from: number;
  readonly to: number;
}

interface Entry {
  readonly dtype: DType;
  /** Of the whole tensor. */
  readonly shape: readonly number[];
  readonly parts: readonly Part[];
}

interface Index {
  readonly format: "1";
  readonly step: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: Readonly<Record<string, Entry>>;
}

const LATEST = "latest";
const OPTIMIZER = "optimizer/";

const fs = (): typeof files => process.getBuiltinModule("node:fs");
const join = (...parts: readonly string[]): string => process.getBuiltinModule("node:path").join(...parts);

const aFolder: Kind = { wanted: "the path of a folder", accepts: (value) => typeof value === "string" && value !== "" };

/**
 * Writes a checkpoint. Collective. Where a rank cannot write, all ranks throw an Error that names it, and the checkpoint that was there
 * stays.
 */
export async function saveShards(folder: string, save: ShardedSave): Promise<void> {
  check("saveShards", "folder", folder, aFolder);
  checkOptions<ShardedSave>("saveShards", save, {
    model: instance(Module, "a Module"),
    replicas: instance(Replicas, "a Replicas"),
    optimizer: either(having("the state() of an optimiser", "step", "tensors"), nothing),
    metadata: optional(having("an object of strings")),
  });
  const { world } = save.replicas.layout;
  const own = heldHere(save);
  const file = `rank-${String(world.rank).padStart(4, "0")}.safetensors`;
  const name = nextName(folder, world.rank === 0);
  const shared = world.broadcast(new TextEncoder().encode(name));
  const place = join(folder, new TextDecoder().decode(shared));
  await together(save, async () => {
    fs().mkdirSync(place, { recursive: true });
    writeWhole(join(place, file), await writeSafetensors(new Map(own.map(({ name: of, tensor }) => [of, tensor]))));
  });
  const mine = JSON.stringify(
    own.map(({ name: of, tensor, from, shape }) => ({
      name: of,
      dtype: tensor.dtype,
      shape,
      part: { file, from, to: from + rowsOf(tensor) },
    })),
  );
  const lists = gatherUneven(new TextEncoder().encode(mine), world).map((bytes) => JSON.parse(new TextDecoder().decode(bytes)) as Row[]);
  await together(save, () => {
    if (world.rank > 0) return;
    writeWhole(join(place, "index.json"), JSON.stringify(indexOf(lists.flat(), save)));
    writeWhole(join(folder, `${LATEST}.new`), name);
    fs().renameSync(join(folder, `${LATEST}.new`), join(folder, LATEST));
    for (const old of savesIn(folder)) if (old !== name) fs().rmSync(join(folder, old), { recursive: true, force: true });
  });
}

interface Row {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly part: Part;
}

function indexOf(rows: readonly Row[], { optimizer, metadata = {} }: ShardedSave): Index {
  const tensors: Record<string, Entry> = {};
  for (const { name, dtype, shape, part } of rows) tensors[name] = { dtype, shape, parts: [...(tensors[name]?.parts ?? []), part] };
  return { format: "1", step: optimizer?.step ?? 0, metadata, tensors };
}

/** Runs on all ranks; where it fails on one, all throw. */
async function together({ replicas }: ShardedSave, write: () => Promise<void> | void): Promise<void> {
  const { world } = replicas.layout;
  let fault: unknown;
  try {
    await write();
  } catch (error) {
    fault = error;
  }
  const reason = fault === undefined ? "" : `rank ${world.rank}: ${fault instanceof Error ? fault.message : String(fault)}`;
  const reasons = gatherUneven(new TextEncoder().encode(reason), world).flatMap((bytes) => new TextDecoder().decode(bytes) || []);
  if (reasons.length > 0) throw new Error(`saveShards: ${reasons.join("; ")}; the checkpoint before is whole`, { cause: fault });
}

interface HeldTensor {
  readonly name: string;
  readonly tensor: Tensor;
  /** The first row here among those of the whole. */
  readonly from: number;
  /** Of the whole. */
  readonly shape: readonly number[];
}

/** What this rank writes: each tensor, or each part of it, is written by one rank. */
function heldHere({ model, replicas, optimizer }: ShardedSave): HeldTensor[] {
  const { layout } = replicas;
  const owners = ownersOf(replicas);
  const byName = new Map(replicas.held.map((held) => [held.name, held]));
  const owned = (held: Held): boolean => owners.get(held) === (held.by === "all" ? layout.world : layout.replicas).rank;
  const placed = (name: string, tensor: Tensor, held: Held | undefined): HeldTensor => {
    if (held?.by !== "experts") return { name, tensor, from: 0, shape: tensor.shape };
    const rows = tensor.shape[0];
    return { name, tensor, from: layout.experts.rank * rows, shape: [rows * layout.experts.size, ...tensor.shape.slice(1)] };
  };
  const weights = [...model.state()].flatMap(([name, tensor]) => {
    const held = byName.get(name);
    return (held ? owned(held) : layout.world.rank === 0) ? [placed(name, tensor, held)] : [];
  });
  const state = [...(optimizer?.tensors ?? [])].flatMap(([name, tensor]) => {
    const held = byName.get(name.slice(0, name.lastIndexOf("/")));
    if (!held) throw new RangeError(`saveShards: optimizer: "${name}" is state of no parameter of the model`);
    return owned(held) ? [placed(`${OPTIMIZER}${name}`, tensor, held)] : [];
  });
  return [...weights, ...state];
}

function rowsOf({ shape }: { readonly shape: readonly number[] }): number {
  return shape[0] ?? 1;
}

/** Names are of one length, so that they can be broadcast. */
function nextName(folder: string, decides: boolean): string {
  const last = decides ? savesIn(folder).map((name) => Number(name.slice(5))) : [];
  return `save-${String(Math.max(0, ...last) + 1).padStart(6, "0")}`;
}

function savesIn(folder: string): string[] {
  return fs().existsSync(folder)
    ? fs()
        .readdirSync(folder)
        .filter((name) => /^save-\d{6}$/.test(name))
    : [];
}

function writeWhole(path: string, content: Uint8Array | string): void {
  const file = fs().openSync(path, "w");
  try {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    for (let at = 0; at < bytes.length;) at += fs().writeSync(file, bytes, at);
    fs().fsyncSync(file);
  } finally {
    fs().closeSync(file);
  }
}

// Reading

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
  const name = contentOf(join(folder, LATEST)).toString("utf8").trim();
  const place = join(folder, name);
  const index = indexIn(join(place, "index.json"));
  let open = { file: "", tensors: new Map<string, Tensor>() }; // one file at a time
  const tensorsOf = (file: string): Map<string, Tensor> => {
    if (file === open.file) return open.tensors;
    const path = join(place, file);
    open = { file, tensors: undamaged(path, () => readSafetensors(contentOf(path)).tensors) };
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
  const index = undamaged(path, () => JSON.parse(contentOf(path).toString("utf8")) as Partial<Index> | null);
  if (index?.format !== "1") throw new Error(`openShards: ${path} has format ${describe(index?.format)}: want "1"`);
  if (typeof index.tensors !== "object" || index.tensors === null) throw new Error(`openShards: ${path} is damaged: it lists no tensors`);
  return index as Index;
}

/** What `read` returns; its error names the file. */
function undamaged<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof Error && error.message.startsWith("openShards: ")) throw error;
    throw new Error(`openShards: ${path} is damaged: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function contentOf(path: string): Buffer {
  try {
    return fs().readFileSync(path);
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

/**
 * A state with the experts of all ranks, [E, ...] as one process has them, on every rank: for files that others read. Collective. Throws
 * where `replicas` are none.
 */
export function wholeState(state: ReadonlyMap<string, Tensor>, replicas: Replicas): Map<string, Tensor> {
  check("wholeState", "state", state, instance(Map, "a Map of tensors by name, such as model.state()"));
  check("wholeState", "replicas", replicas, instance(Replicas, "a Replicas"));
  const group = replicas.layout.experts;
  const sharded = replicas.held.flatMap(({ name, by }) => (by === "experts" ? [name] : []));
  const isSharded = (name: string): boolean => sharded.includes(name) || sharded.includes(name.slice(0, name.lastIndexOf("/")));
  return new Map(
    [...state].map(([name, tensor]) => [name, isSharded(name) ? noGrad(() => allGatherRows(tensor.detach(), group)) : tensor]),
  );
}
