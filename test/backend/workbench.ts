/** Brings plain arrays onto a backend in every memory layout, reads results back, compares them, and cleans up. */
import { expect } from "chai";
import { isContiguous, sizeOf } from "../../src/backend/shape.ts";
import type { ArrayType, Backend, Buffer, DType, NDArray, TypedArray } from "../../src/backend/backend.ts";
import type { Shape } from "../../src/backend/shape.ts";
import { build } from "./plain.ts";
import type { Plain } from "./plain.ts";

/** How an array lies in memory: axes from slowest to fastest, free places between elements, direction, and free places before. */
interface Layout {
  readonly order: (axes: number[]) => number[];
  readonly gap: number;
  readonly flip: boolean;
  readonly lead: number;
}

const asIs = (axes: number[]): number[] => axes;

export const layouts = {
  contiguous: { order: asIs, gap: 1, flip: false, lead: 0 },
  offset: { order: asIs, gap: 1, flip: false, lead: 3 },
  transposed: { order: (axes) => axes.toReversed(), gap: 1, flip: false, lead: 0 },
  swapped: { order: (axes) => [...axes.slice(0, -2), ...axes.slice(-2).toReversed()], gap: 1, flip: false, lead: 2 },
  sliced: { order: asIs, gap: 2, flip: false, lead: 1 },
  flipped: { order: asIs, gap: 1, flip: true, lead: 0 },
  tangled: { order: (axes) => [...axes.slice(1), ...axes.slice(0, 1)], gap: 3, flip: true, lead: 5 },
} satisfies Record<string, Layout>;

export type LayoutName = keyof typeof layouts;
const layoutNames = Object.keys(layouts) as LayoutName[];

/** Every case in every layout, or each case in one, in turn: for devices that compile a kernel for each. */
export type Layouts = "every" | "in turn";
let turn = 0;

/**
 * Every case of a law, or its first and one in ten of the others, or its first alone: where others try every case of the same kernels, and each costs
 * seconds.
 */
export type Cases = "every" | "some" | "first";

const shares: Readonly<Record<Cases, number>> = { every: 1, some: 0.1, first: 0 };

/** What a result may miss: relative times the larger of |want| and the case's scale, plus absolute. */
export interface Tolerance {
  readonly relative: number;
  readonly absolute: number;
}

export type Tolerances = { readonly [T in DType]?: Tolerance };

const exact: Tolerance = { relative: 0, absolute: 0 };
const usual: Record<DType, Tolerance> = {
  float32: { relative: 1e-6, absolute: 1e-37 },
  float64: { relative: 1e-13, absolute: 1e-300 },
  int32: exact,
  bfloat16: exact,
};

// A number that no test computes: reading outside the view shows.
const poison: Record<DType, number> = { float32: 7e7, float64: 7e77, int32: 7_777_777, bfloat16: 0x4e4e };

export class Workbench {
  readonly backend: Backend;
  readonly seesIndices: boolean;
  private readonly inTurn: boolean;
  private readonly share: number;
  private cases = 0;
  private readonly tolerances: Record<DType, Tolerance>;
  private readonly buffers = new Set<Buffer>();

  constructor(backend: Backend, tolerances: Tolerances = {}, layouts: Layouts = "every", seesIndices = true, cases: Cases = "every") {
    this.backend = backend;
    this.seesIndices = seesIndices;
    this.inTurn = layouts === "in turn";
    this.share = shares[cases];
    this.tolerances = { ...usual, ...tolerances };
  }

  /** The layouts in which to try a case. */
  get layouts(): readonly LayoutName[] {
    return this.among(layoutNames);
  }

  /** All of these, or one of them, another each time. */
  among<T>(tries: readonly T[]): readonly T[] {
    // Steps by the golden ratio: lists that are asked in alternation each have all their parts tried.
    return this.inTurn ? [tries[Math.floor(((turn++ * 0.6180339887) % 1) * tries.length)]] : tries;
  }

  /** Whether to try the next case of this law. */
  takes(): boolean {
    // By the golden ratio: lists in lists have all their parts tried.
    return this.cases++ === 0 || (this.cases * 0.6180339887) % 1 < this.share;
  }

  /** The float types that this backend computes in. */
  get floats(): DType[] {
    return (["float32", "float64"] as const).filter((dtype) => this.backend.dtypes.has(dtype));
  }

  get has64(): boolean {
    return this.backend.dtypes.has("float64");
  }

  /** Holds `buffer` until the test ends. */
  keep(buffer: Buffer): Buffer {
    this.buffers.add(buffer);
    return buffer;
  }

  free(buffer: Buffer): void {
    this.buffers.delete(buffer);
    this.backend.free(buffer);
  }

  clean(): void {
    for (const buffer of this.buffers) this.backend.free(buffer);
    this.buffers.clear();
  }

  /** `x` on the device, lying in memory as `name` says. */
  put(x: Plain, name: LayoutName = "contiguous"): NDArray {
    const layout: Layout = layouts[name];
    const strides = new Array<number>(x.shape.length).fill(0);
    let room = layout.gap;
    for (const axis of layout.order(x.shape.map((_, a) => a)).toReversed()) {
      strides[axis] = layout.flip ? -room : room;
      room *= x.shape[axis] + (layout.gap > 1 ? 1 : 0);
    }
    const first = layout.lead - x.shape.reduce((sum, n, axis) => sum + Math.min(0, (n - 1) * strides[axis]), 0);
    const memory = typed(x.dtype, new Array<number>(layout.lead + room).fill(poison[x.dtype]));
    for (let k = 0; k < x.data.length; k++) memory[first + placeOf(k, x.shape, strides)] = x.data[k];
    const offset = sizeOf(x.shape) === 0 ? 0 : first;
    const buffer = this.keep(this.backend.upload({ shape: [memory.length], dtype: x.dtype }, memory));
    return { shape: x.shape, dtype: x.dtype, buffer, strides, offset };
  }

  /** Integers as a kernel made them: the host has no copy. */
  computed(x: Plain): NDArray {
    const made = this.put(x);
    const zero = this.put({ ...x, data: x.data.map(() => 0) });
    return { ...made, buffer: this.keep(this.backend.binary("add", made, made, zero)) };
  }

  /** `x` read as the larger `shape`, with steps of 0 along the axes that stretch. */
  stretch(x: Plain, shape: Shape): { device: NDArray; plain: Plain } {
    const small = this.put(x);
    const strides = small.strides.map((step, axis) => (x.shape[axis] === 1 ? 0 : step));
    const logical = build(shape, x.dtype, (index) => x.data[index.reduce((sum, i, axis) => sum + i * strides[axis], 0)]);
    return { device: { ...small, shape, strides }, plain: logical };
  }

  /** What `buffer` holds. */
  async read(buffer: Buffer, type: ArrayType): Promise<Plain> {
    this.keep(buffer);
    const data = await this.backend.download(buffer, type);
    expect(data.length, "elements downloaded").to.equal(sizeOf(type.shape));
    return { ...type, data: listOf(data) };
  }

  /** The kernel's result, read back and compared with what the oracle says, if it is this case's turn. `scale`: the size of the terms that were summed. */
  async expect(what: string, result: (out: ArrayType) => Buffer, want: Plain, scale = 0, slack = 1): Promise<void> {
    if (!this.takes()) return;
    this.soil(want);
    const got = await this.read(result({ shape: want.shape, dtype: want.dtype }), want);
    this.compare(what, got.data, want, scale, slack);
  }

  /** Leaves memory of this size behind that is not zero, for the next kernel to find. */
  private soil(type: ArrayType): void {
    this.backend.free(this.backend.full({ shape: type.shape, dtype: type.dtype }, poison[type.dtype]));
  }

  compare(what: string, got: readonly number[], want: Plain, scale = 0, slack = 1): void {
    const { relative, absolute } = this.tolerances[want.dtype];
    want.data.forEach((w, i) => {
      if (agree(got[i], w, slack * (relative * Math.max(Math.abs(w), scale) + absolute))) return;
      expect.fail(`${what}, ${want.dtype} [${want.shape}], element ${i}: got ${got[i]}, want ${w}`);
    });
  }
}

/** Where element number `k` of an array of `shape` lies. */
function placeOf(k: number, shape: Shape, strides: readonly number[]): number {
  let place = 0;
  for (let axis = shape.length - 1, rest = k; axis >= 0; rest = Math.floor(rest / shape[axis]), axis--)
    place += (rest % shape[axis]) * strides[axis];
  return place;
}

function agree(got: number, want: number, allowed: number): boolean {
  return Number.isFinite(want) ? Math.abs(got - want) <= allowed : Object.is(got, want);
}

/** As `Array.from`, which takes three times as long for typed arrays. */
function listOf(data: TypedArray): number[] {
  const list = new Array<number>(data.length);
  for (let i = 0; i < data.length; i++) list[i] = data[i];
  return list;
}

/** Waits until everything launched so far has run. */
export async function settle(backend: Backend): Promise<void> {
  const type = { shape: [1], dtype: "float32" } as const;
  const buffer = backend.full(type, 0);
  await backend.download(buffer, type);
  backend.free(buffer);
  // Two timers: the first may come round before a queue that was started by the free, the second cannot.
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setTimeout(resolve));
}

/** The contiguous array in `buffer`. */
export function whole(buffer: Buffer, type: ArrayType): NDArray {
  const strides = type.shape.map((_, axis) => sizeOf(type.shape.slice(axis + 1)));
  expect(isContiguous(type.shape, strides)).to.equal(true);
  return { ...type, buffer, strides, offset: 0 };
}

export function typed(dtype: DType, data: readonly number[]): TypedArray {
  if (dtype === "float32") return Float32Array.from(data);
  if (dtype === "float64") return Float64Array.from(data);
  return dtype === "int32" ? Int32Array.from(data) : Uint16Array.from(data);
}
