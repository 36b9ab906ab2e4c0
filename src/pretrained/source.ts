/** Sources of a checkpoint's files: a folder, the files of a page, an address, or memory. All else reads files through this interface. */
import { check, describe, having, instance } from "../autograd/arguments.ts";

/**
 * Files by name that are read in pieces. `loadPretrained` and `openWeights` take any object with these members, so you can read from a store of
 * your own. Throw an error where a file changes while it is read.
 */
export interface Source {
  /** The path or the address, which errors show. */
  readonly where: string;
  /** The names of the files; undefined where they cannot be listed, as of an address. */
  list(): Promise<readonly string[] | undefined>;
  /** Bytes of a file; undefined where there is no such file. */
  sizeOf(name: string): Promise<number | undefined>;
  /** The bytes from `begin` up to `end`, which lies within the file. */
  read(name: string, begin: number, end: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** The members of a `File`, of a browser or of Node, that are used. */
export interface FileLike {
  readonly name: string;
  readonly size: number;
  slice(begin: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> };
}

const isIterable = (value: unknown): boolean => typeof value === "object" && value !== null && Symbol.iterator in value;
const isFile = having("a File", "name", "size", "slice");

/**
 * A source of files that were chosen on a page (`input.files`, also of a whole folder) or dropped there. Throws where two have the same name, and
 * where one changes on the disk after it was chosen.
 */
export function filesSource(files: Iterable<FileLike>): Source {
  check("filesSource", "files", files, { wanted: "an iterable of Files", accepts: isIterable });
  const byName = new Map<string, FileLike>();
  for (const file of files) {
    if (!isFile.accepts(file)) throw new TypeError(`filesSource: ${describe(file)} among the files: want a File`);
    if (byName.has(file.name)) throw new RangeError(`filesSource: two files are called "${file.name}"`);
    byName.set(file.name, file);
  }
  return {
    where: "the chosen files",
    list: async () => [...byName.keys()],
    sizeOf: async (name) => byName.get(name)?.size,
    read: async (name, begin, end) => {
      const piece = byName.get(name)?.slice(begin, end);
      const bytes = await piece?.arrayBuffer().catch((error: unknown) => {
        throw new RangeError(`${name}: cannot be read, or changed after it was chosen: ${messageOf(error)}`);
      });
      return whole(name, begin, end, new Uint8Array(bytes ?? new ArrayBuffer()));
    },
    close: async () => {},
  };
}

/** A source of files in memory, by name. Throws where `files` is no Map. */
export function memorySource(files: ReadonlyMap<string, Uint8Array>): Source {
  check("memorySource", "files", files, instance(Map, "a Map of bytes by name"));
  return {
    where: "memory",
    list: async () => [...files.keys()],
    sizeOf: async (name) => files.get(name)?.length,
    read: async (name, begin, end) => whole(name, begin, end, files.get(name)?.subarray(begin, end) ?? new Uint8Array()),
    close: async () => {},
  };
}

/** Returns `bytes`. Throws where they are not as many as were asked for. */
export function whole(name: string, begin: number, end: number, bytes: Uint8Array): Uint8Array {
  if (bytes.length !== end - begin)
    throw new RangeError(`${name}: bytes ${begin} to ${end} were asked for, ${bytes.length} came: it is shorter than it was`);
  return bytes;
}

/** All of a small file, as text. Throws where it is longer than `limit` bytes or not UTF-8. */
export async function readText(source: Source, name: string, size: number, limit: number): Promise<string> {
  if (size > limit) throw new RangeError(`${name}: is ${size} bytes long; at most ${limit} are read`);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await source.read(name, 0, size));
  } catch (error) {
    throw error instanceof TypeError ? new RangeError(`${name}: is not UTF-8`) : error;
  }
}

/** A file as JSON: always an object, else an error that names the file. */
export async function readJson(source: Source, name: string, size: number): Promise<Record<string, unknown>> {
  const text = await readText(source, name, size, JSON_LIMIT);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new RangeError(`${name}: is not JSON: ${messageOf(error)}`);
  }
  if (!isObject(value)) throw new RangeError(`${name}: want a JSON object, found ${describe(value)}`);
  return value;
}

/** The index of the largest published checkpoints takes about 10 MB. */
const JSON_LIMIT = 64 * 2 ** 20;

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
