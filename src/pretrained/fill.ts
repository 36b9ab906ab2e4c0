/** Makes a model and reads its parameters from the tensors of files: first everything is checked, then one parameter after the other is read. */
import type { Backend } from "../autograd/contract.ts";
import { formatShape, sizeOf } from "../autograd/contract.ts";
import { fromRaw } from "../autograd/create.ts";
import { defaultBackend, withBackend } from "../autograd/devices.ts";
import type { Key } from "../autograd/key.ts";
import { key } from "../autograd/key.ts";
import { withoutDrawing } from "../autograd/random.ts";
import { scope } from "../autograd/scope.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Module } from "../nn/module.ts";
import { CONFIG } from "./config.ts";
import type { FloatDType, StoredTensor } from "./stored.ts";
import { BYTES, decode, isFloat, wholeRows } from "./stored.ts";
import type { Chosen, ChosenPart, Numbers, Row } from "./table.ts";
import { choose, moveRows } from "./table.ts";
import { firstOf } from "./weights.ts";

/** What a model is built with, before its weights are read. */
export interface FirstWeights {
  readonly random: Key;
  readonly dtype: FloatDType;
}

export interface FillOptions {
  readonly dtype?: "stored" | FloatDType;
  readonly backend?: Backend;
  readonly onProgress?: (read: number, total: number) => void;
}

/** The model that `build` makes, with the tensors that the table names. Throws a RangeError for whatever does not fit, and frees what it made. */
export async function filled<M extends Module>(
  build: (init: FirstWeights) => M,
  table: readonly Row[],
  tensors: ReadonlyMap<string, StoredTensor>,
  ignored: RegExp,
  { dtype: wanted = "stored", backend = defaultBackend(), onProgress }: FillOptions,
): Promise<M> {
  const { chosen, faults } = choose(table, tensors, ignored);
  if (faults.length > 0) throw new RangeError(`the weights do not fit ${CONFIG}: ${firstOf(faults, "; ")}`);
  const dtype = wanted === "stored" ? storedDType(chosen) : wanted;
  requireRoom(chosen, dtype, backend);
  const model = withBackend(backend, () => withoutDrawing(() => scope(() => build({ random: key(0), dtype }))));
  const state = model.state();
  const total = chosen.reduce((sum, { parts }) => sum + parts.reduce((bytes, { tensor }) => bytes + bytesOf(tensor), 0), 0);
  let read = 0;
  try {
    requireSame(state, table);
    for (const { row, parts } of chosen) {
      const parameter = state.get(row.parameter);
      if (parameter) await fill(parameter, parts, dtype, backend);
      onProgress?.((read += parts.reduce((bytes, { tensor }) => bytes + bytesOf(tensor), 0)), total);
    }
    return model;
  } catch (error) {
    for (const tensor of state.values()) tensor.dispose();
    throw error;
  }
}

/** float64 where one tensor is, bfloat16 where all are, else float32. */
function storedDType(chosen: readonly Chosen[]): FloatDType {
  const stored = new Set(chosen.flatMap(({ parts }) => parts.map(({ tensor }) => tensor.dtype)));
  if (stored.has("float64")) return "float64";
  return stored.size === 1 && stored.has("bfloat16") ? "bfloat16" : "float32";
}

/** What a tensor may hold, in bytes. */
const LARGEST_TENSOR = 2 ** 31;

function requireRoom(chosen: readonly Chosen[], dtype: FloatDType, { name, dtypes }: Backend): void {
  if (!dtypes.has(dtype))
    throw new RangeError(`dtype ${dtype}: the ${name} backend has ${[...dtypes].join(", ")}; choose by the option dtype`);
  for (const { row } of chosen) {
    const bytes = sizeOf(row.shape) * BYTES[dtype];
    const advice = dtype === "bfloat16" ? "" : '; try dtype "bfloat16"';
    if (bytes > LARGEST_TENSOR)
      throw new RangeError(
        `${row.parameter} ${formatShape(row.shape)} takes ${bytes} bytes as ${dtype}, a tensor at most ${LARGEST_TENSOR}${advice}`,
      );
  }
}

/** Model and table are two descriptions of one thing; where they differ, this library is wrong. */
function requireSame(state: ReadonlyMap<string, Tensor>, table: readonly Row[]): void {
  const rows = new Map(table.map(({ parameter, shape }) => [parameter, formatShape(shape)]));
  const differing = [...state].filter(([name, { shape }]) => rows.get(name) !== formatShape(shape)).map(([name]) => name);
  const absent = [...rows.keys()].filter((name) => !state.has(name));
  if (differing.length + absent.length > 0) throw new Error(`the model and its table differ in ${[...differing, ...absent].join(", ")}`);
}

const arrays = { float32: Float32Array, float64: Float64Array, bfloat16: Uint16Array } as const;

async function fill(parameter: Tensor, parts: readonly ChosenPart[], dtype: FloatDType, backend: Backend): Promise<void> {
  const values: Numbers = new arrays[dtype](sizeOf(parameter.shape));
  for (const { part, tensor, ties } of parts) {
    for await (const { first, count, numbers } of rowsOf(tensor, dtype)) moveRows(part, values, numbers, first, count, "load");
    for (const tie of ties) if (tie.place !== tensor.place) await requireEqual(values, tensor.name, tie, dtype);
  }
  const made = fromRaw({ shape: parameter.shape, dtype }, values, { backend });
  parameter.assign(made);
  made.dispose();
}

interface Rows {
  readonly first: number;
  readonly count: number;
  readonly numbers: Numbers;
}

/** A tensor's rows (all axes but the last counted as one), some at a time, as the dtype. */
async function* rowsOf({ dtype: from, shape, pieces }: StoredTensor, dtype: FloatDType): AsyncGenerator<Rows> {
  if (!isFloat(from) || sizeOf(shape) === 0) return;
  const rowBytes = BYTES[from] * (shape[shape.length - 1] ?? 1);
  for await (const { at, bytes } of wholeRows(pieces(), rowBytes))
    yield { first: at / rowBytes, count: bytes.length / rowBytes, numbers: decode(bytes, from, dtype) };
}

/** Throws where two tied tensors differ: one of them would be lost. Only embeddings are tied, which files hold as the model does. */
async function requireEqual(values: Numbers, name: string, tie: StoredTensor, dtype: FloatDType): Promise<void> {
  const width = tie.shape[tie.shape.length - 1];
  for await (const { first, numbers } of rowsOf(tie, dtype))
    for (let i = 0; i < numbers.length; i++)
      if (!Object.is(numbers[i], values[first * width + i]))
        throw new RangeError(`"${tie.name}" differs from "${name}", although ${CONFIG} ties them`);
}

function bytesOf({ shape, dtype }: StoredTensor): number {
  return sizeOf(shape) * BYTES[dtype];
}
