/**
 * Primitives: the atomic differentiable steps. Each is one literal that says its name, its type rule (the only place that
 * checks), how a backend runs it, and one derivative rule per input, written in the differentiable operations themselves.
 */
import type { ArrayType, Backend, Buffer, FusedKernel, FusedKernels, NDArray, View } from "../backend/backend.ts";
import { formatShape } from "../backend/shape.ts";
import { context } from "./context.ts";
import { requireList } from "./create.ts";
import { checkFinite } from "./debug.ts";
import { Storage } from "./storage.ts";
import type { Pull } from "./tape.ts";
import { Line, localGradients } from "./tape.ts";
import { Tensor } from "./tensor.ts";

/** Vector-Jacobian product: the cotangent of one input from `g`, that of the output. It may be of the broadcast shape. */
export type Vjp = (g: Tensor, out: Tensor, ...inputs: Tensor[]) => Tensor;

export interface Primitive {
  readonly name: string;
  /** Shape and dtype of the result, or an error with the numbers. */
  type(...inputs: ArrayType[]): ArrayType;
  /** The result as another reading of the first input's buffer, where that is possible. */
  view?(out: ArrayType, x: NDArray): Pick<View, "strides" | "offset"> | undefined;
  run(backend: Backend, out: ArrayType, ...inputs: NDArray[]): Buffer;
  /** One rule per input; null where there is no gradient. */
  readonly vjp: readonly (Vjp | null)[];
}

/** Runs a primitive where its inputs live and, when they are tracked, writes a line. */
export function apply(primitive: Primitive, ...inputs: Tensor[]): Tensor {
  const backend = backendOf(primitive.name, inputs);
  const type = primitive.type(...inputs);
  const view = primitive.view?.(type, inputs[0]);
  const out = view
    ? new Tensor(type, inputs[0].storage, view.strides, view.offset)
    : new Tensor(type, new Storage(backend, primitive.run(backend, type, ...inputs)));
  if (context().recording && inputs.some((input, i) => primitive.vjp[i] && input.requiresGrad))
    out.line = new Line(primitive.name, inputs, out, pullPrimitive(primitive));
  if (context().debug) checkFinite(primitive.name, out, inputs);
  return out;
}

function pullPrimitive(primitive: Primitive): Pull {
  return (g, line, needed) => primitive.vjp.map((rule, i) => (rule && needed[i] ? rule(g, line.output, ...line.inputs) : null));
}

type AttributesOf<K> = K extends FusedKernel<infer A> ? A : never;
export type FusedName = {
  [N in keyof FusedKernels]-?: NonNullable<FusedKernels[N]> extends FusedKernel<infer _> ? N : never;
}[keyof FusedKernels];
export type FusedAttributes<N extends FusedName> = AttributesOf<NonNullable<FusedKernels[N]>>;

/**
 * A composition with a faster road. `compose` is its meaning, its shapes and every derivative; a backend may serve the forward
 * run and the walk that does not record. A walk that records goes through the composition.
 */
export interface Fused<N extends FusedName> {
  readonly name: N;
  type(attributes: FusedAttributes<N>, ...inputs: ArrayType[]): ArrayType;
  compose(attributes: FusedAttributes<N>, ...inputs: Tensor[]): Tensor;
  /** The kernel, where the inputs are not those of the backend's kernel of that name; an adapter of it then. */
  kernel?(backend: Backend): FusedKernel<FusedAttributes<N>> | undefined;
}

export function applyFused<N extends FusedName>(fused: Fused<N>, attributes: FusedAttributes<N>, ...inputs: Tensor[]): Tensor {
  const backend = backendOf(fused.name, inputs);
  const type = fused.type(attributes, ...inputs);
  const kernel = fused.kernel ? fused.kernel(backend) : (backend.fused[fused.name] as FusedKernel<FusedAttributes<N>> | undefined);
  const result = kernel?.forward(type, inputs, attributes);
  if (!kernel || !result) return fused.compose(attributes, ...inputs);
  const out = new Tensor(type, new Storage(backend, result.out));
  const saved = result.saved.map((buffer) => new Storage(backend, buffer).retain());
  if (context().recording && inputs.some((input) => input.requiresGrad)) {
    out.line = new Line(fused.name, inputs, out, pullFused(fused, kernel, attributes), saved);
    out.holdAlso(saved);
  } else for (const storage of saved) storage.release();
  if (context().debug) checkFinite(fused.name, out, inputs);
  return out;
}

function pullFused<N extends FusedName>(fused: Fused<N>, kernel: FusedKernel<FusedAttributes<N>>, attributes: FusedAttributes<N>): Pull {
  return (g, line, needed) => {
    if (context().recording) return localGradients(fused.compose(attributes, ...line.inputs), line.inputs, g);
    const buffers = kernel.backward(
      g,
      line.output,
      line.saved.map((s) => s.buffer),
      line.inputs,
      needed,
      attributes,
    );
    const { backend } = g.storage;
    return line.inputs.map((input, i) => (buffers[i] ? new Tensor(input, new Storage(backend, buffers[i])) : null));
  };
}

/** The one device all inputs live on. */
function backendOf(operation: string, inputs: readonly Tensor[]): Backend {
  const backend = inputs[0].backend;
  for (const input of inputs)
    if (input.backend !== backend)
      throw new TypeError(
        `${operation}: operands live on two devices, "${backend.name}" and "${input.backend.name}"; move one with x.to(backend)`,
      );
  return backend;
}

/** bfloat16 operands are widened to float32, `compute` runs there, and its float32 result is rounded once. */
export function widened(operation: string, inputs: readonly Tensor[], compute: (...inputs: Tensor[]) => Tensor): Tensor {
  if (!inputs.some((x) => x.dtype === "bfloat16")) return compute(...inputs);
  const other = inputs.find((x) => x.dtype === "float32" || x.dtype === "float64");
  if (other) throw new TypeError(`${operation}: dtypes bfloat16 and ${other.dtype} differ; use cast("${other.dtype}")`);
  const out = compute(...inputs.map((x) => (x.dtype === "bfloat16" ? x.cast("float32") : x)));
  return out.dtype === "float32" ? out.cast("bfloat16") : out;
}

// What operations demand of what they are given: the name of the operation opens every message.

/** For JavaScript, where types do not say it. */
export function requireTensor(operation: string, x: unknown): void {
  if (x instanceof Tensor) return;
  const given = Array.isArray(x) ? "an array" : x === null ? "null" : `${typeof x} ${String(x)}`;
  throw new TypeError(`${operation}: ${given} is not a tensor; make one with tensor(…)`);
}

/** For JavaScript: a name that nobody knows would be taken for another one. */
export function requireOneOf(operation: string, what: string, given: string, known: readonly string[]): void {
  if (!known.includes(given)) throw new RangeError(`${operation}: ${what} "${given}": want one of ${known.join(", ")}`);
}

export function requireFloat(operation: string, x: ArrayType): void {
  if (x.dtype === "int32") throw new TypeError(`${operation}: int32 ${formatShape(x.shape)}: needs a float dtype; use cast("float32")`);
}

export function requireInt(operation: string, what: string, x: ArrayType): void {
  if (x.dtype !== "int32")
    throw new TypeError(`${operation}: ${what} is ${x.dtype} ${formatShape(x.shape)}, indices are int32; use cast("int32")`);
}

export function requireSameDtype(operation: string, x: ArrayType, y: ArrayType): void {
  if (x.dtype !== y.dtype)
    throw new TypeError(`${operation}: dtypes ${x.dtype} and ${y.dtype} differ; use cast("${x.dtype}") or cast("${y.dtype}")`);
}

// Type rules that primitives share, called as methods of the primitive.

interface Named {
  readonly name: string;
}

/** Elementwise, any number type. */
export function same(this: Named, x: ArrayType): ArrayType {
  return { shape: x.shape, dtype: x.dtype };
}

/** Elementwise, float only. */
export function sameFloat(this: Named, x: ArrayType): ArrayType {
  requireFloat(this.name, x);
  return { shape: x.shape, dtype: x.dtype };
}

/** A non-negative axis. */
export function axisOf(operation: string, axis: number, x: { readonly shape: readonly number[] }): number {
  const { length } = x.shape;
  const at = axis < 0 ? axis + length : axis;
  if (!Number.isInteger(axis) || at < 0 || at >= length)
    throw new RangeError(
      `${operation}: axis ${axis} of shape ${formatShape(x.shape)}; ${length ? `axes are ${-length} to ${length - 1}` : "a scalar has no axes"}`,
    );
  return at;
}

/** Ascending, non-negative, distinct axes; all of them when none are given. */
export function axesOf(
  operation: string,
  axes: number | readonly number[] | undefined,
  x: { readonly shape: readonly number[] },
): number[] {
  if (axes === undefined) return x.shape.map((_, axis) => axis);
  if (typeof axes !== "number") requireList(operation, axes);
  const list = (typeof axes === "number" ? [axes] : axes).map((axis) => axisOf(operation, axis, x)).sort((a, b) => a - b);
  const twice = list.find((axis, i) => axis === list[i + 1]);
  if (twice !== undefined)
    throw new RangeError(`${operation}: axis ${twice} is named twice in ${formatShape(typeof axes === "number" ? [axes] : axes)}`);
  return list;
}
