/** Writes text with a trained model, character by character as it comes. */
import { key } from "switchyard-moe";
import type { Key } from "switchyard-moe";
import { generate } from "switchyard-moe/nn";
import type { DecoderLanguageModel, SampleOptions } from "switchyard-moe/nn";
import type { Checkpoint } from "./checkpoint.ts";
import { loadCheckpoint, restoreModel } from "./checkpoint.ts";
import { keptFile } from "./folders.ts";
import { buildModel } from "./model.ts";
import type { GenerateOptions } from "./options.ts";
import { canGenerate, caution } from "./routers.ts";
import { UserError } from "./userError.ts";
import { Utf8Stream } from "./utf8.ts";

export async function generateText({ from, prompt, bytes, temperature, topK, topP, seed }: GenerateOptions): Promise<void> {
  const { model, checkpoint } = openModel(from);
  if (!canGenerate(model)) throw new UserError(`--from ${from}: ${caution(model) ?? "its routers cannot write text"}`);
  const { length } = checkpoint.config.model;
  process.stdout.write(prompt);
  const options = { bytes, length, random: key(seed).at("generate"), temperature, topP, ...(topK > 0 ? { topK } : {}) };
  for await (const text of streamText(model, prompt, options)) process.stdout.write(text);
  process.stdout.write("\n");
}

/** A checkpoint and its model. Of a folder it is the best model, or the last one where none was validated. */
export function openModel(from: string): { model: DecoderLanguageModel; checkpoint: Checkpoint } {
  const path = keptFile(from);
  const checkpoint = loadCheckpoint(path);
  if (checkpoint.config.model.architecture !== "decoder") throw new UserError(`--from ${from}: it holds an encoder-decoder; use fill`);
  return { model: restoreModel(path, checkpoint, () => buildModel(checkpoint.config.model, key(0))), checkpoint };
}

export interface StreamOptions extends SampleOptions {
  readonly bytes: number;
  /** Bytes that the model was trained to see at once. */
  readonly length: number;
  readonly random: Key;
}

/** Whole characters only: bytes of one that is not finished are held back. */
export async function* streamText(
  model: DecoderLanguageModel,
  prompt: string,
  { bytes, length, ...rest }: StreamOptions,
): AsyncGenerator<string> {
  const stream = new Utf8Stream();
  for await (const byte of generate(model, [...new TextEncoder().encode(prompt)], { ...rest, tokens: bytes, context: length }))
    yield stream.push([byte]);
  yield stream.end();
}
