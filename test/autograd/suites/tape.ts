/** The tape: what it records and prints, walks and walks again, leaves, seeds, scopes. */
import { expect } from "chai";
import { concat, debug, einsum, noGrad, ones, scope, Tape, tensor, where, zeros, zerosLike } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { apply } from "../../../src/autograd/apply.ts";
import type { Primitive } from "../../../src/autograd/primitive.ts";
import { bf16, f32, f64, int, leaf, near, same, valuesOf } from "../helpers.ts";

const named = (name: string, data: number | number[]): Tensor => tensor(data, { dtype: "float64", requiresGrad: true, name });

/** The scalar derivatives of f at a point, from the function itself on. */
async function derivatives(f: (x: Tensor) => Tensor, at: number, order: number): Promise<number[]> {
  const x = leaf(at);
  const found = [f(x)];
  for (let n = 0; n < order; n++) found.push(found[n].gradients([x], { createGraph: true })[0]);
  return Promise.all(found.map((y) => y.item()));
}

function printing(): void {
  it("prints one line per operation, leaves before them, numbers as they are", () => {
    const [x, y] = [named("x", [1, 2]), named("y", 3)];
    const z = x.mul(y).add(2).mul(x).sum();
    expect(String(new Tape(z))).to.equal(
      [
        "$x : float64 [2]",
        "$y : float64 []",
        "%0 = mul($x, $y) : float64 [2]",
        "%1 = add(%0, 2) : float64 [2]",
        "%2 = mul(%1, $x) : float64 [2]",
        "%3 = sum(%2) : float64 []",
      ].join("\n"),
    );
  });

  it("does not confuse an unnamed leaf with a number, nor a constant with a leaf", () => {
    const z = leaf(2)
      .add(0)
      .mul(f64([4]));
    expect(String(new Tape(z))).to.equal(
      "$0 : float64 []\n$1 : float64 [1] (constant)\n%0 = add($0, 0) : float64 []\n%1 = mul(%0, $1) : float64 [1]",
    );
  });

  it("holds only what the root depends on, once each", () => {
    const x = leaf(2);
    x.exp();
    const y = x.square();
    expect(new Tape(y.add(y)).lines.map((line) => line.name)).to.deep.equal(["square", "add"]);
    expect(new Tape(x).lines).to.deep.equal([]);
  });
}

function higherOrders(): void {
  it("x^4 has the derivatives 4 x^3, 12 x^2, 24 x, 24", async () => {
    near(await derivatives((x) => x.square().square(), 2, 4), [16, 32, 48, 48, 24]);
    near(await derivatives((x) => x.pow(4), 2, 4), [16, 32, 48, 48, 24]);
  });

  it("sin comes back after four", async () => {
    const [s, c] = [Math.sin(0.7), Math.cos(0.7)];
    near(await derivatives((x) => x.sin(), 0.7, 5), [s, c, -s, -c, s, c]);
  });

  it("sigmoid, to the third", async () => {
    const s = 1 / (1 + Math.exp(-0.3));
    const first = s * (1 - s);
    near(await derivatives((x) => x.sigmoid(), 0.3, 3), [s, first, first * (1 - 2 * s), first * (1 - 6 * s + 6 * s * s)]);
  });

  it("a Hessian-vector product of a quadratic form is (A + A^T) v", async () => {
    const A = f64([[1, 2], [3, 4]]); // prettier-ignore
    const [x, v] = [leaf([1, -1]), f64([2, 5])];
    const [g] = einsum("i,ij,j->", x, A, x).gradients([x], { createGraph: true });
    same(await valuesOf(g.mul(v).sum().gradients([x])[0]), [4 + 25, 10 + 40]); // prettier-ignore
  });

  it("without createGraph a gradient is a constant", () => {
    const x = leaf(2);
    const [g] = x.square().gradients([x]);
    expect(g.requiresGrad).to.equal(false);
    expect(x.square().gradients([x], { createGraph: true })[0].requiresGrad).to.equal(true);
  });
}

function leaves(): void {
  it("backward adds up in .grad, gradients leave it alone", async () => {
    const x = leaf([1, 2]);
    const y = x.square().sum();
    y.backward();
    y.backward();
    y.gradients([x]);
    same(await valuesOf(x.grad ?? x), [4, 8]);
    x.zeroGrad();
    expect(x.grad).to.equal(null);
  });

  it("backward reaches every leaf, and no constant", () => {
    const [x, y, c] = [leaf(1), leaf(2), f64(3)];
    x.mul(y).mul(c).backward();
    expect([x.grad, y.grad, c.grad].map((g) => g !== null)).to.deep.equal([true, true, false]);
  });

  it("a leaf is its own root", async () => {
    const x = leaf(5);
    x.backward();
    same(await valuesOf(x.grad ?? x), [1]);
    same(await valuesOf(x.gradients([x])[0]), [1]);
  });

  it("a gradient that was never written to is the storage of nobody else", async () => {
    const seed = f64([1, 2]);
    const x = leaf([5, 6]);
    x.backward({ seed });
    const before = x.grad;
    before?.assign(f64([7, 7]));
    same(await valuesOf(seed), [1, 2]);
  });

  it("an x that the root does not depend on gets zeros", async () => {
    const [x, y] = [leaf([1, 2]), leaf(3)];
    same(await valuesOf(y.square().gradients([x])[0]), [0, 0]);
  });

  it("gradients by what was computed", async () => {
    const x = leaf([1, 2]);
    const y = x.exp();
    const z = y.square().sum();
    near(await valuesOf(z.gradients([y])[0]), [2 * Math.E, 2 * Math.E ** 2]);
  });

  it("gradients by a value and by what it was computed from, together", async () => {
    const x = leaf(3);
    const y = x.square();
    const z = y.mul(x);
    const [dx, dy] = z.gradients([x, y]);
    same([await dx.item(), await dy.item()], [27, 3]);
  });

  it("a seed stands for the cotangent of a root that is no scalar", async () => {
    const x = leaf([1, 2]);
    same(await valuesOf(x.square().gradients([x], { seed: f64([1, 10]) })[0]), [2, 40]);
  });

  it("a value used twice gets both parts; one tensor as both operands too", async () => {
    const x = leaf(3);
    same(await valuesOf(x.mul(x).gradients([x])[0]), [6]);
    same(await valuesOf(concat([x.reshape([1]), x.reshape([1]).mul(2)]).sum().gradients([x])[0]), [3]); // prettier-ignore
  });

  it("noGrad and detach leave no history", async () => {
    const x = leaf(3);
    expect(noGrad(() => x.square()).requiresGrad).to.equal(false);
    same(await valuesOf(x.mul(x.detach()).gradients([x])[0]), [3]);
  });

  it("integers carry no history", () => {
    const x = leaf([3, 1]);
    expect([x.argsort(), x.argmax(), x.cast("int32"), x.greater(1)].map((y) => y.requiresGrad)).to.deep.equal([false, false, false, false]);
  });

  it("a chain of ten thousand operations needs no stack", async () => {
    const x = leaf(1);
    let y: Tensor = x;
    for (let i = 0; i < 10_000; i++) y = y.add(x);
    same(await valuesOf(y.gradients([x])[0]), [10_001]);
  });

  it("zerosLike of a scalar is a tensor of its own", async () => {
    const zero = zerosLike(f64(5));
    zero.requireGrad();
    zero.assign(f64(9));
    same(await valuesOf(f64(1).add(0)), [1]);
    same(await valuesOf(zerosLike(f64(5))), [0]);
  });
}

function assignment(): void {
  it("x^2 at 3, walked before assign, is 6", async () => {
    const x = leaf(3);
    const y = x.square();
    const [g] = y.gradients([x]);
    x.assign(f64(10));
    same([await g.item(), await x.item(), await y.item()], [6, 10, 9]);
  });

  it("computed again after assign, the new value counts", async () => {
    const x = leaf(3);
    x.square();
    x.assign(f64(10));
    same(await valuesOf(x.square().gradients([x])[0]), [20]);
  });

  it("a view keeps the old values", async () => {
    const x = leaf([[1, 2], [3, 4]]); // prettier-ignore
    const before = noGrad(() => x.transpose());
    x.assign(f64([[5, 6], [7, 8]])); // prettier-ignore
    same(await valuesOf(before), [1, 3, 2, 4]);
    same(await valuesOf(x.transpose()), [5, 7, 6, 8]);
  });

  it("takes strided values, and does not follow their owner", async () => {
    const [x, y] = [leaf([[1, 2], [3, 4]]), leaf([[5, 6], [7, 8]])]; // prettier-ignore
    x.assign(y.detach().transpose());
    y.assign(f64([[0, 0], [0, 0]])); // prettier-ignore
    same(await valuesOf(x), [5, 7, 6, 8]);
  });

  it("a line that is not needed may be outdated", async () => {
    const [x, y] = [leaf(3), leaf(4)];
    const z = x.square().add(y.square());
    y.assign(f64(1));
    same(await valuesOf(z.gradients([x])[0]), [6]);
  });
}

function scopes(): void {
  it("keeps what is returned, through arrays and plain objects, and frees the rest", async () => {
    const inner: Tensor[] = [];
    const make = (value: number): Tensor => {
      inner.push(f64([value]));
      return inner[inner.length - 1];
    };
    const kept = scope(() => {
      make(0);
      return { a: make(1), list: [make(2), { deep: make(3) }], n: 7, nothing: null };
    });
    same(await valuesOf(kept.a), [1]);
    expect(inner.map((x) => x.disposed)).to.deep.equal([true, false, false, false]);
  });

  it("follows results that point at themselves", () => {
    const kept = scope(() => {
      const ring: { x: Tensor; self?: unknown } = { x: f64(1) };
      ring.self = ring;
      return ring;
    });
    expect(kept.x.disposed).to.equal(false);
  });

  it("frees everything when the function throws", () => {
    let inner: Tensor | undefined;
    expect(() =>
      scope(() => {
        inner = ones([2]);
        throw new Error("no");
      }),
    ).to.throw("no");
    expect(inner?.disposed).to.equal(true);
  });

  it("leaves, gradients and what they hold outlive every scope", async () => {
    const x = scope(() => {
      const weight = leaf([1, 2]);
      scope(() => weight.square().sum().backward()); // prettier-ignore
      return { weight };
    }).weight;
    same(await valuesOf(x.grad ?? x), [2, 4]);
    let leaked: Tensor | undefined;
    scope(() => void (leaked = leaf(1)));
    expect(leaked?.disposed).to.equal(false);
  });

  it("hands results to the scope around", () => {
    let inner: Tensor | undefined;
    scope(() => void scope(() => (inner = ones([1]))));
    expect(inner?.disposed).to.equal(true);
  });

  it("frees a view's base without the view", async () => {
    const view = scope(() => f64([[1, 2], [3, 4]]).transpose()); // prettier-ignore
    same(await valuesOf(view), [1, 3, 2, 4]);
  });

  it("may close before its numbers are read", async () => {
    const read = scope(() => ({ later: f64([1, 2]).mul(3).data() })); // prettier-ignore
    same(Array.from(await read.later), [3, 6]);
  });

  it("restores the context behind an error", () => {
    expect(() =>
      noGrad(() => {
        throw new Error("no");
      }),
    ).to.throw();
    expect(leaf(1).square().requiresGrad).to.equal(true);
  });
}

function reading(): void {
  it("data, item and array", async () => {
    expect(await f64([[1, 2], [3, 4]]).transpose().array()).to.deep.equal([[1, 3], [2, 4]]); // prettier-ignore
    expect(await f64(5).item()).to.equal(5);
    expect(await zeros([2, 0]).array()).to.deep.equal([[], []]);
    expect(await f32([1]).data()).to.be.instanceOf(Float32Array);
    expect(await f64([1]).data()).to.be.instanceOf(Float64Array);
    expect(await int([1]).data()).to.be.instanceOf(Int32Array);
    expect(await bf16([1.00390625]).data()).to.deep.equal(Float32Array.of(1));
  });

  it("what was read is a copy", async () => {
    const x = f64([1, 2]);
    (await x.data())[0] = 9;
    same(await valuesOf(x), [1, 2]);
  });

  it("views read in their own order: flips, slices, stretches, and reshapes of them", async () => {
    const x = f64([[1, 2, 3], [4, 5, 6]]); // prettier-ignore
    same(await valuesOf(x.flip(1).slice(null, [0, 2])), [3, 2, 6, 5]);
    same(await valuesOf(x.narrow(1, 1, 2).broadcastTo([2, 2])), [2, 2, 5, 5]);
    same(await valuesOf(x.transpose().reshape([2, 3])), [1, 4, 2, 5, 3, 6]);
    same(await valuesOf(x.transpose().flip().reshape([-1])), [6, 3, 5, 2, 4, 1]);
  });

  it("debug changes nothing but what it finds", async function () {
    if (!ones([1]).backend.downloadSync) return this.skip();
    const x = leaf([1, 2]);
    const y = debug(() => where(x.greater(1), x.square(), 0).sum());
    same(await valuesOf(y.gradients([x])[0]), [0, 4]);
  });
}

/** A primitive of x [n] whose derivative rule is `rule`. */
const wrong = (rule: (g: Tensor) => Tensor): Primitive => ({
  name: "wrong",
  type: ({ shape, dtype }) => ({ shape, dtype }),
  run: (backend, out, x) => backend.unary("neg", out, x),
  vjp: [rule],
});

function rules(): void {
  it("must give what fits the input, and are named where they do not", () => {
    const x = leaf([1, 2]);
    const walk = (rule: (g: Tensor) => Tensor) => () => apply(wrong(rule), x).sum().backward();
    expect(walk((g) => g.neg())).not.to.throw();
    expect(walk((g) => g.cast("float32"))).to.throw(
      TypeError,
      "wrong: its derivative rule for input 0 gave float32 [2], the input is float64 [2]",
    );
  });
}

export function tape(): void {
  describe("derivative rules", rules);
  describe("the tape as text", printing);
  describe("derivatives of higher order", higherOrders);
  describe("leaves and walks", leaves);
  describe("assign", assignment);
  describe("scope", scopes);
  describe("reading", reading);
}
