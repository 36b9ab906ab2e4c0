/** Writes models as published ones are written: safetensors in shards, with Hugging Face's names, and config.json. */
import type { Kinds } from "../autograd/arguments.ts";
import { check, checkOptions, finite, flag, optional, text } from "../autograd/arguments.ts";
import { sizeOf } from "../autograd/contract.ts";
import { raw } from "../autograd/read.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { EncoderDecoder } from "../nn/encoderDecoder.ts";
import type { DecoderLanguageModel } from "../nn/languageModel.ts";
import { nameOf, widths } from "../nn/safetensors.ts";
import { formatHeader } from "../nn/safetensorsHeader.ts";
import { CONFIG } from "./config.ts";
import { isEncoderDecoder } from "./encoderDecoderConfig.ts";
import type { ModelConfig, TokenIds } from "./familyOf.ts";
import { familyOf, formatOf, tableOf, tokenKinds } from "./familyOf.ts";
import type { Pretrained } from "./load.ts";
import type { Files } from "./nodeFiles.ts";
import { codeOf, nodeFiles } from "./nodeFiles.ts";
import { messageOf } from "./source.ts";
import type { Numbers, Part, Row } from "./table.ts";
import { moveRows } from "./table.ts";
import { weightFiles } from "./weights.ts";

/** Options of `savePretrained`. */
export interface SaveOptions extends TokenIds {
  /** The most bytes of tensors in a file of weights; a larger tensor has a file of its own. Default 5e9, as Hugging Face's. */
  readonly shardBytes?: number;
  /** Whether a checkpoint that is in the folder already is replaced. Default false: it is an error. */
  readonly overwrite?: boolean;
}

const kinds: Kinds<SaveOptions> = {
  shardBytes: optional(finite(1)),
  overwrite: optional(flag),
  ...tokenKinds,
};

/**
 * Writes a model into a folder (in Node), so that `from_pretrained` of transformers and `loadPretrained` open it: model.safetensors, or
 * shards with an index, config.json and generation_config.json. Takes what `loadPretrained` returned, or a model of your own that has a
 * published family (`familyOf` says which). Parameters keep their dtype, and an opened model is written back bit for bit.
 *
 * All files are written to a sub-folder first and then moved, config.json last: a folder in which this was interrupted has no config.json, so it is
 * not taken for a whole checkpoint. Throws a RangeError where the model has no family, where the folder holds a checkpoint already (unless
 * `overwrite`), and where the disk refuses; until all is written, an old checkpoint stays as it was.
 */
export async function savePretrained(
  given: EncoderDecoder | DecoderLanguageModel | Pretrained,
  folder: string,
  options: SaveOptions = {},
): Promise<void> {
  check("savePretrained", "folder", folder, text);
  checkOptions("savePretrained", options, kinds);
  const files = nodeFiles("savePretrained");
  try {
    const { shardBytes = 5e9, overwrite = false, ...ids } = options;
    const { model, config } = "config" in given && "model" in given ? opened(given, ids) : { model: given, config: familyOf(given, ids) };
    const present = await checkpointIn(files, folder);
    if (present.length > 0 && !overwrite)
      throw new RangeError(`${folder} holds ${present.join(", ")} already; give the option overwrite to replace it`);
    await write(files, folder, model.state(), config, shardBytes);
  } catch (error) {
    throw error instanceof RangeError ? new RangeError(`savePretrained: ${error.message}`, { cause: error }) : error;
  }
}

/** A model that `loadPretrained` opened. Throws for ids beside the config that it has. */
function opened(given: Pretrained, ids: TokenIds): Pretrained {
  const [name] = Object.entries(ids).flatMap(([id, value]) => (value === undefined ? [] : [id]));
  if (name) throw new RangeError(`${name} is for models made here: this one was opened, and its config says it`);
  return given;
}

/** Those files of the folder that belong to a checkpoint. */
async function checkpointIn(files: Files, folder: string): Promise<string[]> {
  try {
    const entries = await files.readdir(folder, { withFileTypes: true });
    return entries.map(({ name }) => name).filter((name) => name === CONFIG || name === GENERATION || weightFiles.test(name));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw new RangeError(`${folder} cannot be written: ${codeOf(error) === "ENOTDIR" ? "it is a file" : messageOf(error)}`);
  }
}

const GENERATION = "generation_config.json";

async function write(
  files: Files,
  folder: string,
  state: ReadonlyMap<string, Tensor>,
  config: ModelConfig,
  shardBytes: number,
): Promise<void> {
  const aside = `${folder}/.partial`;
  try {
    await files.rm(aside, { force: true, recursive: true }); // of a process that was killed
    await files.mkdir(aside, { recursive: true });
    const written = await writeWeights(files, aside, state, tableOf(config), shardBytes);
    const dtype = [...state.values()][0]?.dtype ?? "float32";
    await writeJson(files, aside, GENERATION, generationOf(config));
    await writeJson(files, aside, CONFIG, { ...formatOf(config), torch_dtype: dtype });
    await replace(files, folder, aside, [...written, GENERATION, CONFIG]);
  } catch (error) {
    throw error instanceof RangeError ? error : new RangeError(`${folder} cannot be written: ${messageOf(error)}`, { cause: error });
  } finally {
    await files.rm(aside, { force: true, recursive: true });
  }
}

/** config.json is the first to go and the last to come. */
async function replace(files: Files, folder: string, aside: string, names: readonly string[]): Promise<void> {
  const old = await checkpointIn(files, folder);
  for (const name of old.toSorted((a, b) => Number(b === CONFIG) - Number(a === CONFIG)))
    await files.rm(`${folder}/${name}`, { force: true, recursive: false });
  for (const name of names) await files.rename(`${aside}/${name}`, `${folder}/${name}`);
}

function generationOf(config: ModelConfig): Record<string, unknown> {
  if (isEncoderDecoder(config)) return { pad_token_id: config.padId, eos_token_id: config.endId, decoder_start_token_id: config.startId };
  return config.endId === null ? {} : { eos_token_id: config.endId };
}

async function writeJson(files: Files, folder: string, name: string, value: object): Promise<void> {
  await writeFile(files, `${folder}/${name}`, [new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`)]);
}

async function writeFile(files: Files, path: string, pieces: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void> {
  const file = await files.open(path, "w");
  try {
    for await (const piece of pieces)
      for (let at = 0; at < piece.length;) {
        const { bytesWritten } = await file.write(piece.subarray(at, at + LONGEST_WRITE));
        at += bytesWritten;
      }
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Node writes less than 2 GiB at once. */
const LONGEST_WRITE = 2 ** 28;

// Weights

interface Saved {
  readonly name: string;
  readonly part: Part;
  readonly parameter: Tensor;
  readonly bytes: number;
}

/** Writes all tensors of the table; returns the names of the files. */
async function writeWeights(
  files: Files,
  folder: string,
  state: ReadonlyMap<string, Tensor>,
  table: readonly Row[],
  shardBytes: number,
): Promise<string[]> {
  const saved = table.flatMap(({ parameter: path, parts }): Saved[] => {
    const parameter = state.get(path);
    if (!parameter) throw new Error(`savePretrained: the model has no parameter ${path}`);
    return parts.map((part) => ({ name: part.names[0], part, parameter, bytes: sizeOf(part.shape) * widths[nameOf[parameter.dtype]] }));
  });
  const shards = sharded(saved, shardBytes);
  const number = (i: number): string => String(i).padStart(5, "0");
  const names = shards.map((_, i) =>
    shards.length === 1 ? "model.safetensors" : `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`,
  );
  for (const [i, shard] of shards.entries()) await writeFile(files, `${folder}/${names[i]}`, shardPieces(shard));
  if (shards.length === 1) return names;
  const map = Object.fromEntries(shards.flatMap((shard, i) => shard.map(({ name }) => [name, names[i]])));
  const total = saved.reduce((sum, { bytes }) => sum + bytes, 0);
  const index = "model.safetensors.index.json";
  await writeJson(files, folder, index, { metadata: { total_size: total }, weight_map: map });
  return [...names, index];
}

function sharded(saved: readonly Saved[], limit: number): Saved[][] {
  const shards: Saved[][] = [[]];
  let bytes = 0;
  for (const one of saved) {
    const last = shards[shards.length - 1];
    if (last.length > 0 && bytes + one.bytes > limit) {
      shards.push([one]);
      bytes = one.bytes;
    } else {
      last.push(one);
      bytes += one.bytes;
    }
  }
  return shards;
}

/** A file's header, then its tensors one after the other; a parameter is read once for all its parts. */
async function* shardPieces(shard: readonly Saved[]): AsyncGenerator<Uint8Array> {
  const named = shard.map(({ name, part, parameter }) => ({ name, dtype: nameOf[parameter.dtype], shape: part.shape }));
  yield formatHeader(named, { format: "pt" }, widths).header;
  let read: { readonly of: Tensor; readonly values: Numbers } | undefined;
  for (const { part, parameter } of shard) {
    if (read?.of !== parameter) read = { of: parameter, values: await raw(parameter) };
    yield bytesOf(part, read.values);
  }
}

/** The bytes of one tensor of the file, taken from its parameter. */
function bytesOf(part: Part, values: Numbers): Uint8Array {
  const out = values.slice(0, sizeOf(part.shape));
  const width = part.shape[part.shape.length - 1] ?? 1;
  moveRows(part, values, out, 0, out.length / width, "save");
  return new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
}
