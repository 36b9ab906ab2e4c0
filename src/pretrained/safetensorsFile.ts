/** Reads a safetensors file in pieces: its header first, the numbers of a tensor when they are asked for. */
import type { Widths } from "../nn/safetensorsHeader.ts";
import { LENGTH_BYTES, jsonLength, parseHeader } from "../nn/safetensorsHeader.ts";
import type { Source } from "./source.ts";
import type { Piece, StoredDType, StoredTensor } from "./stored.ts";
import { BYTES } from "./stored.ts";
import { PIECE } from "./zip.ts";

/** Element types by their names in the file. */
export const dtypeOf: Readonly<Record<string, StoredDType>> = {
  F64: "float64",
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
  I64: "int64",
  I32: "int32",
  I16: "int16",
  I8: "int8",
  U8: "uint8",
  BOOL: "bool",
};

const widths: Widths = Object.fromEntries(Object.entries(dtypeOf).map(([name, dtype]) => [name, BYTES[dtype]]));

/** The reference implementation reads headers of up to 100 MB. */
const LONGEST_HEADER = 100_000_000;

/** The tensors of a file of `size` bytes. Throws a RangeError that begins with the file's name where its header is damaged. */
export async function safetensorsFile(source: Source, file: string, size: number): Promise<StoredTensor[]> {
  const length = jsonLength(file, await source.read(file, 0, Math.min(LENGTH_BYTES, size)), size);
  if (length > LONGEST_HEADER) throw new RangeError(`${file}: its header takes ${length} bytes; at most ${LONGEST_HEADER} are read`);
  const start = LENGTH_BYTES + length;
  const { entries } = parseHeader(file, await source.read(file, LENGTH_BYTES, start), size - start, widths);
  return entries.map(({ name, dtype, shape, from, to }) => ({
    name,
    file,
    dtype: dtypeOf[dtype],
    shape,
    place: `${file} ${name}`,
    pieces: () => piecesOf(source, file, start + from, start + to),
  }));
}

async function* piecesOf(source: Source, file: string, begin: number, end: number): AsyncGenerator<Piece> {
  for (let at = begin; at < end; at += PIECE) yield { at: at - begin, bytes: await source.read(file, at, Math.min(end, at + PIECE)) };
}
