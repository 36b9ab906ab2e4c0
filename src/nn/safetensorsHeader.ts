/**
 * The header of a safetensors file: eight bytes with its length, then JSON that says where each tensor lies in the numbers behind it.
 * Format: https://huggingface.co/docs/safetensors.
 */
import type { Shape } from "../autograd/contract.ts";
import { formatShape, sizeOf } from "../autograd/contract.ts";

/** Texts by name that are stored with the tensors: configuration, version, step. */
export type Metadata = Readonly<Record<string, string>>;

/** One tensor of a file. */
export interface Entry {
  readonly name: string;
  /** As the file calls it: "F32". */
  readonly dtype: string;
  readonly shape: Shape;
  /** In bytes from the start of the numbers. */
  readonly from: number;
  readonly to: number;
}

/** Bytes of an element, by the name of its type in the file. */
export type Widths = Readonly<Record<string, number>>;

/** Bytes before the JSON. */
export const LENGTH_BYTES = 8;

// Reading: everything is checked before the first tensor is made. `where` begins every error.

/** The length of the JSON in bytes, from the first bytes of a file of `fileBytes`. */
export function jsonLength(where: string, first: Uint8Array, fileBytes: number): number {
  if (first.length < LENGTH_BYTES)
    throw new RangeError(`${where}: ${first.length} bytes are too few for a file; its header's length alone takes ${LENGTH_BYTES}`);
  const length = Number(new DataView(first.buffer, first.byteOffset).getBigUint64(0, true));
  const room = fileBytes - LENGTH_BYTES;
  if (length > room)
    throw new RangeError(
      `${where}: the header should be ${length} bytes long, the file holds ${room} after its length: truncated, or not this format`,
    );
  return length;
}

/** The tensors and the metadata that the JSON names; `numbers` bytes follow it. Throws a RangeError for whatever does not fit. */
export function parseHeader(where: string, json: Uint8Array, numbers: number, widths: Widths): { entries: Entry[]; metadata: Metadata } {
  const fail = (why: string): never => {
    throw new RangeError(`${where}: ${why}`);
  };
  const { __metadata__: given, ...rest } = objectOf(textOf(json, fail), fail);
  const metadata = given ?? {}; // null is read as none, as the reference implementation does
  if (!isStrings(metadata)) return fail("__metadata__ is not an object of strings");
  const entries = Object.entries(rest).map(([name, value]) => entryOf(name, value, widths, fail));
  checkCover(entries, numbers, fail);
  return { entries, metadata };
}

type Fail = (why: string) => never;

function textOf(json: Uint8Array, fail: Fail): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(json);
  } catch {
    return fail("the header is not UTF-8");
  }
}

function objectOf(json: string, fail: Fail): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(json);
  } catch (error) {
    fail(`the header is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!isObject(header)) return fail("the header is not a JSON object");
  const seen = new Set<string>();
  for (const name of topLevelNames(json)) {
    if (seen.has(name)) fail(`"${name}" is named twice in the header`);
    seen.add(name);
  }
  return header;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isStrings(value: unknown): value is Metadata {
  return isObject(value) && Object.values(value).every((text) => typeof text === "string");
}

/** The names of a valid JSON object in order, repeated ones too: JSON.parse keeps the last and says nothing. */
function topLevelNames(json: string): string[] {
  const names: string[] = [];
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    const character = json[at];
    if (character === "{" || character === "[") depth++;
    else if (character === "}" || character === "]") depth--;
    else if (character === '"') {
      const end = endOfString(json, at);
      if (depth === 1 && isFollowedByColon(json, end)) names.push(String(JSON.parse(json.slice(at, end))));
      at = end - 1;
    }
  }
  return names;
}

/** The index after the closing quote of the string that opens at `at`. Not a regular expression, which overflows its stack on long strings. */
function endOfString(json: string, at: number): number {
  let quote = json.indexOf('"', at + 1);
  while (isEscaped(json, quote)) quote = json.indexOf('"', quote + 1);
  return quote + 1;
}

/** Whether an odd number of backslashes stands before. */
function isEscaped(json: string, at: number): boolean {
  let backslashes = 0;
  while (json[at - 1 - backslashes] === "\\") backslashes++;
  return backslashes % 2 === 1;
}

function isFollowedByColon(json: string, at: number): boolean {
  let next = at;
  while (" \t\n\r".includes(json[next])) next++;
  return json[next] === ":";
}

function entryOf(name: string, value: unknown, widths: Widths, fail: Fail): Entry {
  const { dtype, shape, data_offsets: offsets } = isObject(value) ? value : {};
  if (typeof dtype !== "string" || !Object.hasOwn(widths, dtype))
    return fail(`"${name}" has dtype ${String(dtype)}; known are ${Object.keys(widths).join(", ")}`);
  if (!isCounts(shape)) return fail(`"${name}" has no shape of whole numbers`);
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) return fail(`"${name}" has no data_offsets [start, end]`);
  const [from, to] = offsets;
  const bytes = sizeOf(shape) * widths[dtype];
  if (to - from !== bytes)
    fail(`"${name}" ${dtype} ${formatShape(shape)} needs ${bytes} bytes, its data_offsets [${from}, ${to}] span ${to - from}`);
  return { name, dtype, shape, from, to };
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

/** The tensors lie side by side and fill the file: no overlap, no hole, nothing beyond the end. */
function checkCover(entries: readonly Entry[], bytes: number, fail: Fail): void {
  let end = 0;
  for (const { name, from, to } of entries.toSorted((a, b) => a.from - b.from || a.to - b.to)) {
    if (from < end) fail(`"${name}" begins at byte ${from}, inside the tensor before it, which ends at ${end}`);
    if (from > end) fail(`bytes ${end} to ${from} before "${name}" belong to no tensor`);
    if (to > bytes) fail(`"${name}" ends at byte ${to}, the file holds ${bytes} bytes of numbers: truncated`);
    end = to;
  }
  if (end !== bytes) fail(`the file holds ${bytes} bytes of numbers, its tensors take ${end}`);
}

// Writing

/**
 * The first bytes of a file with these tensors side by side in this order, up to where the numbers begin (a multiple of 8), and where each
 * lies. Wide elements first keep every tensor aligned to its element size.
 */
export function formatHeader(
  tensors: readonly Pick<Entry, "name" | "dtype" | "shape">[],
  metadata: Metadata,
  widths: Widths,
): { header: Uint8Array<ArrayBuffer>; entries: Entry[]; bytes: number } {
  let bytes = 0;
  const entries = tensors.map(({ name, dtype, shape }) => {
    const from = bytes;
    bytes += sizeOf(shape) * widths[dtype];
    return { name, dtype, shape, from, to: bytes };
  });
  const listed = entries.map(({ name, dtype, shape, from, to }) => [name, { dtype, shape, data_offsets: [from, to] }] as const);
  const json = new TextEncoder().encode(
    JSON.stringify({ ...(Object.keys(metadata).length ? { __metadata__: metadata } : {}), ...Object.fromEntries(listed) }),
  );
  const start = 8 * Math.ceil((LENGTH_BYTES + json.length) / 8);
  const header = new Uint8Array(start).fill(0x20, LENGTH_BYTES);
  new DataView(header.buffer).setBigUint64(0, BigInt(start - LENGTH_BYTES), true);
  header.set(json, LENGTH_BYTES);
  return { header, entries, bytes };
}
