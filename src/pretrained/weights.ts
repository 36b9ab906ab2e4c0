/** Finds the tensors of a checkpoint: in one file or in shards with an index, of safetensors or of PyTorch. */
import { describe } from "../autograd/arguments.ts";
import { safetensorsFile } from "./safetensorsFile.ts";
import type { Source } from "./source.ts";
import { isObject, readJson } from "./source.ts";
import type { SourceLike } from "./sourceOf.ts";
import { sourceOf } from "./sourceOf.ts";
import type { StoredTensor } from "./stored.ts";
import { requireNoPointer, torchFile } from "./torchFile.ts";

type Reader = (source: Source, file: string, size: number) => Promise<StoredTensor[]>;

/** In the order in which transformers looks for them. */
const containers: readonly { readonly file: string; readonly read: Reader }[] = [
  { file: "model.safetensors", read: safetensors },
  { file: "pytorch_model.bin", read: torchFile },
];

/** Names of files that may hold weights. */
export const weightFiles = /^(model.*\.safetensors|pytorch_model.*\.bin)(\.index\.json)?$/;

async function safetensors(source: Source, file: string, size: number): Promise<StoredTensor[]> {
  requireNoPointer(file, await source.read(file, 0, Math.min(size, 64)));
  return safetensorsFile(source, file, size);
}

/**
 * The names, dtypes and shapes of a checkpoint's tensors, of any family, without reading their numbers: each has `pieces` for that.
 * Takes `model.safetensors`, its shards, `pytorch_model.bin` or its shards, the first that is there. Throws a RangeError for damage, for an
 * index that names shards or tensors that are not there, and for a pickle that names anything but tensors. The source stays open.
 */
export async function openWeights(given: SourceLike): Promise<Map<string, StoredTensor>> {
  return weightsOf(sourceOf("openWeights", given));
}

export async function weightsOf(source: Source): Promise<Map<string, StoredTensor>> {
  for (const { file, read } of containers) {
    const size = await source.sizeOf(file);
    if (size !== undefined) return named(await read(source, file, size));
    const index = `${file}.index.json`;
    const indexSize = await source.sizeOf(index);
    if (indexSize !== undefined) return sharded(source, index, await readJson(source, index, indexSize), read);
  }
  throw new RangeError(`there are no weights in ${source.where}: want ${wanted()}${await present(source)}`);
}

function wanted(): string {
  return containers.map(({ file }) => `${file} or ${file}.index.json with its shards`).join(", ");
}

/** A list of the files that are there instead, for errors. */
export async function present(source: Source): Promise<string> {
  const names = await source.list();
  if (!names) return "";
  const shown = names.slice(0, 10).join(", ");
  return names.length === 0 ? "; it is empty" : `; it holds ${shown}${names.length > 10 ? ` and ${names.length - 10} more` : ""}`;
}

function named(tensors: readonly StoredTensor[]): Map<string, StoredTensor> {
  const found = new Map<string, StoredTensor>();
  for (const tensor of tensors) {
    const other = found.get(tensor.name);
    if (other) throw new RangeError(`${tensor.file}: holds "${tensor.name}", which ${other.file} holds too`);
    found.set(tensor.name, tensor);
  }
  return found;
}

/** { "weight_map": { tensor: file } } */
async function sharded(source: Source, index: string, json: Record<string, unknown>, read: Reader): Promise<Map<string, StoredTensor>> {
  const map = isObject(json["weight_map"]) ? json["weight_map"] : {};
  const files = new Set<string>();
  for (const [tensor, file] of Object.entries(map)) {
    // An index is data from elsewhere: it may not lead out of its folder.
    if (typeof file !== "string" || !/^[^/\\]+$/.test(file) || file.startsWith("."))
      throw new RangeError(`${index}: says that "${tensor}" lies in ${describe(file)}; want the name of a file beside it`);
    files.add(file);
  }
  if (files.size === 0) throw new RangeError(`${index}: its weight_map names no files`);
  const sizes = new Map<string, number>();
  const absent: string[] = [];
  for (const file of files) {
    const size = await source.sizeOf(file);
    if (size === undefined) absent.push(file);
    else sizes.set(file, size);
  }
  if (absent.length > 0) throw new RangeError(`${index}: ${firstOf(absent)} of its ${files.size} shards are not in ${source.where}`);
  const tensors: StoredTensor[] = [];
  for (const [file, size] of sizes) tensors.push(...(await read(source, file, size)));
  const found = named(tensors);
  const misplaced = Object.entries(map).filter(([name, file]) => found.get(name)?.file !== file);
  if (misplaced.length > 0)
    throw new RangeError(`${index}: ${firstOf(misplaced.map(([name, file]) => `"${name}" is not in ${String(file)}`))}`);
  return found;
}

/** The first ten items, and the number of the others. */
export function firstOf(items: readonly string[], separator = ", "): string {
  const shown = items.slice(0, 10).join(separator);
  return items.length > 10 ? `${shown}${separator}and ${items.length - 10} more` : shown;
}
