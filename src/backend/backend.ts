/**
 * What a device must do.
 *
 * A backend is a small closed set of kernels, grouped by kind and closed under its own derivatives: the derivative of every
 * kernel is again made of kernels of this list, so one tape runs on every device. Nothing here knows tensors, tapes or models.
 *
 * - A kernel is given the type of its result, trusts it (shapes were checked before), and returns a fresh, contiguous buffer.
 * - Inputs are strided: a transpose, a slice, a broadcast or a flip is a view and costs nothing. A kernel that wants
 *   contiguous data copies for itself.
 * - Kernels return at once. A device may fill the buffer later; only `download` waits.
 * - An input's buffer, strides and offset are read at the call: it may be a tensor that is freed or assigned soon after. A device that runs
 *   its kernels later keeps these and never the input itself, and frees a buffer after the kernels that were launched before `free`.
 * - Names are string unions and tables are `Record<UnaryOp, …>`: a forgotten one does not compile.
 */
import type { Shape } from "./shape.ts";

/** What the elements of an array are: two floats, integers of 32 bits, and bfloat16, which is stored and never computed in. */
export type DType = "float32" | "float64" | "int32" | "bfloat16";
/** Elements as they travel between host and device: bfloat16 as the upper 16 bits of a float32, in a Uint16Array. */
export type TypedArray = Float32Array | Float64Array | Int32Array | Uint16Array;

/** Shape and element type: all that a type rule needs to know. */
export interface ArrayType {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** Memory on a device. Only the backend that made it can open it. */
export interface Buffer {
  readonly bytes: number;
}

/** Where the elements of an array lie in a buffer; strides and offset count elements. */
export interface View {
  readonly buffer: Buffer;
  readonly strides: readonly number[];
  readonly offset: number;
}

/** What kernels read: a typed, strided view of a buffer. */
export interface NDArray extends ArrayType, View {}

// prettier-ignore
/** Elementwise operations of one array. */
export type UnaryOp =
  | "neg" | "abs" | "sign" | "floor" | "ceil" | "round" | "trunc"
  | "exp" | "expm1" | "log" | "log1p" | "sqrt" | "rsqrt" | "reciprocal" | "square"
  | "sin" | "cos" | "tanh" | "sigmoid" | "softplus" | "relu"
  | "erf" | "erfc" | "normalCdf" | "isFinite";

// prettier-ignore
/**
 * Elementwise operations of two arrays, which broadcast against each other. Comparisons give 1 or 0 in the operands' dtype; with NaN they
 * give 0 (notEqual 1).
 */
export type BinaryOp =
  | "add" | "sub" | "mul" | "div" | "pow" | "maximum" | "minimum" | "floorDiv" | "mod"
  | "equal" | "notEqual" | "less" | "lessEqual" | "greater" | "greaterEqual";

/** NaN ranks below every number: it never wins a max, it always wins a min. (A product is composed, so that its derivatives are exact at 0.) */
export type ReduceOp = "sum" | "max" | "min";
/** Reductions of an axis to the place of its best element. */
export type ArgReduceOp = "argmax" | "argmin";

/** What a backend holds, and what it has run. */
export interface BackendStats {
  /** Buffers and bytes alive now, and the most bytes that were alive at once. */
  readonly liveBuffers: number;
  readonly liveBytes: number;
  readonly peakBytes: number;
  /** Kernels launched since the backend was made. */
  readonly launches: number;
}

/** What a device must do: keep buffers, and run a closed set of kernels on strided views of them. The rules stand at the head of this file. */
export interface Backend {
  /** As users choose it: "cpu", "wasm", "gpu". */
  readonly name: string;
  /** What really runs, for people: "WebAssembly SIMD, 2 threads". */
  readonly description: string;
  /** Element types it computes in. bfloat16 is stored; arithmetic on it is widened to float32 before it reaches a kernel. */
  readonly dtypes: ReadonlySet<DType>;
  /**
   * For memory that the garbage collector does not count: the share of a buffer's bytes that each tensor outside of a scope holds as
   * an ArrayBuffer that is never used, so that the collector runs in time. Missing: none.
   */
  readonly ballast?: number;

  // Data. bfloat16 travels as the upper 16 bits of a float32 in a Uint16Array.
  /** Takes a row-major copy of `data`. */
  upload(type: ArrayType, data: TypedArray): Buffer;
  /** A buffer filled with `value`. */
  full(out: ArrayType, value: number): Buffer;
  /** A row-major copy of a contiguous buffer that starts at 0. A later `free` of the buffer does not disturb it. */
  download(buffer: Buffer, type: ArrayType): Promise<TypedArray>;
  /** The same at once, where the device can. */
  downloadSync?(buffer: Buffer, type: ArrayType): TypedArray;
  /**
   * A new buffer that `fill` writes where it lies, from the numbers of `inputs` where they lie (copied first if they are strided). It runs
   * at once, on the host. Missing where the host cannot open the device's memory without waiting.
   */
  onHost?(name: string, out: ArrayType, inputs: readonly NDArray[], fill: (out: TypedArray, ...inputs: TypedArray[]) => void): Buffer;
  /** Gives the memory back once every kernel launched so far has run. Freeing twice is the caller's error. */
  free(buffer: Buffer): void;
  /** What it holds now, and what it has run. */
  stats(): BackendStats;

  // Elementwise
  /** op(x) for each element. */
  unary(op: UnaryOp, out: ArrayType, x: NDArray): Buffer;
  /** op(x, y) for each pair of elements; x and y broadcast to out.shape. */
  binary(op: BinaryOp, out: ArrayType, x: NDArray, y: NDArray): Buffer;
  /** condition != 0 ? x : y, all three broadcast; NaN counts as true. */
  select(out: ArrayType, condition: NDArray, x: NDArray, y: NDArray): Buffer;
  /** float -> int32 truncates towards zero; float -> bfloat16 rounds to nearest, ties to even. */
  cast(out: ArrayType, x: NDArray): Buffer;

  // Reductions. `axes` ascending and non-negative; the reduced axes are gone from (or 1 in) out.shape.
  /** The reduction of `axes` of x: an empty sum is 0, an extreme of nothing is not asked for. */
  reduce(op: ReduceOp, out: ArrayType, x: NDArray, axes: readonly number[]): Buffer;
  /** int32 index of the first best element. */
  argReduce(op: ArgReduceOp, out: ArrayType, x: NDArray, axis: number): Buffer;
  /** exclusive: out[0] = 0; reverse: sums from the end. */
  cumsum(out: ArrayType, x: NDArray, axis: number, exclusive: boolean, reverse: boolean): Buffer;

  /** x [..., M, K] times y [..., K, N]; leading axes are equal (a broadcast is a stride of 0). Transposes are strides. */
  matmul(out: ArrayType, x: NDArray, y: NDArray): Buffer;

  // Movement. Any dtype, bfloat16 included.
  /** The contiguous copy of a strided view. */
  copy(out: ArrayType, x: NDArray): Buffer;
  /** x placed at `before` in an array of out.shape, `value` elsewhere. */
  pad(out: ArrayType, x: NDArray, before: readonly number[], value: number): Buffer;
  /**
   * Copies x over the elements of `into`, of the same type. It is the one kernel that writes into an array that exists: the caller sees to it
   * that nobody reads those elements. Missing where a buffer cannot be written a second time.
   */
  place?(into: NDArray, x: NDArray): void;
  /** Arrays side by side along `axis`. */
  concat(out: ArrayType, xs: readonly NDArray[], axis: number): Buffer;

  // Order, along the last axis. NaN ranks below every number; equal values keep their order (lowest index first).
  /** int32 indices that sort x. */
  argsort(out: ArrayType, x: NDArray, descending: boolean): Buffer;
  /** int32 place of each element in that sort: the inverse permutation of argsort. */
  rank(out: ArrayType, x: NDArray, descending: boolean): Buffer;
  /** int32 indices of the out.shape[-1] largest, largest first. */
  topK(out: ArrayType, x: NDArray): Buffer;

  // Rows by index. Indices are int32.
  /** x [N, ...D], index [M, J] -> [M, ...D]: out[m] = sum over j of x[index[m, j]], where index -1 contributes nothing. */
  gatherRows(out: ArrayType, x: NDArray, index: NDArray): Buffer;
  /** x [N, ...D], index [...I] -> [...I, ...D]: rows may repeat. */
  takeRows(out: ArrayType, x: NDArray, index: NDArray): Buffer;
  /** Adjoint of takeRows: g [...I, ...D] -> [N, ...D]: out[n] = sum of the g rows whose index is n. */
  addRows(out: ArrayType, g: NDArray, index: NDArray): Buffer;
  /** out[..., i, ...] = x[..., index[..., i, ...], ...] along `axis`; shapes agree elsewhere. */
  takeAlong(out: ArrayType, x: NDArray, index: NDArray, axis: number): Buffer;
  /** Adjoint of takeAlong: adds g into zeros of out.shape at `index` along `axis`. */
  addAlong(out: ArrayType, g: NDArray, index: NDArray, axis: number): Buffer;
  /** Inverse of a partial injection along the last axis: index [..., M] with values in [-1, N) -> [..., N]: out[..., index[m]] = m, else -1. */
  invert(out: ArrayType, index: NDArray): Buffer;
  /** key [..., N] int32 -> [..., N]: how many earlier elements of the row have the same key; -1 where the key is negative. */
  countEarlier(out: ArrayType, key: NDArray): Buffer;
  /** key [..., N] int32 -> [..., E]: how often each of 0..E-1 occurs; others are not counted. */
  bincount(out: ArrayType, key: NDArray): Buffer;

  // Rows sorted by expert: expert e owns the rows offsets[e] <= row < offsets[e + 1]; rows from offsets[E] on give zeros.
  /** x [M, D], weight [E, D, F], offsets [E + 1] -> [M, F]. A transposed weight is a matter of strides. */
  groupedMatmul(out: ArrayType, x: NDArray, weight: NDArray, offsets: NDArray): Buffer;
  /** x [M, D], y [M, F], offsets [E + 1] -> [E, D, F]: out[e] = x[rows of e]^T y[rows of e]. */
  groupedOuter(out: ArrayType, x: NDArray, y: NDArray, offsets: NDArray): Buffer;

  /**
   * Uniform numbers in [0, 1) with 24 random bits, float32 or float64: a pure function of `rounds` and the element's index, the same on every device.
   * `rounds` holds four pairs (m, a), m odd in 2049..4095 and a in 0..4095. At most 2^24 elements. Formula: cpu/random.ts.
   */
  uniform(out: ArrayType, rounds: readonly number[]): Buffer;

  /** Kernels for compositions; see FusedKernels below. A function without one runs as its composition. */
  readonly fused: FusedKernels;
}

/** A kernel for a composed function. `forward` may save buffers for `backward`. */
export interface FusedKernel<Attributes> {
  /** `undefined`: these inputs are not served, and the caller runs the composition. */
  forward(out: ArrayType, inputs: readonly NDArray[], attributes: Attributes): { out: Buffer; saved: readonly Buffer[] } | undefined;
  /**
   * Cotangents of the inputs, each of its input's shape, contiguous; null where `needed` is false. `spare`: nobody reads g afterwards, so that the
   * kernel may write into its memory.
   */
  backward(
    g: NDArray,
    out: NDArray,
    saved: readonly Buffer[],
    inputs: readonly NDArray[],
    needed: readonly boolean[],
    attributes: Attributes,
    spare?: boolean,
  ): (Buffer | null)[];
}

/** Activation functions with a fused kernel: relu, gelu, its approximation by tanh, and silu. */
export type Activation = "relu" | "gelu" | "geluTanh" | "silu";

/** The kernels of fused functions, with their inputs and attributes. R rows, V classes, D width, B batch, H heads, T queries, S keys. */
export interface FusedKernels {
  /** x [..., D] -> softmax along the last axis; a row of -Infinity gives zeros. */
  readonly softmax?: FusedKernel<null>;
  /** x [..., D] -> [..., D]; a row of -Infinity gives -Infinity with zero gradient. */
  readonly logSoftmax?: FusedKernel<null>;
  /** x [..., D] -> [..., 1]: log of the sum of e^x along the last axis; a row of -Infinity gives -Infinity with zero gradient. */
  readonly logSumExp?: FusedKernel<null>;
  /** x [..., D], weight [D, F] and, where given, bias [F] -> x weight + bias, [..., F]. */
  readonly linear?: FusedKernel<null>;
  /** logits [R, V], target [R] int32 -> [R]: -log softmax(logits)[target]; 0 where target is `ignoreIndex`. */
  readonly crossEntropy?: FusedKernel<{ ignoreIndex: number }>;
  /** x [..., D], weight [D], bias [D] -> (x - mean) / sqrt(variance + eps) * weight + bias. */
  readonly layerNorm?: FusedKernel<{ eps: number }>;
  /** x [..., D], weight [D] -> x / sqrt(mean(x^2) + eps) * weight. */
  readonly rmsNorm?: FusedKernel<{ eps: number }>;
  /** x [..., D] and, where given, a bias that broadcasts to x -> activation(x + bias). */
  readonly biasActivation?: FusedKernel<{ activation: Activation }>;
  /**
   * The experts' products on slots: x [E, N, D], weight [E, D, F], filled [E, G] int32 and, where given, bias [E, 1, F]
   * -> activation(x weight + bias), [E, N, F]. Of the N = G C rows of an expert, the first filled[e, g] of each C hold a token; the others are not
   * read, and give zeros. Without an activation there is no bias.
   */
  readonly slotProduct?: FusedKernel<{ activation: Activation | null }>;
  /**
   * q [B, H, T, D], k and v [B, G, S, D] (G divides H), then, where given, a bias that broadcasts to [B, H, T, S] (additive, may be -Infinity)
   * -> softmax(q k^T scale + bias) v, [B, T, H, D]: a token's heads lie side by side, as the next product wants them. causal: query t sees
   * keys up to t + S - T.
   */
  readonly attention?: FusedKernel<{ scale: number; causal: boolean }>;
  /** A float32 scalar: the sum of the squares of all elements of all `xs`, which are float32. Gradient clipping uses it. */
  readonly sumOfSquares?: (xs: readonly NDArray[]) => Buffer;
  /** One optimiser step over all parameters, in place (the caller owns every buffer alone). */
  readonly adam?: (step: AdamStep) => void;
}

/** p -= lr * (m / correction1 / (sqrt(v / correction2) + eps) + weightDecay * p), after m and v took in the gradient times gradScale. */
export interface AdamStep {
  readonly parameters: readonly NDArray[];
  readonly gradients: readonly NDArray[];
  readonly first: readonly NDArray[];
  readonly second: readonly NDArray[];
  /** A float32 scalar on the device (clipping decides it without a read-back), or null for 1. */
  readonly gradScale: NDArray | null;
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  /** Decoupled (AdamW), one number for each parameter. */
  readonly weightDecay: readonly number[];
  readonly correction1: number;
  readonly correction2: number;
}

/** Raised for what a device cannot do; the message says what was asked and what fits. */
export class BackendError extends Error {
  override readonly name = "BackendError";
}
