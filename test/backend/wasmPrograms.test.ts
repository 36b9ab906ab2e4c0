/**
 * Random programs on the guarded heap: operations over random shapes, scalars, empty arrays and views among them, with indices that a device
 * computed, right and wrong. Each operation answers as on the cpu backend, with the same numbers or the same error, and damages nothing.
 */
import { expect } from "chai";
import fc from "fast-check";
import { activate, concat, groupedMatmul, groupedOuter, scope, stack, tensor, where } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { cpu } from "switchyard-moe/backend";
import { wasm } from "switchyard-moe/backend/wasm";
import type { WasmBackend } from "switchyard-moe/backend/wasm";
import { crossEntropy, layerNorm, rmsNorm } from "switchyard-moe/nn";

/** What a step reads beside its first operand: other tensors of the program, and whole numbers below a bound. */
interface Draw {
  readonly other: () => Tensor;
  readonly below: (n: number) => number;
}

type Operation = (x: Tensor, draw: Draw) => Tensor;

const axisOf = (x: Tensor, { below }: Draw): number => below(Math.max(1, x.shape.length));
const lastOf = (x: Tensor): number => x.shape[x.shape.length - 1] ?? 1;
/** As int32 computed on the device: the host does not know the numbers. */
const index = (x: Tensor): Tensor => (x.dtype === "int32" ? x : x.cast("int32")).add(0);
/** `x` as rows [R, D]. */
const rows = (x: Tensor): Tensor => x.reshape([x.size / Math.max(1, lastOf(x)), lastOf(x)]);
/** The gradient of the sum of f(x) times what cannot be guessed. */
const slope = (x: Tensor, f: (x: Tensor) => Tensor): Tensor => {
  const leaf = x.contiguous().detach().requireGrad();
  const y = f(leaf);
  return y.mul(y.detach().sin()).sum().gradients([leaf])[0];
};

// prettier-ignore
const operations: Readonly<Record<string, Operation>> = {
  transpose: (x) => x.transpose(), flip: (x, d) => x.flip(axisOf(x, d)), unsqueeze: (x, d) => x.unsqueeze(d.below(x.shape.length + 1)),
  narrow: (x, d) => { const a = axisOf(x, d); const from = d.below((x.shape[a] ?? 0) + 1); return x.narrow(a, from, from + d.below((x.shape[a] ?? 0) - from + 1)); },
  stretch: (x, d) => x.unsqueeze(0).broadcastTo([1 + d.below(3), ...x.shape]), flat: (x) => x.reshape([-1]), contiguous: (x) => x.contiguous(),
  cast: (x) => x.cast(x.dtype === "int32" ? "float32" : "int32"), half: (x) => x.cast("bfloat16").cast("float32"),
  neg: (x) => x.neg(), abs: (x) => x.abs(), square: (x) => x.square(), exp: (x) => x.exp(), tanh: (x) => x.tanh(), sqrt: (x) => x.abs().sqrt(),
  cdf: (x) => x.normalCdf(), sine: (x) => x.sin(),
  add: (x, d) => x.add(d.other()), mul: (x, d) => x.mul(d.other()), maximum: (x, d) => x.maximum(d.other()), less: (x, d) => x.less(d.other()),
  floorDiv: (x, d) => x.floorDiv(d.other()), mod: (x, d) => x.mod(d.other()), addNumber: (x) => x.add(1), where: (x, d) => where(x.greater(0), x, d.other()),
  sum: (x, d) => x.sum(axisOf(x, d)), sumAll: (x) => x.sum(), max: (x, d) => x.max(axisOf(x, d)), min: (x) => x.min(), argmax: (x, d) => x.argmax(axisOf(x, d)),
  mean: (x, d) => x.mean(axisOf(x, d)), variance: (x, d) => x.variance(axisOf(x, d)), norm: (x) => x.norm(), cumsum: (x, d) => x.cumsum(axisOf(x, d), { exclusive: d.below(2) > 0, reverse: d.below(2) > 0 }),
  pad: (x, d) => x.pad(x.shape.map(() => [d.below(3), d.below(3)] as const), 7), concat: (x, d) => concat([x, d.other(), x], axisOf(x, d)), stack: (x, d) => stack([x, x], axisOf(x, d)),
  argsort: (x, d) => x.argsort(axisOf(x, d), { descending: d.below(2) > 0 }), rank: (x) => x.rank(), topK: (x, d) => x.topK(d.below(lastOf(x) + 2)).values,
  takeRows: (x, d) => x.takeRows(index(d.other())), addRows: (x, d) => x.addRows(index(d.other()), d.below(6)),
  takeAlong: (x, d) => x.takeAlong(index(d.other()), axisOf(x, d)), takeOwn: (x) => x.takeAlong(x.argsort()), addAlong: (x, d) => x.addAlong(index(x), axisOf(x, d), d.below(6)),
  countEarlier: (x) => index(x).countEarlier(), bincount: (x, d) => index(x).bincount(d.below(6)), invert: (x, d) => index(x).invert(d.below(6)),
  matmul: (x, d) => x.matmul(d.other()), gram: (x) => x.transpose().matmul(x), outer: (x, d) => { const v = d.other(); return rows(x).transpose().reshape([-1, 1]).matmul(v.reshape([1, v.size])); },
  grouped: (x, d) => { const y = rows(x); const w = d.other(); return groupedMatmul(y, w.reshape([-1]).sum().broadcastTo([2, y.shape[1], 3]), index(tensor([0, d.below(5), d.below(6) - 1], { backend: x.backend }))); },
  groupedOuter: (x, d) => { const y = rows(x); return groupedOuter(y, y, index(tensor([0, d.below(5), d.below(6)], { backend: x.backend }))); },
  softmax: (x, d) => x.softmax(axisOf(x, d)), logSoftmax: (x) => x.logSoftmax(), layerNorm: (x) => layerNorm(x), rmsNorm: (x) => rmsNorm(x, x.sum().broadcastTo([lastOf(x)])),
  relu: (x) => activate(x, "relu"), gelu: (x) => activate(x, "gelu", x.sum().broadcastTo([lastOf(x)])), loss: (x, d) => crossEntropy(rows(x), index(d.other().reshape([-1])), { reduction: "none" }),
  softmaxSlope: (x) => slope(x, (y) => y.softmax()), logSlope: (x) => slope(x, (y) => y.logSoftmax()), normSlope: (x) => slope(x, (y) => layerNorm(y, y.detach().sum().mul(0).add(1).broadcastTo([lastOf(y)]), y.detach().sum().mul(0).broadcastTo([lastOf(y)]))),
  geluSlope: (x) => slope(x, (y) => activate(y, "gelu")), prodSlope: (x, d) => slope(x, (y) => y.prod(axisOf(y, d))), maxSlope: (x, d) => slope(x, (y) => y.max(axisOf(y, d))),
};
const names = Object.keys(operations);

interface Step {
  readonly name: string;
  readonly from: number;
  readonly numbers: readonly number[];
}

const shapes = fc.array(fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 1, max: 6 }) }, fc.constantFrom(0, 17, 33)), { maxLength: 3 });
const start = fc.record({ shape: shapes, whole: fc.boolean(), seed: fc.nat(1000) });
const step: fc.Arbitrary<Step> = fc.record({
  name: fc.constantFrom(...names),
  from: fc.nat(50),
  numbers: fc.array(fc.nat(1000), { minLength: 6, maxLength: 6 }),
});

function numbersOf(size: number, whole: boolean, seed: number): number[] {
  return Array.from({ length: size }, (_, i) => (whole ? ((i * 7 + seed) % 9) - 2 : Math.sin(i * 1.3 + seed) * 3));
}

/** The result of a step on one device, or what it threw. */
function outcome({ name, from, numbers }: Step, pool: readonly Tensor[]): Tensor | string {
  let at = 0;
  const next = (): number => numbers[at++ % numbers.length];
  const draw: Draw = { other: () => pool[next() % pool.length], below: (n) => (n > 0 ? next() % n : 0) };
  try {
    return scope(() => operations[name](pool[from % pool.length], draw));
  } catch (error) {
    return String(error);
  }
}

/** Fails where a float is further away than float32 arithmetic on numbers of this size explains; whole numbers are equal. */
function expectAlike(got: Tensor, want: Tensor, size: number, what: string): void {
  expect([got.shape, got.dtype], what).to.deep.equal([want.shape, want.dtype]);
  const [a, b] = [Array.from(got.dataSync()), Array.from(want.dataSync())];
  const near = (x: number, y: number): boolean =>
    Object.is(x + 0, y + 0) || Math.abs(x - y) <= (want.dtype === "int32" ? 0 : 1e-4 * (Math.abs(y) + size));
  const bad = b.findIndex((y, i) => !near(a[i], y));
  expect(bad, `${what}: element ${bad} is ${a[bad]}, wanted ${b[bad]}`).to.equal(-1);
}

describe("random programs", () => {
  let device: WasmBackend;
  const reference = cpu();
  before(async () => void (device = await wasm({ threads: 1, guarded: true })));
  after(() => device.close());

  const ran = new Map<string, number>();
  let refused = 0;

  function run(starts: readonly { shape: number[]; whole: boolean; seed: number }[], steps: readonly Step[]): void {
    const pools = [device, reference].map((backend) =>
      starts.map(({ shape, whole, seed }) =>
        tensor(
          numbersOf(
            shape.reduce((n, size) => n * size, 1),
            whole,
            seed,
          ),
          { shape, dtype: whole ? "int32" : "float32", backend },
        ),
      ),
    );
    for (const each of steps) {
      const [got, want] = pools.map((pool) => outcome(each, pool));
      const what = `${each.name} of ${pools[1][each.from % pools[1].length].label}`;
      if (typeof got === "string" || typeof want === "string") {
        expect(got, what).to.equal(want);
        refused++;
        continue;
      }
      const values = Array.from(want.dataSync());
      const largest = Math.max(1, ...pools[1].map((x) => Array.from(x.dataSync()).reduce((top, v) => Math.max(top, Math.abs(v)), 0)));
      expectAlike(got, want, largest ** 2 * 40, what);
      ran.set(each.name, (ran.get(each.name) ?? 0) + 1);
      // Numbers that grow, or are none, would hide differences; so would errors that add up: what differs in its last bits is replaced.
      if (values.some((v) => !(Math.abs(v) < 100)) || want.size > 3000) continue;
      const equal = Array.from(got.dataSync()).every((v, i) => Object.is(v, values[i]));
      pools[0].push(equal ? got : want.to(device));
      pools[1].push(want);
    }
  }

  it("answer as on the cpu backend, and damage nothing", async function () {
    this.timeout(180_000);
    const programs = [fc.array(start, { minLength: 2, maxLength: 4 }), fc.array(step, { minLength: 4, maxLength: 24 })] as const;
    const property = fc.asyncProperty(...programs, async (starts, steps) => {
      try {
        scope(() => run(starts, steps));
      } catch (error) {
        // A damaged heap would fail the next program too.
        device.close();
        device = await wasm({ threads: 1, guarded: true });
        throw error;
      }
    });
    await fc.assert(property, { numRuns: 250, seed: 11 });
    expect([...ran.keys()], "operations that answered").to.have.members(names);
    expect(refused).to.be.above(200);
  });
});
