/**
 * Checkpoints of many ranks: each writes what it holds. A folder holds one sub-folder per save, "save-000007", with a safetensors file of
 * each rank and index.json, and a file `latest` that names the sub-folder that counts.
 *
 * Saving has two phases: all ranks write their files; when all have, rank 0 writes the index and names the new sub-folder in `latest`, by a
 * rename. Killed at any moment, the folder holds the old checkpoint or the new one, whole. A file of the index says where each row of each
 * tensor is, so a checkpoint is read at any other layout, and in one process.
 */
import { check, checkOptions, either, having, instance, nothing, optional } from "../autograd/arguments.ts";
import { noGrad } from "../autograd/context.ts";
import type { DType } from "../autograd/contract.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { OptimizerState } from "../nn/optimizer.ts";
import { Module } from "../nn/module.ts";
import { writeSafetensors } from "../nn/safetensors.ts";
import { allGatherRows } from "./collectives.ts";
import { gatherUneven } from "./globalRouting.ts";
import { Replicas } from "./replicas.ts";
import type { Held } from "./replicas.ts";
import { shardFiles } from "./shardFiles.ts";
import { LATEST, OPTIMIZER, aFolder, rowsOf } from "./shardIndex.ts";
import type { Entry, Index, Part } from "./shardIndex.ts";
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
  const files = shardFiles();
  const own = heldHere(save);
  const file = `rank-${String(world.rank).padStart(4, "0")}.safetensors`;
  const name = nextName(folder, world.rank === 0);
  const shared = world.broadcast(new TextEncoder().encode(name));
  const place = files.join(folder, new TextDecoder().decode(shared));
  await together(save, async () => {
    files.makeFolder(place);
    files.write(files.join(place, file), await writeSafetensors(new Map(own.map(({ name: of, tensor }) => [of, tensor]))));
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
    files.write(files.join(place, "index.json"), JSON.stringify(indexOf(lists.flat(), save)));
    files.write(files.join(folder, `${LATEST}.new`), name);
    files.rename(files.join(folder, `${LATEST}.new`), files.join(folder, LATEST));
    for (const old of savesIn(folder)) if (old !== name) files.remove(files.join(folder, old));
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

/** Names are of one length, so that they can be broadcast. */
function nextName(folder: string, decides: boolean): string {
  const last = decides ? savesIn(folder).map((name) => Number(name.slice(5))) : [];
  return `save-${String(Math.max(0, ...last) + 1).padStart(6, "0")}`;
}

function savesIn(folder: string): string[] {
  return shardFiles()
    .list(folder)
    .filter((name) => /^save-\d{6}$/.test(name));
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
