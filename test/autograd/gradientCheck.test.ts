/** The checker itself: what it must find, what it must let pass, and what it says. */
import { expect } from "chai";
import fc from "fast-check";
import { ones, tensor } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { axesOf, broadcastable, checkGradients, distinctArrays, shapes } from "switchyard-moe/testing";
import { broadcastShapes } from "../../src/backend/shape.ts";
import { exp } from "../../src/autograd/elementwise.ts";
import { apply } from "../../src/autograd/apply.ts";
import type { Primitive } from "../../src/autograd/primitive.ts";
import { f32, f64, int, leaf } from "./helpers.ts";

const complaint = async (f: (...xs: Tensor[]) => Tensor, ...inputs: Tensor[]): Promise<string> =>
  checkGradients(f, inputs).then(
    () => "nothing",
    (error: unknown) => String(error),
  );

const broken = (vjp: Primitive["vjp"]): Primitive => ({ ...exp, vjp });

describe("checkGradients", () => {
  it("finds a wrong rule, and says by how much", async () => {
    const twice = broken([(g, out) => g.mul(out).mul(2)]);
    expect(await complaint((x) => apply(twice, x), f64([1, 2]))).to.match(
      /derivative of order 1 along a random direction: the tape says -?[\d.]+, finite differences say -?[\d.]+ \(apart .*, allowed .*\); step 0.001; alone,\n {2}input 0 \(float64 \[2\]\): .*<- here/,
    );
  });

  it("finds a rule whose own derivative is lost", async () => {
    const constant = broken([(g, out) => g.mul(out.detach())]);
    expect(await complaint((x) => apply(constant, x), f64([1, 2]))).to.match(/derivative of order 2/);
  });

  it("finds a missing rule, a wrong sign, NaN, and what is off by a part in ten thousand", async () => {
    const bad: Primitive["vjp"][] = [[null], [(g, out) => g.mul(out).neg()], [(g) => g.mul(NaN)], [(g, out) => g.mul(out).mul(1.0001)]];
    for (const vjp of bad) expect(await complaint((x) => apply(broken(vjp), x), f64([1, 2]))).to.match(/order 1/);
  });

  it("names the guilty input", async () => {
    const f = (x: Tensor, y: Tensor): Tensor => x.mul(y).add(apply(broken([(g) => g.mul(0)]), y));
    const text = await complaint(f, f64([1, 2]), f64([3, 4]));
    expect(text).to.match(/input 0 .*\)\n/);
    expect(text).not.to.match(/input 0 .*<- here/);
    expect(text).to.match(/input 1 .*<- here/);
  });

  it("lets right ones pass, with several outputs and integer inputs among them", async () => {
    await checkGradients((x, i) => [x.exp(), x.takeRows(i).square(), i], [f64([1, 2]), int([1, 0, 1])]);
  });

  it("goes to the order it is told", async () => {
    await checkGradients((x) => x.sin(), [f64([0.3])], { order: 4 });
    const constant = broken([(g, out) => g.mul(out.detach())]);
    await checkGradients((x) => apply(constant, x), [f64([1])], { order: 1 });
  });

  it("moves parameters that the function closes over, and puts them back", async () => {
    const w = leaf([2, 3]);
    await checkGradients((x) => x.mul(w).tanh(), [f64([0.1, 0.2])], { parameters: [w] });
    expect(Array.from(await w.data())).to.deep.equal([2, 3]);
    await checkGradients(() => w.square(), [], { parameters: [w] });
  });

  it("works in float32, more coarsely", async () => {
    await checkGradients((x) => x.sigmoid(), [f32([0.5, -1])]);
    expect(await complaint((x) => apply(broken([(g, out) => g.mul(out).mul(1.1)]), x), f32([1, 2]))).to.match(/order 1/);
  });

  it("does not touch its inputs", async () => {
    const x = f64([1, 2]);
    await checkGradients((y) => y.exp(), [x]);
    expect([x.requiresGrad, x.disposed, x.grad]).to.deep.equal([false, false, null]);
    expect(Array.from(await x.data())).to.deep.equal([1, 2]);
  });

  it("says when there is nothing to differentiate by, and what it cannot move", async () => {
    expect(await complaint((x) => x.cast("float64"), int([1]))).to.match(/no float input and no parameter/);
    expect(await complaint((x) => x, tensor([1], { dtype: "bfloat16" }))).to.match(/bfloat16 \[1\]: differences need float64 or float32/);
  });
});

describe("arbitraries", () => {
  it("broadcastable shapes do", () => {
    fc.assert(fc.property(broadcastable(), ([a, b]) => void expect(broadcastShapes(a, b)).not.to.equal(undefined)));
  });

  it("axes name each axis once", () => {
    const drawn = shapes({ minAxes: 1 }).chain((shape) => fc.tuple(fc.constant(shape), axesOf(shape)));
    fc.assert(fc.property(drawn, ([shape, axes]) => void expect(() => ones(shape).sum(axes)).not.to.throw()));
  });

  it("distinct arrays have no ties", () => {
    fc.assert(fc.property(distinctArrays([3, 4]), ({ data }) => void expect(new Set(data).size).to.equal(12)));
  });
});
