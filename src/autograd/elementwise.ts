/** Elementwise primitives: one number in, one number out, the same for each element. Operands broadcast. */
import type { ArrayType, BinaryOp, UnaryOp } from "../backend/backend.ts";
import { broadcastShapes, formatShape } from "../backend/shape.ts";
import { apply } from "./apply.ts";
import { requireFloat, requireSameDtype } from "./arguments.ts";
import { constant } from "./constants.ts";
import type { Primitive, Vjp } from "./primitive.ts";
import { same, sameFloat } from "./primitive.ts";
import type { Tensor } from "./tensor.ts";

/** Result shape of operands that stretch against each other; dtypes must agree. */
function broadcast(this: { readonly name: string }, x: ArrayType, y: ArrayType): ArrayType {
  requireSameDtype(this.name, x, y);
  const shape = broadcastShapes(x.shape, y.shape);
  if (!shape) throw new RangeError(`${this.name}: shapes ${formatShape(x.shape)} and ${formatShape(y.shape)} do not broadcast`);
  return { shape, dtype: x.dtype };
}

function broadcastFloat(this: { readonly name: string }, x: ArrayType, y: ArrayType): ArrayType {
  requireFloat(this.name, x);
  return broadcast.call(this, x, y);
}

/** condition ? x : y, of which one may be a number. */
const choose = (condition: Tensor, x: Tensor | number, y: Tensor): Tensor =>
  apply(select, condition, typeof x === "number" ? constant(x, y) : x, y);

const unary = (op: UnaryOp, type: Primitive["type"], vjp: Vjp | null): Primitive => ({
  name: op,
  type,
  run: (backend, out, x) => backend.unary(op, out, x),
  vjp: [vjp],
});

const binary = (op: BinaryOp, type: Primitive["type"], vjp: readonly [Vjp | null, Vjp | null]): Primitive => ({
  name: op,
  type,
  run: (backend, out, x, y) => backend.binary(op, out, x, y),
  vjp,
});

// Arithmetic. Broadcasting is folded in the tape, so these rules do not know of it.
export const add = binary("add", broadcast, [(g) => g, (g) => g]);
export const sub = binary("sub", broadcast, [(g) => g, (g) => g.neg()]);
export const mul = binary("mul", broadcast, [(g, _, _x, y) => g.mul(y), (g, _, x) => g.mul(x)]);
export const div = binary("div", broadcastFloat, [(g, _, _x, y) => g.div(y), (g, out, _x, y) => g.mul(out).div(y).neg()]);
export const neg = unary("neg", same, (g) => g.neg());
export const abs = unary("abs", same, (g, _, x) => g.mul(x.sign()));
export const square = unary("square", same, (g, _, x) => g.mul(x).mul(2));
export const reciprocal = unary("reciprocal", sameFloat, (g, out) => g.mul(out.square()).neg());

/** pow(0, 0) = 1. Where a formula would be 0 times infinity, the rules put 1 in the place of the base: no derivative of any order is NaN there. */
export const pow = binary("pow", broadcastFloat, [
  (g, _, x, y) => {
    const flat = x.equal(0).mul(y.equal(0));
    return g.mul(y).mul(choose(flat, 1, x).pow(y.sub(1)));
  },
  (g, _, x, y) => {
    const flat = x.equal(0).mul(y.greaterEqual(0));
    const base = choose(flat, 1, x);
    return g.mul(base.pow(y)).mul(base.log());
  },
]);

// Powers and logarithms
export const exp = unary("exp", sameFloat, (g, out) => g.mul(out));
export const expm1 = unary("expm1", sameFloat, (g, out) => g.mul(out.add(1)));
export const log = unary("log", sameFloat, (g, _, x) => g.div(x));
export const log1p = unary("log1p", sameFloat, (g, _, x) => g.div(x.add(1)));
export const sqrt = unary("sqrt", sameFloat, (g, out) => g.div(out).mul(0.5));
export const rsqrt = unary("rsqrt", sameFloat, (g, out, x) => g.mul(out).div(x).mul(-0.5));

// Waves and sigmoids
export const sin = unary("sin", sameFloat, (g, _, x) => g.mul(x.cos()));
export const cos = unary("cos", sameFloat, (g, _, x) => g.mul(x.sin()).neg());
export const tanh = unary("tanh", sameFloat, (g, out) => g.mul(out.square().neg().add(1)));
export const sigmoid = unary("sigmoid", sameFloat, (g, out) => g.mul(out).mul(out.neg().add(1)));
export const softplus = unary("softplus", sameFloat, (g, _, x) => g.mul(x.sigmoid()));
/** A primitive of its own, because maximum(x, 0) would halve the gradient at 0, where the convention is 0. */
export const relu = unary("relu", same, (g, _, x) => g.mul(x.greater(0)));

// The normal distribution
const twoOverRootPi = 2 / Math.sqrt(Math.PI);
const oneOverRootTwoPi = 1 / Math.sqrt(2 * Math.PI);
export const erf = unary("erf", sameFloat, (g, _, x) => g.mul(x.square().neg().exp().mul(twoOverRootPi)));
export const erfc = unary("erfc", sameFloat, (g, _, x) => g.mul(x.square().neg().exp().mul(-twoOverRootPi)));
export const normalCdf = unary("normalCdf", sameFloat, (g, _, x) => g.mul(x.square().mul(-0.5).exp().mul(oneOverRootTwoPi)));

// Steps: constant almost everywhere
export const sign = unary("sign", same, null);
export const floor = unary("floor", same, null);
export const ceil = unary("ceil", same, null);
export const round = unary("round", same, null);
export const trunc = unary("trunc", same, null);
export const isFinite = unary("isFinite", sameFloat, null);
export const floorDiv = binary("floorDiv", broadcast, [null, null]);
export const mod = binary("mod", broadcast, [(g) => g, (g, _, x, y) => g.mul(x.floorDiv(y)).neg()]);

// Order. A tie of maximum or minimum shares the gradient in halves.
const share = (wins: "greater" | "less"): [Vjp, Vjp] => [
  (g, _, x, y) => g.mul(x[wins](y).add(x.equal(y).mul(0.5))),
  (g, _, x, y) => g.mul(y[wins](x).add(x.equal(y).mul(0.5))),
];
export const maximum = binary("maximum", broadcast, share("greater"));
export const minimum = binary("minimum", broadcast, share("less"));
export const equal = binary("equal", broadcast, [null, null]);
export const notEqual = binary("notEqual", broadcast, [null, null]);
export const less = binary("less", broadcast, [null, null]);
export const lessEqual = binary("lessEqual", broadcast, [null, null]);
export const greater = binary("greater", broadcast, [null, null]);
export const greaterEqual = binary("greaterEqual", broadcast, [null, null]);

/** condition != 0 ? x : y. The side not taken gets exactly 0, also where it is NaN or infinite. */
export const select: Primitive = {
  name: "where",
  type(condition, x, y) {
    requireSameDtype(this.name, x, y);
    const branches = broadcastShapes(x.shape, y.shape);
    const shape = branches && broadcastShapes(condition.shape, branches);
    if (!shape) throw new RangeError(`where: shapes ${[condition, x, y].map((t) => formatShape(t.shape)).join(", ")} do not broadcast`);
    return { shape, dtype: x.dtype };
  },
  run: (backend, out, condition, x, y) => backend.select(out, condition, x, y),
  vjp: [null, (g, _, condition) => apply(select, condition, g, constant(0, g)), (g, _, condition) => choose(condition, 0, g)],
};
