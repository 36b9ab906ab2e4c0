/** Writes what torch.save writes, in pieces: for files that PyTorch itself cannot be asked for, damaged ones and very large ones. */
import { deflateRawSync } from "node:zlib";
import { crc32 } from "../../src/pretrained/crc32.ts";

export interface BinTensor {
  readonly name: string;
  /** "FloatStorage" */
  readonly storage: string;
  readonly shape: readonly number[];
  /** Of the storage; tensors with one key share it, and the first one's bytes are written. */
  readonly key: string;
  readonly elements: number;
  readonly bytes: () => Iterable<Uint8Array>;
  readonly strides?: readonly number[];
  readonly offset?: number;
}

export interface BinOptions {
  readonly deflated?: boolean;
  readonly zip64?: boolean;
  readonly byteorder?: string;
}

/** A file with these tensors, piece by piece. */
export function* torchBin(tensors: readonly BinTensor[], options: BinOptions = {}): Generator<Uint8Array> {
  const entries: [string, () => Iterable<Uint8Array>][] = [["archive/data.pkl", () => [pickled(tensors)]]];
  if (options.byteorder !== undefined) entries.push(["archive/byteorder", () => [ascii(options.byteorder ?? "")]]);
  const seen = new Set<string>();
  for (const { key, bytes } of tensors) {
    if (!seen.has(key)) entries.push([`archive/data/${key}`, bytes]);
    seen.add(key);
  }
  entries.push(["archive/version", () => [ascii("3\n")]]);
  yield* zipped(entries, options);
}

/** Sizes follow the contents, as PyTorch writes them, so that nothing has to be known before. */
export function* zipped(
  entries: readonly (readonly [string, () => Iterable<Uint8Array>])[],
  { deflated = false, zip64 = false }: BinOptions = {},
): Generator<Uint8Array> {
  const directory: Uint8Array[] = [];
  const method = deflated ? 8 : 0;
  let at = 0;
  for (const [name, contents] of entries) {
    const [header, path] = [at, ascii(name)];
    const local = bytesOf([4, 0x04034b50], [2, 45], [2, 8], [2, method], [4, 0], [4, 0], [4, 0], [4, 0], [2, path.length], [2, 0]);
    yield local;
    yield path;
    let [crc, size, packedSize] = [0, 0, 0];
    for (const piece of deflated ? [joined(contents())] : contents()) {
      crc = crc32(piece, crc);
      size += piece.length;
      const packed = deflated ? deflateRawSync(piece) : piece;
      packedSize += packed.length;
      yield packed;
    }
    const width = zip64 ? 8 : 4;
    const descriptor = bytesOf([4, 0x08074b50], [4, crc], [width, packedSize], [width, size]);
    yield descriptor;
    at += local.length + path.length + packedSize + descriptor.length;
    const none = 0xffffffff;
    const extra = zip64 ? bytesOf([2, 1], [2, 24], [8, size], [8, packedSize], [8, header]) : new Uint8Array();
    const sizes: [number, number][] = zip64 ? [[4, none], [4, none]] : [[4, packedSize], [4, size]]; // prettier-ignore
    directory.push(
      bytesOf([4, 0x02014b50], [2, 45], [2, 45], [2, 8], [2, method], [4, 0], [4, crc], ...sizes, [2, path.length], [2, extra.length]),
      bytesOf([2, 0], [2, 0], [2, 0], [4, 0], [4, zip64 ? none : header]),
      path,
      extra,
    );
  }
  const central = joined(directory);
  yield central;
  const n = entries.length;
  if (zip64) {
    yield bytesOf([4, 0x06064b50], [8, 44], [2, 45], [2, 45], [4, 0], [4, 0], [8, n], [8, n], [8, central.length], [8, at]);
    yield bytesOf([4, 0x07064b50], [4, 0], [8, at + central.length], [4, 1]);
  }
  const [short, begin] = zip64 ? [0xffff, 0xffffffff] : [n, at];
  yield bytesOf([4, 0x06054b50], [2, 0], [2, 0], [2, short], [2, short], [4, zip64 ? 0xffffffff : central.length], [4, begin], [2, 0]);
}

/** Little-endian numbers, each [width, value]. */
export function bytesOf(...fields: readonly (readonly [number, number])[]): Uint8Array {
  const bytes = new Uint8Array(fields.reduce((sum, [width]) => sum + width, 0));
  let at = 0;
  for (const [width, value] of fields) {
    let rest = BigInt(value);
    for (let i = 0; i < width; i++) {
      bytes[at++] = Number(rest & 255n);
      rest >>= 8n;
    }
  }
  return bytes;
}

export function joined(parts: Iterable<Uint8Array>): Uint8Array {
  return new Uint8Array(Buffer.concat([...parts]));
}

export const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

// The pickle: protocol 2, without a memo

function pickled(tensors: readonly BinTensor[]): Uint8Array {
  const items = tensors.flatMap((tensor) => [text(tensor.name), rebuilt(tensor)]);
  return joined([bytesOf([1, 0x80], [1, 2]), orderedDict, ascii("("), ...items, ascii("u.")]);
}

const text = (value: string): Uint8Array => joined([ascii("X"), bytesOf([4, ascii(value).length]), ascii(value)]);
const integer = (value: number): Uint8Array => joined([bytesOf([1, 0x8a], [1, 8], [8, value])]);
const tuple = (...items: readonly Uint8Array[]): Uint8Array => joined([ascii("("), ...items, ascii("t")]);
const global = (module: string, name: string): Uint8Array => ascii(`c${module}\n${name}\n`);
const orderedDict = joined([global("collections", "OrderedDict"), ascii(")R")]);

function rebuilt({ storage, shape, key, elements, strides = rowMajor(shape), offset = 0 }: BinTensor): Uint8Array {
  const id = tuple(text("storage"), global("torch", storage), text(key), text("cpu"), integer(elements));
  const args = [joined([id, ascii("Q")]), integer(offset), tuple(...shape.map(integer)), tuple(...strides.map(integer))];
  return joined([global("torch._utils", "_rebuild_tensor_v2"), tuple(...args, bytesOf([1, 0x89]), orderedDict), ascii("R")]);
}

function rowMajor(shape: readonly number[]): number[] {
  return shape.map((_, axis) => shape.slice(axis + 1).reduce((product, n) => product * n, 1));
}
