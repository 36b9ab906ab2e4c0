/** The checker itself: what it must find, what it must let pass, and what it says. */
import { expect } from "chai";
import fc from "fast-check";
import { key, ones, tensor } from "switchyard-moe";
import type { Key, Tensor } from "switchyard-moe";
import { axesOf, broadcastable, checkGradients, distinctArrays, shapes } from "switchyard-moe/testing";
import { broadcastShapes } from "../../src/backend/shape.ts";
import { exp } from "../../src/autograd/elementwise.ts";
import { uniform } from "../../src/autograd/random.ts";
import { near } from "../../src/testing/check.ts";
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

  it("says exactly what it found: the terms of the tape, the five-point rule, and the allowance for both", async () => {
    const moves = [0.75, 2, -1, 5, 3.5]; // what is added in each of the five evaluations: at x, then at h, -h, 2h and -2h
    let calls = 0;
    const f = (x: Tensor): Tensor => x.mul(3).add(moves[calls++ % 5]);
    const [at, step, tolerance] = [key(8), 0.25, 1e-3];
    const drawn = (of: Key): number => uniform([], of, { low: -1, high: 1, dtype: "float64" }).itemSync();
    const [cotangent, direction] = [drawn(at.at("cotangent").at(0)), drawn(at.at("order", 1, 0))];
    const value = (i: number, moved: number): number => {
      const y = 3 * (1 + moved * direction) + moves[i];
      return (0.1 * y + cotangent) * y;
    };
    const [a, b, c, d] = [step, -step, 2 * step, -2 * step].map((moved, i) => value(i + 1, moved));
    const tape = 3 * (0.2 * (3 + moves[0]) + cotangent) * direction;
    const differences = (8 * (a - b) - (c - d)) / (12 * step);
    const allowed = tolerance * (Math.abs(tape) + Math.max(...[a, b, c, d].map(Math.abs)) + 1e-3);
    const told = await checkGradients(f, [tensor(1, { dtype: "float64" })], { key: at, step, tolerance }).then(() => "nothing", String);
    const found = /the tape says (.*), finite differences say (.*) \(apart (.*), allowed (.*)\); step 0.25/.exec(told.split("\n")[0]);
    [tape, differences, Math.abs(tape - differences), allowed].forEach((number, i) =>
      near(Number(found?.[i + 1]), number, `number ${i}`, 1e-12),
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
