/**
 * The safetensors format, written and read without a library: eight bytes with the length of a JSON header, the header, the
 * numbers, little-endian. Format: https://huggingface.co/docs/safetensors. Works on Uint8Array alone, so in browsers too.
 */
import type { Backend, DType, Shape } from "../autograd/contract.ts";
import { formatShape, sizeOf } from "../autograd/contract.ts";
import { tensor } from "../autograd/create.ts";
import type { Tensor } from "../autograd/tensor.ts";

interface Readable {
  readonly dtype: DType;
  readonly bytes: number;
  get(view: DataView, at: number): number;
}

interface Format extends Readable {
  put(view: DataView, at: number, value: number): void;
}

/** Element types by their name in the file. */
const formats: Readonly<Record<string, Format>> = {
  F64: { dtype: "float64", bytes: 8, put: (v, at, x) => v.setFloat64(at, x, true), get: (v, at) => v.getFloat64(at, true) },
  F32: { dtype: "float32", bytes: 4, put: (v, at, x) => v.setFloat32(at, x, true), get: (v, at) => v.getFloat32(at, true) },
  I32: { dtype: "int32", bytes: 4, put: (v, at, x) => v.setInt32(at, x, true), get: (v, at) => v.getInt32(at, true) },
  BF16: { dtype: "bfloat16", bytes: 2, put: putBfloat16, get: getBfloat16 },
};

/** Those too that others write: what they hold is read into the dtype that can hold it. */
const readable: Readonly<Record<string, Readable>> = {
  ...formats,
  F16: { dtype: "float32", bytes: 2, get: getFloat16 },
  I64: { dtype: "int32", bytes: 8, get: (v, at) => Number(v.getBigInt64(at, true)) },
  I16: { dtype: "int32", bytes: 2, get: (v, at) => v.getInt16(at, true) },
  I8: { dtype: "int32", bytes: 1, get: (v, at) => v.getInt8(at) },
  U8: { dtype: "int32", bytes: 1, get: (v, at) => v.getUint8(at) },
  BOOL: { dtype: "int32", bytes: 1, get: (v, at) => v.getUint8(at) },
};

const nameOf: Record<DType, string> = { float64: "F64", float32: "F32", int32: "I32", bfloat16: "BF16" };

// A bfloat16 is the upper half of a float32; tensors give it as a float32 whose lower half is 0.
const word = new DataView(new ArrayBuffer(4));

function putBfloat16(view: DataView, at: number, value: number): void {
  word.setFloat32(0, value);
  view.setUint16(at, word.getUint16(0), true);
}

function getBfloat16(view: DataView, at: number): number {
  word.setUint32(0, view.getUint16(at, true) << 16);
  return word.getFloat32(0);
}

/** IEEE 754 binary16: 1 sign, 5 exponent and 10 fraction bits; every one of them is a float32. */
function getFloat16(view: DataView, at: number): number {
  const bits = view.getUint16(at, true);
  const [sign, exponent, fraction] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1024 + fraction) * 2 ** (exponent - 25) : fraction * 2 ** -24);
}

/** Text beside the tensors: configuration, version, step. */
export type Metadata = Readonly<Record<string, string>>;

export interface Safetensors {
  readonly tensors: Map<string, Tensor>;
  readonly metadata: Metadata;
}

// Writing

/** The bytes of a file that holds all `tensors`. */
export async function writeSafetensors(tensors: ReadonlyMap<string, Tensor>, metadata: Metadata = {}): Promise<Uint8Array> {
  if (tensors.has("__metadata__")) throw new RangeError('writeSafetensors: a tensor may not be called "__metadata__"');
  // Wide elements first: every tensor is then aligned to its element size.
  const order = [...tensors].toSorted(([, a], [, b]) => formats[nameOf[b.dtype]].bytes - formats[nameOf[a.dtype]].bytes);
  let end = 0;
  const entries = order.map(([name, { dtype, shape, size }]) => {
    const start = end;
    end += size * formats[nameOf[dtype]].bytes;
    return [name, { dtype: nameOf[dtype], shape, data_offsets: [start, end] }] as const;
  });
  const { file, start } = withHeader(
    { ...(Object.keys(metadata).length ? { __metadata__: metadata } : {}), ...Object.fromEntries(entries) },
    end,
  );
  for (const [i, [, { data_offsets }]] of entries.entries()) {
    const [, source] = order[i];
    const { put, bytes } = formats[nameOf[source.dtype]];
    const view = new DataView(file.buffer, start + data_offsets[0]);
    (await source.data()).forEach((value, at) => put(view, at * bytes, value));
  }
  return file;
}

/** A file with its header written and room for `bytes` of numbers from `start`, a multiple of 8. */
function withHeader(header: object, bytes: number): { file: Uint8Array; start: number } {
  const json = new TextEncoder().encode(JSON.stringify(header));
  const start = 8 * Math.ceil((8 + json.length) / 8);
  const file = new Uint8Array(start + bytes).fill(0x20, 8, start);
  new DataView(file.buffer).setBigUint64(0, BigInt(start - 8), true);
  file.set(json, 8);
  return { file, start };
}

// Reading: everything is checked before the first tensor is made.

interface Entry {
  readonly name: string;
  readonly format: Readable;
  readonly shape: Shape;
  /** In bytes from the start of the numbers. */
  readonly from: number;
  readonly to: number;
}

/**
 * The tensors and the metadata of a file. Half precision becomes float32; integers of any width and truths become int32. A damaged
 * or foreign file, or an integer beyond 32 bits, is an error that says what is wrong and where.
 */
export function readSafetensors(file: Uint8Array, { backend }: { readonly backend?: Backend } = {}): Safetensors {
  const { json, start } = headerOf(file);
  const { __metadata__: metadata = {}, ...rest } = parseHeader(json);
  if (!isObject(metadata) || Object.values(metadata).some((value) => typeof value !== "string"))
    fail("__metadata__ is not an object of strings");
  const entries = Object.entries(rest).map(([name, value]) => entryOf(name, value));
  checkCover(entries, file.length - start);
  const tensors = entries.map(({ name, format, shape, from }): [string, Tensor] => {
    const view = new DataView(file.buffer, file.byteOffset + start + from);
    const values = Float64Array.from({ length: sizeOf(shape) }, (_, i) => format.get(view, i * format.bytes));
    const wide = format.dtype === "int32" ? values.findIndex((value) => (value | 0) !== value) : -1;
    if (wide >= 0) fail(`"${name}" holds ${values[wide]} at ${wide}, which 32 bits do not`);
    return [name, tensor(values, { shape, dtype: format.dtype, name, ...(backend ? { backend } : {}) })];
  });
  return { tensors: new Map(tensors), metadata: metadata as Metadata };
}

function fail(why: string): never {
  throw new RangeError(`readSafetensors: ${why}`);
}

function headerOf(file: Uint8Array): { json: string; start: number } {
  if (file.length < 8) fail(`${file.length} bytes are too few for a file; its header's length alone takes 8`);
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  if (length > file.length - 8)
    fail(`the header should be ${length} bytes long, the file holds ${file.length - 8} after its length: truncated, or not this format`);
  try {
    return { json: new TextDecoder("utf-8", { fatal: true }).decode(file.subarray(8, 8 + length)), start: 8 + length };
  } catch {
    return fail("the header is not UTF-8");
  }
}

function parseHeader(json: string): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(json);
  } catch (error) {
    fail(`the header is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!isObject(header)) return fail("the header is not a JSON object");
  const names = topLevelNames(json);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) fail(`"${twice}" is named twice in the header`);
  return header;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The names of a JSON object in order, repeated ones too: JSON.parse keeps the last and says nothing. */
function topLevelNames(json: string): string[] {
  const names: string[] = [];
  let depth = 0;
  for (const [token] of json.matchAll(/"(?:[^"\\]|\\.)*"\s*:?|[{}[\]]/g)) {
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (depth === 1 && token.endsWith(":")) names.push(String(JSON.parse(token.slice(0, -1))));
  }
  return names;
}

function entryOf(name: string, value: unknown): Entry {
  const { dtype, shape, data_offsets: offsets } = isObject(value) ? value : {};
  const format =
    typeof dtype === "string" && Object.hasOwn(readable, dtype)
      ? readable[dtype]
      : fail(`"${name}" has dtype ${String(dtype)}; known are ${Object.keys(readable).join(", ")}`);
  if (!isCounts(shape)) fail(`"${name}" has no shape of whole numbers`);
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[0] > offsets[1]) fail(`"${name}" has no data_offsets [start, end]`);
  const [from, to] = offsets;
  const bytes = sizeOf(shape) * format.bytes;
  if (to - from !== bytes)
    fail(`"${name}" ${String(dtype)} ${formatShape(shape)} needs ${bytes} bytes, its data_offsets [${from}, ${to}] span ${to - from}`);
  return { name, format, shape, from, to };
}

function isCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

/** The tensors lie side by side and fill the file: no overlap, no hole, nothing beyond the end. */
function checkCover(entries: readonly Entry[], bytes: number): void {
  let end = 0;
  for (const { name, from, to } of entries.toSorted((a, b) => a.from - b.from || a.to - b.to)) {
    if (from < end) fail(`"${name}" begins at byte ${from}, inside the tensor before it, which ends at ${end}`);
    if (from > end) fail(`bytes ${end} to ${from} before "${name}" belong to no tensor`);
    if (to > bytes) fail(`"${name}" ends at byte ${to}, the file holds ${bytes} bytes of numbers: truncated`);
    end = to;
  }
  if (end !== bytes) fail(`the file holds ${bytes} bytes of numbers, its tensors take ${end}`);
}
