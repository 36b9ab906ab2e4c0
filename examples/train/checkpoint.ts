/**
 * Checkpoints as files. One safetensors file holds the weights, what the optimiser remembers, and, in its metadata, everything that is
 * needed to build the model again: a checkpoint generates by itself.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { key } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { readSafetensors, writeSafetensors } from "switchyard-moe/nn";
import type { DecoderLanguageModel, OptimizerState } from "switchyard-moe/nn";
import type { ModelConfig } from "./model.ts";
import { buildModel } from "./model.ts";
import type { TrainingConfig } from "./training.ts";
import { UserError, reason } from "./userError.ts";

/** Raised when what a file means changes. */
const FORMAT = "1";
const OPTIMIZER = "optimizer/";

/** What a run is: saved with it, so that `resume` needs no options. */
export interface RunConfig {
  readonly model: ModelConfig;
  readonly training: TrainingConfig;
  /** How the text is loaded again. */
  readonly text: { readonly languages: string } | { readonly data: string };
  readonly backend: string;
}

export interface Checkpoint {
  readonly config: RunConfig;
  readonly step: number;
  readonly weights: ReadonlyMap<string, Tensor>;
  /** null in a file that is only to be used, not trained on. */
  readonly optimizer: OptimizerState | null;
  /** Bits per byte on the held-out text, where it was measured. */
  readonly bits: number | null;
}

/** Writes a file that is either the old one or the new one, never half of it. */
export async function saveCheckpoint(path: string, { config, step, weights, optimizer, bits }: Checkpoint): Promise<void> {
  const remembered = [...(optimizer?.tensors ?? [])].map(([name, tensor]): [string, Tensor] => [`${OPTIMIZER}${name}`, tensor]);
  const metadata = { format: FORMAT, config: JSON.stringify(config), step: String(step), ...(bits === null ? {} : { bits: String(bits) }) };
  writeAtomically(path, await writeSafetensors(new Map([...weights, ...remembered]), metadata));
}

/** All of it or nothing, folders included. Throws a UserError where there is no room or no permission. */
export function writeAtomically(path: string, bytes: Uint8Array | string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  attempt(path, "cannot be written", () => {
    mkdirSync(dirname(path), { recursive: true });
    try {
      writeWhole(temporary, typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  });
}

function writeWhole(path: string, bytes: Uint8Array): void {
  const file = openSync(path, "w");
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Reads and checks a file. Throws a UserError, in one line, for what is missing, damaged or not ours. */
export function loadCheckpoint(path: string): Checkpoint {
  const bytes = attempt(path, "cannot be read", () => readFileSync(path));
  const { tensors, metadata } = attempt(path, "is damaged or no checkpoint", () => readSafetensors(bytes));
  if (metadata["format"] !== FORMAT || metadata["config"] === undefined)
    throw new UserError(`${path} is no checkpoint of this program: format "${metadata["format"] ?? "none"}", wanted "${FORMAT}"`);
  const config = attempt(path, "has a damaged configuration", () => JSON.parse(metadata["config"]) as RunConfig);
  const step = Number(metadata["step"]);
  const weights = new Map([...tensors].filter(([name]) => !name.startsWith(OPTIMIZER)));
  const remembered = [...tensors]
    .filter(([name]) => name.startsWith(OPTIMIZER))
    .map(([name, tensor]): [string, Tensor] => [name.slice(OPTIMIZER.length), tensor]);
  const optimizer = remembered.length > 0 ? { step, tensors: new Map(remembered) } : null;
  return { config, step, weights, optimizer, bits: metadata["bits"] === undefined ? null : Number(metadata["bits"]) };
}

/** The model of a checkpoint, with its weights. Where they do not fit, a UserError. */
export function restoreModel(path: string, { config, weights }: Checkpoint): DecoderLanguageModel {
  return attempt(path, "does not fit its own configuration", () => {
    const model = buildModel(config.model, key(config.training.seed).at("init"));
    model.load(weights);
    return model;
  });
}

/** What `read` answers; where it fails, a UserError that says what of the path. */
export function attempt<T>(path: string, what: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UserError(`${path} ${what}: ${reason(error)}`);
  }
}
