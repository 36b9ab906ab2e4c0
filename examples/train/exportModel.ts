/** Writes a run's best model as published ones are written: safetensors with Hugging Face's names, and config.json. */
import { basename, dirname, resolve } from "node:path";
import { key } from "switchyard-moe";
import type { DecoderLanguageModel, EncoderDecoder } from "switchyard-moe/nn";
import { familyOf, savePretrained } from "switchyard-moe/pretrained";
import type { TokenIds } from "switchyard-moe/pretrained";
import type { RunConfig } from "./checkpoint.ts";
import { loadCheckpoint, restoreModel } from "./checkpoint.ts";
import { claimFolder, keptFile } from "./folders.ts";
import { buildEncoderDecoder, buildModel } from "./model.ts";
import type { ExportOptions } from "./options.ts";
import { UserError } from "./userError.ts";
import { END, PADDING, sentinels } from "./vocabulary.ts";

export async function exportModel({ from, out }: ExportOptions): Promise<void> {
  const path = keptFile(from);
  const checkpoint = loadCheckpoint(path);
  const { model: config } = checkpoint.config;
  const model = restoreModel(path, checkpoint, () => built(config));
  const ids: TokenIds = config.architecture === "encoder-decoder" ? { padId: PADDING, endId: END } : { context: config.length };
  const { family } = await inOneLine(`--from ${from}`, () => familyOf(model, ids)); // before a folder is made
  const folder = claimFolder(`${basename(dirname(resolve(path)))}-export`, { out });
  await inOneLine("export", () => savePretrained(model, folder, ids));
  console.log(said(folder, family));
}

/** What the library refuses, as a mistake of the person at the keyboard. */
async function inOneLine<T>(what: string, act: () => T | Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw error instanceof RangeError ? new UserError(`${what}: ${error.message}`) : error;
  }
}

function built(config: RunConfig["model"]): EncoderDecoder | DecoderLanguageModel {
  return config.architecture === "encoder-decoder" ? buildEncoderDecoder(config, key(0)) : buildModel(config, key(0));
}

function said(folder: string, family: string): string {
  return [
    `kept in ${folder}: a model of the family ${family}, as model.safetensors, config.json and generation_config.json`,
    `open it with loadPretrained("${folder}"), or with from_pretrained of transformers`,
    `it has no tokeniser: ids 0 to 255 are the bytes of UTF-8, ${PADDING} is padding and what the decoder reads first, ${END} the end,`,
    `and ${sentinels.first} to ${sentinels.first + sentinels.count - 1} stand for the gaps <1> to <${sentinels.count}>`,
  ].join("\n");
}
