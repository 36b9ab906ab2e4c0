/** bfloat16: each public operation computes in float32 and rounds its result once, and so does its derivative. */
import { expect } from "chai";
import fc from "fast-check";
import { activate, einsum, key, tensor, where } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { arrays, numbers } from "switchyard-moe/testing";
import { bf16, f32, same, valuesOf } from "./helpers.ts";

type Operation = (...inputs: Tensor[]) => Tensor;

/** Each takes x [3, 4] and y [3, 4]; what it makes of float32 numbers, rounded once, is what it must make of bfloat16 ones. */
const operations: Record<string, Operation> = {
  add: (x, y) => x.add(y),
  mul: (x, y) => x.mul(y),
  div: (x, y) => x.div(y),
  pow: (x) => x.pow(3),
  exp: (x) => x.exp(),
  tanh: (x) => x.tanh(),
  gelu: (x) => x.gelu(),
  silu: (x) => x.silu(),
  "activation with a bias": (x, y) => activate(x, "gelu", y),
  sum: (x) => x.sum(1),
  mean: (x) => x.mean(),
  variance: (x) => x.variance(1),
  std: (x) => x.std(1),
  norm: (x) => x.norm(),
  prod: (x) => x.prod(1),
  logSumExp: (x) => x.logSumExp(1),
  softmax: (x) => x.softmax(),
  logSoftmax: (x) => x.logSoftmax(0),
  cumsum: (x) => x.cumsum(1),
  matmul: (x, y) => x.matmul(y.transpose()),
  "matrix and vector": (x, y) => x.matmul(y.narrow(0, 0, 1).squeeze(0)),
  einsum: (x, y) => einsum("ij,kj->ik", x, y),
  scatterAdd: (x, y) => x.scatterAdd(tensor([[0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 0, 0]], { dtype: "int32" }), y, 0), // prettier-ignore
  addRows: (x) => x.addRows(tensor([0, 1, 0], { dtype: "int32" }), 2),
  dropout: (x) => x.dropout(0.3, key(1)),
  where: (x, y) => where(x.greater(0), x, y),
  max: (x) => x.max(1),
};

const pair = fc.tuple(arrays([3, 4], numbers({ min: -2, max: 2, shift: 1 / 128 })), arrays([3, 4], numbers({ min: 0.5, max: 2 })));

/** Results and cotangents of both inputs, for a cotangent of ones. */
function withCotangents(f: Operation, x: Tensor, y: Tensor): Tensor[] {
  const [a, b] = [x.requireGrad(), y.requireGrad()];
  const out = f(a, b);
  const seed = out.mul(0).add(1).detach();
  return [out.detach(), ...out.gradients([a, b], { seed })];
}

describe("bfloat16", () => {
  for (const [name, f] of Object.entries(operations))
    it(`${name} rounds once, forward and backward`, () =>
      fc.assert(
        fc.asyncProperty(pair, async ([x, y]) => {
          const narrow = [x, y].map(({ data, shape }) => tensor(data, { shape, dtype: "bfloat16" }));
          const wide = narrow.map((z) => z.cast("float32"));
          const got = withCotangents(f, narrow[0], narrow[1]);
          const want = withCotangents(f, wide[0], wide[1]).map((z) => z.cast("bfloat16"));
          for (const [i, z] of got.entries()) {
            expect(z.dtype).to.equal("bfloat16");
            same(await valuesOf(z), await valuesOf(want[i]), i === 0 ? "value" : `cotangent ${i - 1}`);
          }
        }),
        { numRuns: 20 },
      ));

  it("accumulates in float32: 256 ones and a small one", async () => {
    const x = bf16([...new Array<number>(256).fill(1), 2]);
    expect(await x.sum().item()).to.equal(258);
    expect(await x.matmul(x.mul(0).add(1)).item()).to.equal(258);
  });

  it("rounds to nearest, ties to even", async () => {
    const [down, up, over] = [1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20];
    same(await valuesOf(bf16([down, up, over])), [1, 1 + 2 ** -6, 1 + 2 ** -7]);
    same(await valuesOf(f32([down, up, over]).cast("bfloat16").cast("float32")), [1, 1 + 2 ** -6, 1 + 2 ** -7]);
  });

  it("master weights stay float32: the gradient passes the cast", async () => {
    const w = f32([1.001, 2]).requireGrad();
    const loss = w
      .cast("bfloat16")
      .mul(bf16([3, 5]))
      .sum();
    expect(loss.dtype).to.equal("bfloat16");
    const [g] = loss.gradients([w]);
    expect(g.dtype).to.equal("float32");
    same(await valuesOf(g), [3, 5]);
  });

  it("ranks without rounding", async () => {
    same(await valuesOf(bf16([1, 3, 2]).topK(2).indices), [1, 2]);
    expect(bf16([1, 2]).topK(1).values.dtype).to.equal("bfloat16");
    expect(bf16([1, 2]).argmax().dtype).to.equal("int32");
  });
});
