/**
 * Reads zip files in pieces: the directory at the end, then single entries, stored or deflated, with their checksums; also Zip64, for files beyond
 * 4 GiB. Format: PKWARE's APPNOTE.TXT, sections 4.3 to 4.5.
 */
import { crc32 } from "./crc32.ts";
import type { Source } from "./source.ts";
import { messageOf } from "./source.ts";

export interface ZipEntry {
  readonly name: string;
  /** Bytes of its contents. */
  readonly size: number;
  readonly deflated: boolean;
  readonly packedSize: number;
  readonly crc: number;
  /** Where its local header begins. */
  readonly header: number;
}

const END = 0x06054b50;
const END_BYTES = 22;
const LOCATOR_64 = 0x07064b50;
const LOCATOR_BYTES = 20;
const END_64 = 0x06064b50;
const END_64_BYTES = 56;
const CENTRAL = 0x02014b50;
const CENTRAL_BYTES = 46;
const LOCAL = 0x04034b50;
const LOCAL_BYTES = 30;

const LONGEST_COMMENT = 0xffff;
const LARGEST_DIRECTORY = 256 * 2 ** 20;
/** A file that unpacks to more than this many times its size is refused as a zip bomb: weights hardly compress at all. */
const LARGEST_RATIO = 100;
/** The most bytes that are read at once. */
export const PIECE = 8 * 2 ** 20;

/** An opened zip file. Everything that its directory claims has been checked against the file's length. */
export class Zip {
  readonly #source: Source;
  readonly #file: string;
  readonly entries: ReadonlyMap<string, ZipEntry>;
  /** Entries whose checksum was found right. */
  readonly #verified = new Set<string>();

  private constructor(source: Source, file: string, entries: ReadonlyMap<string, ZipEntry>) {
    this.#source = source;
    this.#file = file;
    this.entries = entries;
  }

  static async open(source: Source, file: string, size: number): Promise<Zip> {
    const directory = await findDirectory(source, file, size);
    if (directory.bytes > LARGEST_DIRECTORY)
      fail(file, `its directory takes ${directory.bytes} bytes; at most ${LARGEST_DIRECTORY} are read`);
    const entries = parseDirectory(file, await source.read(file, directory.begin, directory.begin + directory.bytes), directory.entries);
    checkPlaces(file, entries, directory.begin);
    checkBomb(file, entries, size);
    return new Zip(source, file, new Map(entries.map((entry) => [entry.name, entry])));
  }

  /** All of a short entry. */
  async readWhole(entry: ZipEntry, limit: number): Promise<Uint8Array> {
    if (entry.size > limit) fail(this.#file, `its entry "${entry.name}" takes ${entry.size} bytes; at most ${limit} are read`);
    const bytes = new Uint8Array(entry.size);
    for await (const { at, bytes: piece } of this.pieces(entry, 0, entry.size)) bytes.set(piece, at);
    return bytes;
  }

  /**
   * The bytes of an entry from `begin` to `end`, piece by piece; `at` counts from `begin`. The first time, the generator reads all of the entry and
   * compares its checksum before it ends.
   */
  async *pieces(entry: ZipEntry, begin: number, end: number): AsyncGenerator<{ readonly at: number; readonly bytes: Uint8Array }> {
    const verified = this.#verified.has(entry.name);
    const stored = verified && !entry.deflated;
    let at = stored ? begin : 0;
    let crc = 0;
    for await (const bytes of this.#unpacked(entry, stored ? [begin, end] : [0, entry.packedSize])) {
      if (at + bytes.length > entry.size)
        fail(this.#file, `its entry "${entry.name}" unpacks to more than the ${entry.size} bytes it claims`);
      if (!verified) crc = crc32(bytes, crc);
      const [from, to] = [Math.max(begin, at), Math.min(end, at + bytes.length)];
      if (from < to) yield { at: from - begin, bytes: bytes.subarray(from - at, to - at) };
      at += bytes.length;
    }
    if (!stored && at !== entry.size) fail(this.#file, `its entry "${entry.name}" unpacks to ${at} of the ${entry.size} bytes it claims`);
    if (!verified && crc !== entry.crc)
      fail(this.#file, `its entry "${entry.name}" is damaged: its checksum is ${hex(crc)}, ${hex(entry.crc)} was written`);
    this.#verified.add(entry.name);
  }

  async *#unpacked(entry: ZipEntry, [begin, end]: readonly [number, number]): AsyncGenerator<Uint8Array> {
    const start = await this.#startOf(entry);
    const packed = packedPieces(this.#source, this.#file, start + begin, start + end);
    if (!entry.deflated) return yield* packed;
    try {
      yield* inflated(packed);
    } catch (error) {
      if (error instanceof RangeError) throw error;
      fail(this.#file, `its entry "${entry.name}" is damaged: ${messageOf(error)}`);
    }
  }

  /** Where the contents of an entry begin: the local header has a length of its own. */
  async #startOf({ name, header, packedSize }: ZipEntry): Promise<number> {
    const bytes = view(await this.#source.read(this.#file, header, header + LOCAL_BYTES));
    if (bytes.getUint32(0, true) !== LOCAL) fail(this.#file, `its entry "${name}" is damaged: no header at byte ${header}`);
    const start = header + LOCAL_BYTES + bytes.getUint16(26, true) + bytes.getUint16(28, true);
    const size = (await this.#source.sizeOf(this.#file)) ?? 0;
    if (start + packedSize > size)
      fail(this.#file, `its entry "${name}" ends at byte ${start + packedSize}, beyond the file's ${size}: truncated`);
    return start;
  }
}

function fail(file: string, why: string): never {
  throw new RangeError(`${file}: ${why}`);
}

const hex = (crc: number): string => crc.toString(16).padStart(8, "0");

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

async function* packedPieces(source: Source, file: string, begin: number, end: number): AsyncGenerator<Uint8Array> {
  for (let at = begin; at < end; at += PIECE) yield await source.read(file, at, Math.min(end, at + PIECE));
}

/** A raw deflate stream; it throws for damage, for a missing end, and for bytes behind the end. */
async function* inflated(packed: AsyncGenerator<Uint8Array>): AsyncGenerator<Uint8Array> {
  const stream = new DecompressionStream("deflate-raw");
  const writer = stream.writable.getWriter();
  let broken: unknown;
  const writing = (async () => {
    for await (const bytes of packed) await writer.write(new Uint8Array(bytes));
    await writer.close();
  })().catch((error: unknown) => {
    broken = error;
    return writer.abort(error).catch(() => {});
  });
  const reader = stream.readable.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value as Uint8Array;
    await writing;
  } catch (error) {
    throw broken ?? error;
  } finally {
    await reader.cancel().catch(() => {});
    await writing;
  }
  if (broken !== undefined) throw broken;
}

interface Directory {
  readonly begin: number;
  readonly bytes: number;
  readonly entries: number;
}

async function findDirectory(source: Source, file: string, size: number): Promise<Directory> {
  const from = Math.max(0, size - END_BYTES - LONGEST_COMMENT - LOCATOR_BYTES);
  const bytes = view(await source.read(file, from, size));
  for (let at = bytes.byteLength - END_BYTES; at >= 0; at--) {
    if (bytes.getUint32(at, true) !== END || bytes.getUint16(at + 20, true) !== bytes.byteLength - at - END_BYTES) continue;
    const short = { entries: bytes.getUint16(at + 10, true), bytes: bytes.getUint32(at + 12, true), begin: bytes.getUint32(at + 16, true) };
    const locator = at - LOCATOR_BYTES;
    const long = locator >= 0 && bytes.getUint32(locator, true) === LOCATOR_64;
    const found = long ? await directory64(source, file, big(file, bytes, locator + 8), size) : short;
    if (found.begin + found.bytes > from + at)
      fail(file, `its directory of ${found.bytes} bytes at ${found.begin} runs into its end: damaged`);
    return found;
  }
  return fail(file, "is no zip file, or truncated: it has no end record");
}

async function directory64(source: Source, file: string, at: number, size: number): Promise<Directory> {
  if (at + END_64_BYTES > size) fail(file, `its zip64 end record at ${at} lies beyond the file's ${size} bytes: damaged`);
  const bytes = view(await source.read(file, at, at + END_64_BYTES));
  if (bytes.getUint32(0, true) !== END_64) fail(file, `has no zip64 end record at byte ${at}: damaged`);
  return { entries: big(file, bytes, 32), bytes: big(file, bytes, 40), begin: big(file, bytes, 48) };
}

/** Eight bytes as a number. Throws above 2^53, which no file needs. */
function big(file: string, bytes: DataView, at: number): number {
  const value = Number(bytes.getBigUint64(at, true));
  if (!Number.isSafeInteger(value)) fail(file, `claims ${value} bytes: damaged`);
  return value;
}

function parseDirectory(file: string, directory: Uint8Array, count: number): ZipEntry[] {
  const bytes = view(directory);
  const entries = new Map<string, ZipEntry>();
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + CENTRAL_BYTES > directory.length || bytes.getUint32(at, true) !== CENTRAL)
      fail(file, `its directory holds ${i} of the ${count} entries it claims: damaged`);
    const next = at + CENTRAL_BYTES + bytes.getUint16(at + 28, true) + bytes.getUint16(at + 30, true) + bytes.getUint16(at + 32, true);
    if (next > directory.length) fail(file, `entry ${i} of its directory runs over its end: damaged`);
    const entry = entryAt(file, directory, at);
    if (entries.has(entry.name)) fail(file, `holds "${entry.name}" twice`);
    entries.set(entry.name, entry);
    at = next;
  }
  return [...entries.values()];
}

function entryAt(file: string, directory: Uint8Array, at: number): ZipEntry {
  const bytes = view(directory);
  const nameEnd = at + CENTRAL_BYTES + bytes.getUint16(at + 28, true);
  const name = new TextDecoder().decode(directory.subarray(at + CENTRAL_BYTES, nameEnd));
  const [flags, method] = [bytes.getUint16(at + 8, true), bytes.getUint16(at + 10, true)];
  if (flags & 1) fail(file, `its entry "${name}" is encrypted`);
  if (method !== 0 && method !== 8) fail(file, `its entry "${name}" is packed by method ${method}; known are 0 (stored) and 8 (deflated)`);
  const extra = extra64(bytes, nameEnd, nameEnd + bytes.getUint16(at + 30, true));
  const long = (short: number): number => {
    if (short !== 0xffffffff) return short;
    const place = extra.shift();
    return place === undefined ? fail(file, `its entry "${name}" lacks its zip64 sizes: damaged`) : big(file, bytes, place);
  };
  const size = long(bytes.getUint32(at + 24, true));
  const packedSize = long(bytes.getUint32(at + 20, true));
  const header = long(bytes.getUint32(at + 42, true));
  if (method === 0 && size !== packedSize) fail(file, `its stored entry "${name}" has two sizes, ${size} and ${packedSize}: damaged`);
  return { name, size, packedSize, deflated: method === 8, crc: bytes.getUint32(at + 16, true), header };
}

/** Where the eight-byte values of the zip64 extra field lie, in their order: size, packed size, header. */
function extra64(bytes: DataView, begin: number, end: number): number[] {
  for (let at = begin; at + 4 <= end;) {
    const length = bytes.getUint16(at + 2, true);
    if (bytes.getUint16(at, true) === 1)
      return Array.from({ length: Math.min(3, Math.floor(Math.min(length, end - at - 4) / 8)) }, (_, i) => at + 4 + 8 * i);
    at += 4 + length;
  }
  return [];
}

/** Throws unless the entries lie one after the other before the directory. */
function checkPlaces(file: string, entries: readonly ZipEntry[], directory: number): void {
  const sorted = entries.toSorted((a, b) => a.header - b.header);
  for (const [i, { name, header, packedSize }] of sorted.entries()) {
    const end = header + LOCAL_BYTES + packedSize;
    const limit = sorted[i + 1]?.header ?? directory;
    if (end > limit) fail(file, `its entry "${name}" ends at byte ${end} or later, inside of what begins at ${limit}: damaged`);
  }
}

function checkBomb(file: string, entries: readonly ZipEntry[], size: number): void {
  const unpacked = entries.reduce((sum, entry) => sum + entry.size, 0);
  if (unpacked > LARGEST_RATIO * size)
    fail(file, `would unpack from ${size} to ${unpacked} bytes: more than ${LARGEST_RATIO} times its size is refused (a zip bomb)`);
}
