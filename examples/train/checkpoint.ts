/**
 * Checkpoints as files. One safetensors file holds the weights, what the optimiser remembers, and, in its metadata, everything that is
 * needed to build the model again: a checkpoint generates by itself.
 */
import { closeSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { noGrad, scope, stack, zeros } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { openShards, saveShards } from "switchyard-moe/distributed";
import type { ShardedCheckpoint } from "switchyard-moe/distributed";
import { readSafetensors, writeSafetensors } from "switchyard-moe/nn";
import type { Module, OptimizerState } from "switchyard-moe/nn";
import { attempt, writeAtomically } from "./files.ts";
import type { ModelConfig } from "./modelOptions.ts";
import type { Processes } from "./processes.ts";
import type { Sharing } from "./processOptions.ts";
import type { TrainingConfig } from "./training.ts";
import { UserError } from "./userError.ts";

/** Raised when what a file means changes. */
const FORMAT = "2";
const OPTIMIZER = "optimizer/";

/** How a text is loaded again. */
export type TextSource = { readonly languages: string } | { readonly data: string };

/** What a run learns. */
export type Goal =
  | { readonly kind: "text"; readonly text: TextSource }
  | {
      readonly kind: "finetune";
      readonly task: "phonemes" | "languages" | "pairs";
      /** The sentences whose language is named, or the user's own pairs. */
      readonly text: TextSource;
      /** Pairs that are learned from; 0: all. */
      readonly examples: number;
      /** The run whose weights it begins with. */
      readonly from: string;
    }
  | {
      readonly kind: "distil";
      readonly text: TextSource;
      /** The run whose best model teaches. */
      readonly from: string;
      /** Weights of the labels and of the teacher's probabilities. */
      readonly hard: number;
      readonly soft: number;
      /** Whether the student begins with the teacher's weights where they fit. */
      readonly copy: boolean;
    };

/** What a run is: saved with it, so that `resume` needs no options. */
export interface RunConfig {
  readonly model: ModelConfig;
  readonly training: RunTraining;
  readonly goal: Goal;
  readonly backend: { readonly name: string; readonly description: string };
  /** Absent: the run is not shared. */
  readonly sharing?: Sharing;
}

export interface RunTraining extends TrainingConfig {
  /** Steps between validations, checkpoints and lines of metrics. */
  readonly every: number;
  /** Stop after this time; 0: only the steps count. */
  readonly seconds: number;
}

export interface Checkpoint {
  readonly config: RunConfig;
  readonly step: number;
  readonly weights: ReadonlyMap<string, Tensor>;
  /** null in a file that is only to be used, not trained on. */
  readonly optimizer: OptimizerState | null;
  /** On the held-out text, where it was measured. */
  readonly bits: number | null;
  /** SHA-256 of what it learns from. */
  readonly fingerprint: string;
}

/** Writes a file that is either the old one or the new one, never half of it. */
export async function saveCheckpoint(path: string, checkpoint: Checkpoint): Promise<void> {
  const { weights, optimizer } = checkpoint;
  const remembered = [...(optimizer?.tensors ?? [])].map(([name, tensor]): [string, Tensor] => [`${OPTIMIZER}${name}`, tensor]);
  writeAtomically(path, await writeSafetensors(new Map([...weights, ...remembered]), metadataOf(checkpoint)));
}

/** The same in a folder, to which each process writes what it holds. All of them call it. */
export async function saveSharded(folder: string, checkpoint: Checkpoint, model: Module, { replicas }: Processes): Promise<void> {
  const { optimizer } = checkpoint;
  await saveShards(folder, { model, replicas, optimizer, metadata: metadataOf(checkpoint) });
}

function metadataOf({ config, step, bits, fingerprint }: Checkpoint): Record<string, string> {
  return {
    format: FORMAT,
    config: JSON.stringify(config),
    step: String(step),
    fingerprint,
    ...(bits === null ? {} : { bits: String(bits) }),
  };
}

/** Names of the tensors that hold a NaN or an infinity. */
export async function notFinite(tensors: ReadonlyMap<string, Tensor>): Promise<string[]> {
  // A number times 0 is 0 unless it is not finite; one read for all.
  const sums = scope(() => noGrad(() => stack([...tensors.values()].map(sumOfZeros))));
  const values = await sums.data();
  return [...tensors.keys()].filter((_, i) => values[i] !== 0);
}

function sumOfZeros(tensor: Tensor): Tensor {
  return tensor.dtype === "int32" ? zeros([]) : tensor.cast("float32").mul(0).sum();
}

/** Reads and checks a file, or a folder of shards. Throws a UserError, in one line, for what is missing, damaged or not ours. */
export function loadCheckpoint(path: string): Checkpoint {
  const { source, ...rest } = openCheckpoint(path);
  const names = [...source.tensors.keys()];
  const read = (name: string): Tensor => attempt(path, "is damaged or no checkpoint", () => source.read(name));
  const weights = new Map(names.filter((name) => !name.startsWith(OPTIMIZER)).map((name) => [name, read(name)]));
  const remembered = names
    .filter((name) => name.startsWith(OPTIMIZER))
    .map((name): [string, Tensor] => [name.slice(OPTIMIZER.length), read(name)]);
  const optimizer = remembered.length > 0 ? { step: rest.step, tensors: new Map(remembered) } : null;
  return { ...rest, weights, optimizer };
}

/** A checkpoint whose tensors are read when they are asked for: a process that holds a part of them reads that part. */
export interface OpenCheckpoint extends Omit<Checkpoint, "weights" | "optimizer"> {
  readonly source: ShardedCheckpoint;
}

export function openCheckpoint(path: string): OpenCheckpoint {
  const source = isFolder(path) ? attempt(path, "is damaged or no checkpoint", () => openShards(path)) : fileSource(path);
  const { metadata } = source;
  return { source, ...checkedMetadata(path, metadata), fingerprint: metadata["fingerprint"] ?? "" };
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function fileSource(path: string): ShardedCheckpoint {
  const bytes = attempt(path, "cannot be read", () => readFileSync(path));
  const { tensors, metadata } = attempt(path, "is damaged or no checkpoint", () => readSafetensors(bytes));
  return {
    step: Number(metadata["step"]),
    metadata,
    tensors,
    read(name, from = 0, to = Infinity) {
      const tensor = tensors.get(name);
      if (!tensor) throw new UserError(`${path} holds no "${name}"`);
      const rows = tensor.shape[0] ?? 1;
      return from === 0 && to >= rows ? tensor : tensor.narrow(0, from, Math.min(to, rows));
    },
  };
}

function checkedMetadata(path: string, metadata: Readonly<Record<string, string>>) {
  if (metadata["format"] !== FORMAT || metadata["config"] === undefined)
    throw new UserError(`${path} is no checkpoint of this program: format "${metadata["format"] ?? "none"}", wanted "${FORMAT}"`);
  const config = attempt(path, "has a damaged configuration", () => JSON.parse(metadata["config"], withInfinity) as RunConfig);
  const bits = metadata["bits"] === undefined ? null : Number(metadata["bits"]);
  return { config, bits, step: Number(metadata["step"]) };
}

/** JSON writes an infinite capacity factor ("none": nothing is dropped) as null. */
function withInfinity(name: string, value: unknown): unknown {
  return name === "capacityFactor" && value === null ? Infinity : value;
}

/** The configuration only. It makes no tensors, as the configuration says on which backend to make them. */
export function configOfCheckpoint(path: string): RunConfig {
  if (isFolder(path)) return openCheckpoint(path).config;
  const header = attempt(path, "is damaged or no checkpoint", () => JSON.parse(headerOf(path)) as Header);
  return checkedMetadata(path, header.__metadata__ ?? {}).config;
}

interface Header {
  readonly __metadata__?: Readonly<Record<string, string>>;
}

/** The JSON before the numbers of a safetensors file; its first eight bytes are its length. */
function headerOf(path: string): string {
  const file = attempt(path, "cannot be read", () => openSync(path, "r"));
  try {
    const size = Buffer.alloc(8);
    readSync(file, size, 0, 8, 0);
    const text = Buffer.alloc(Math.min(Number(size.readBigUInt64LE()), MOST_HEADER));
    readSync(file, text, 0, text.length, 8);
    return text.toString("utf8");
  } finally {
    closeSync(file);
  }
}

/** A longer header is taken for damage. */
const MOST_HEADER = 2 ** 26;

export const FOREIGN = "does not fit its own configuration";

/** A model with the weights of a checkpoint. Where they do not fit, a UserError. */
export function restoreModel<M extends Module>(path: string, { weights }: Checkpoint, build: () => M): M {
  return attempt(path, FOREIGN, () => {
    const model = build();
    model.load(weights);
    return model;
  });
}
