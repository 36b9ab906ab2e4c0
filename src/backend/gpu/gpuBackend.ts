/**
 * The backend on gpu.js. Each method says which generator makes its kernel. Sorting, sums of many elements and fused functions take several
 * launches, whose intermediate buffers are freed on the way. Everything is float32 in the device's memory: int32 is exact
 * below 2^24, bfloat16 is kept as float32 values that were rounded.
 */
import { BackendError } from "../backend.ts";
import { fromBfloat16Bits, packBfloat16, toBfloat16Bits, unpackBfloat16 } from "../bfloat16.ts";
import { placesOf, rowType, withRow } from "../indices.ts";
import { formatShape, sizeOf } from "../shape.ts";
import { fusedKernels } from "./fused.ts";
import { maxElements } from "./device.ts";
import { Launcher } from "./launcher.ts";
import * as order from "./order.ts";
import { reduceAll, runningSums } from "./reductions.ts";
import { addRows } from "./rows.ts";
import { elementwise } from "./source/elementwise.ts";
import { binaryStatements, roundToBfloat16, unaryStatements } from "./source/functions.ts";
import { kernelSource, merge } from "./source/grid.ts";
import * as movement from "./source/movement.ts";
import * as products from "./source/products.ts";
import { uniform } from "./source/random.ts";
import * as reductions from "./source/reduce.ts";
import * as rows from "./source/rows.ts";
import { inGroups, whole } from "./views.ts";
import type {
  ArgReduceOp,
  ArrayType,
  Backend,
  BackendStats,
  BinaryOp,
  Buffer,
  DType,
  FusedKernels,
  NDArray,
  ReduceOp,
  TypedArray,
  UnaryOp,
} from "../backend.ts";
import type { Device } from "./device.ts";
import type { GpuMode } from "./library.ts";

/** float32; int32 exact up to 2^24; bfloat16 as rounded float32. WebGPU is read by waiting, the other modes at once. */
export class GpuBackend implements Backend {
  readonly name = "gpu";
  readonly description: string;
  /** How gpu.js really runs the kernels. */
  readonly mode: GpuMode;
  readonly dtypes: ReadonlySet<DType> = new Set<DType>(["float32", "int32", "bfloat16"]);
  readonly ballast?: number;
  readonly downloadSync?: (buffer: Buffer, type: ArrayType) => TypedArray;
  readonly fused: FusedKernels;
  readonly #launcher: Launcher;
  readonly #device: Device;

  constructor(device: Device) {
    this.#device = device;
    this.#launcher = new Launcher(device);
    this.mode = device.mode;
    this.description = device.description;
    this.fused = fusedKernels(this.#launcher);
    if (device.synchronous)
      this.downloadSync = (buffer, type) => fromFloats(this.#launcher.readSync(buffer, sizeOf(type.shape)), type.dtype);
    if (device.mode !== "webasm") this.ballast = 1 / 8;
  }

  // Data

  /** Takes a row-major copy of `data`. Throws where it has not as many elements as the shape. */
  upload(type: ArrayType, data: TypedArray): Buffer {
    if (data.length !== sizeOf(type.shape)) {
      throw new BackendError(`upload: ${data.length} elements for shape ${formatShape(type.shape)}, which has ${sizeOf(type.shape)}`);
    }
    const host = type.dtype === "int32" ? Int32Array.from(data) : undefined;
    if (host) checkWhole("upload", host);
    return this.#launcher.upload(type, type.dtype === "bfloat16" ? unpackBfloat16(data as Uint16Array) : Float32Array.from(data), host);
  }

  full(out: ArrayType, value: number): Buffer {
    if (out.dtype === "int32") checkWhole("full", [value]);
    const n = sizeOf(out.shape);
    if (n <= smallest && this.mode !== "webgl2" && this.mode !== "headlessgl") {
      return this.#launcher.upload(out, new Float32Array(n).fill(stored(out.dtype, value)));
    }
    const program = () => ({ source: kernelSource(0, ["value"], "return value;"), threads: [n] });
    return this.#launcher.launch({ name: "full", out: { ...out, shape: [n] }, inputs: [], scalars: [stored(out.dtype, value)], program });
  }

  async download(buffer: Buffer, type: ArrayType): Promise<TypedArray> {
    return fromFloats(await this.#launcher.read(buffer, sizeOf(type.shape)), type.dtype);
  }

  free(buffer: Buffer): void {
    this.#launcher.free(buffer);
  }

  stats(): BackendStats {
    return this.#launcher.stats();
  }

  /** What each compiled kernel became on the device: WGSL or GLSL. */
  shaders(): ReadonlyMap<string, string> {
    return this.#launcher.shaders();
  }

  /** Ends the device; buffers are lost. */
  destroy(): Promise<void> {
    return this.#launcher.destroy();
  }

  // Elementwise

  #elementwise(name: string, out: ArrayType, inputs: readonly NDArray[], statements: () => string): Buffer {
    const program = () => elementwise(out.shape, inputs, statements(), this.#device.limits);
    return this.#launcher.launch({ name, out, inputs, program });
  }

  unary(op: UnaryOp, out: ArrayType, x: NDArray): Buffer {
    return this.#elementwise(op, out, [x], () => unaryStatements(op, this.#device.hostMath));
  }

  binary(op: BinaryOp, out: ArrayType, x: NDArray, y: NDArray): Buffer {
    return this.#elementwise(op, out, [x, y], () => binaryStatements(op, out.dtype === "int32", this.#device.hostMath));
  }

  select(out: ArrayType, condition: NDArray, x: NDArray, y: NDArray): Buffer {
    return this.#elementwise("select", out, [condition, x, y], () => "return x === 0.0 ? z : y;");
  }

  cast(out: ArrayType, x: NDArray): Buffer {
    if (out.dtype === "bfloat16" && x.dtype !== "bfloat16") return this.#elementwise("bfloat16", out, [x], () => roundToBfloat16);
    if (out.dtype === "int32" && x.dtype !== "int32") return this.unary("trunc", out, x);
    return this.copy(out, x);
  }

  // Reductions

  reduce(op: ReduceOp, out: ArrayType, x: NDArray, axes: readonly number[]): Buffer {
    return reduceAll(this.#launcher, op, out, x, axes);
  }

  argReduce(op: ArgReduceOp, out: ArrayType, x: NDArray, axis: number): Buffer {
    const program = () => reductions.argReduce(op, lane(x, axis), this.#device.limits);
    return this.#launcher.launch({ name: op, out, inputs: [x], variant: String(axis), program });
  }

  cumsum(out: ArrayType, x: NDArray, axis: number, exclusive: boolean, reverse: boolean): Buffer {
    return runningSums(this.#launcher, out, x, axis, exclusive, reverse);
  }

  matmul(out: ArrayType, x: NDArray, y: NDArray): Buffer {
    const generator = products.bestMatmul(out.shape, this.#device.lanes);
    const program = () => generator(out.shape, x, y, this.#device.limits);
    return this.#launcher.launch({ name: "matmul", out, inputs: [x, y], program });
  }

  // Movement

  copy(out: ArrayType, x: NDArray): Buffer {
    return this.#elementwise("copy", out, [x], () => "return x;");
  }

  pad(out: ArrayType, x: NDArray, before: readonly number[], value: number): Buffer {
    const program = () => movement.pad(out.shape, x, before, this.#device.limits);
    return this.#launcher.launch({ name: "pad", out, inputs: [x], variant: String(before), scalars: [stored(out.dtype, value)], program });
  }

  concat(out: ArrayType, xs: readonly NDArray[], axis: number): Buffer {
    const most = this.#device.limits.arrays;
    if (xs.length > most) return this.#concatInGroups(out, xs, axis, most);
    const program = () => movement.concat(out.shape, xs, axis, this.#device.limits);
    return this.#launcher.launch({ name: "concat", out, inputs: xs, variant: String(axis), program });
  }

  #concatInGroups(out: ArrayType, xs: readonly NDArray[], axis: number, most: number): Buffer {
    const joined = inGroups(xs, most).map((group) => {
      const shape = out.shape.with(
        axis,
        group.reduce((sum, x) => sum + x.shape[axis], 0),
      );
      return whole(this.concat({ ...out, shape }, group, axis), { ...out, shape });
    });
    const result = this.concat(out, joined, axis);
    joined.forEach((x) => this.free(x.buffer));
    return result;
  }

  // Order

  argsort(out: ArrayType, x: NDArray, descending: boolean): Buffer {
    return order.argsort(this.#launcher, rowType(out), withRow(x), descending);
  }

  rank(out: ArrayType, x: NDArray, descending: boolean): Buffer {
    return order.rank(this.#launcher, rowType(out), withRow(x), descending);
  }

  topK(out: ArrayType, x: NDArray): Buffer {
    placesOf("topK", out, x);
    return order.topK(this.#launcher, out, withRow(x));
  }

  // Rows by index

  gatherRows(out: ArrayType, x: NDArray, index: NDArray): Buffer {
    const program = () => rows.gatherRows(out.shape, x, index, this.#device.limits);
    return this.#launcher.launch({ name: "gatherRows", out, inputs: [x, index], scalars: missing(out), program });
  }

  takeRows(out: ArrayType, x: NDArray, index: NDArray): Buffer {
    const program = () => rows.takeRows(out.shape, x, index, this.#device.limits);
    return this.#launcher.launch({ name: "takeRows", out, inputs: [x, index], scalars: missing(out), program });
  }

  addRows(out: ArrayType, g: NDArray, index: NDArray): Buffer {
    return addRows(this.#launcher, out, g, index);
  }

  takeAlong(out: ArrayType, x: NDArray, index: NDArray, axis: number): Buffer {
    const program = () => rows.takeAlong(out.shape, x, index, axis, this.#device.limits);
    return this.#launcher.launch({ name: "takeAlong", out, inputs: [x, index], variant: String(axis), scalars: missing(out), program });
  }

  addAlong(out: ArrayType, g: NDArray, index: NDArray, axis: number): Buffer {
    const program = () => rows.addAlong(out.shape, g, index, axis, this.#device.limits);
    return this.#launcher.launch({ name: "addAlong", out, inputs: [g, index], variant: String(axis), program });
  }

  invert(out: ArrayType, index: NDArray): Buffer {
    return order.invert(this.#launcher, out, withRow(index));
  }

  countEarlier(out: ArrayType, key: NDArray): Buffer {
    return order.countEarlier(this.#launcher, rowType(out), withRow(key));
  }

  bincount(out: ArrayType, key: NDArray): Buffer {
    return order.bincount(this.#launcher, out, withRow(key));
  }

  // Rows sorted by expert

  groupedMatmul(out: ArrayType, x: NDArray, weight: NDArray, offsets: NDArray): Buffer {
    const program = () => products.groupedMatmul(out.shape, x, weight, offsets, this.#device.limits);
    return this.#launcher.launch({ name: "groupedMatmul", out, inputs: [x, weight, offsets], program });
  }

  groupedOuter(out: ArrayType, x: NDArray, y: NDArray, offsets: NDArray): Buffer {
    const program = () => products.groupedOuter(out.shape, x, y, offsets, this.#device.limits);
    return this.#launcher.launch({ name: "groupedOuter", out, inputs: [x, y, offsets], program });
  }

  uniform(out: ArrayType, rounds: readonly number[]): Buffer {
    const n = sizeOf(out.shape);
    return this.#launcher.launch({ name: "uniform", out: { ...out, shape: [n] }, inputs: [], scalars: rounds, program: () => uniform(n) });
  }
}

/** Up to this many elements an upload costs less than a launch. (In the WebGL modes an upload is a launch.) */
const smallest = 256;

function lane(x: NDArray, axis: number): reductions.Lane {
  const kept = merge(x.shape.toSpliced(axis, 1), [{ strides: x.strides.toSpliced(axis, 1), offset: x.offset }]);
  return { kept: kept.shape, layout: kept.layouts[0], n: x.shape[axis], stride: x.strides[axis] };
}

function stored(dtype: DType, value: number): number {
  if (dtype === "bfloat16") return fromBfloat16Bits(toBfloat16Bits(value));
  return dtype === "int32" ? Math.trunc(value) : value;
}

/** The number that an index outside its array reads. */
function missing({ dtype }: ArrayType): number[] {
  return [dtype === "int32" ? 0 : NaN];
}

function fromFloats(data: Float32Array, dtype: DType): TypedArray {
  if (dtype === "bfloat16") return packBfloat16(data);
  return dtype === "int32" ? Int32Array.from(data) : data;
}

function checkWhole(operation: string, data: ArrayLike<number>): void {
  for (let i = 0; i < data.length; i++)
    if (Math.abs(data[i]) > maxElements)
      throw new BackendError(`${operation}: element ${i} is ${data[i]}, the gpu backend keeps int32 exact up to ${maxElements}`);
}
