/** Numbers that PyTorch computed, in float64 to the fixtures' own tolerance and in float32 to a looser one. */
import { readdirSync, readFileSync } from "node:fs";
import { expect } from "chai";
import type { Backend } from "switchyard-moe";
import { wasm } from "switchyard-moe/backend/wasm";
import type { WasmBackend } from "switchyard-moe/backend/wasm";
import { outOfScope, run } from "./fixtures/adapter.ts";
import type { Fixture, Result, Tree } from "./fixtures/adapter.ts";
import { isTensor } from "./fixtures/format.ts";

const folder = new URL("./fixtures/", import.meta.url);
const cases = readdirSync(folder, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".json") && name !== "siblings.json")
  .toSorted()
  .map((name) => JSON.parse(readFileSync(new URL(name, folder), "utf8")) as Fixture);

interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
}

type Near = (wanted: readonly number[]) => Tolerance;

/** Whatever is wanted must be there and near; what else was computed is nobody's business. */
function compare(path: string, got: Tree | undefined, want: Tree, near: Near): void {
  if (isTensor(want)) {
    expect(isTensor(got), `${path}: a tensor`).to.equal(true);
    if (!isTensor(got)) return;
    expect(got.shape, `${path}: shape`).to.deep.equal(want.shape);
    const exact = ["int64", "bool", "uint32"].includes(want.dtype);
    numbers(path, got.data.map(Number), want.data.map(Number), exact ? () => ({ rtol: 0, atol: 0 }) : near);
  } else if (typeof want === "number" || want === null) {
    numbers(path, [Number(got)], [Number(want)], near);
  } else if (Array.isArray(want)) {
    expect(Array.isArray(got), `${path}: a list`).to.equal(true);
    numbers(path, (got as readonly number[]).map(Number), want.map(Number), near);
  } else
    for (const [name, part] of Object.entries(want))
      compare(`${path}.${name}`, (got as Record<string, Tree> | undefined)?.[name], part, near);
}

function numbers(path: string, got: readonly number[], want: readonly number[], near: Near): void {
  const { rtol, atol } = near(want);
  expect(got.length, `${path}: length`).to.equal(want.length);
  want.forEach((w, i) => {
    const agrees = Number.isFinite(w) ? Math.abs(got[i] - w) <= atol + rtol * Math.abs(w) : Object.is(got[i], w);
    if (!agrees) expect.fail(`${path}[${i}]: got ${got[i]}, want ${w} (rtol ${rtol}, atol ${atol})`);
  });
}

function compareAll({ expected, grads }: Fixture, result: Result | undefined, near: Near): void {
  if (!result) return expect.fail("the adapter does not know this operation");
  compare("outputs", result.outputs, expected, near);
  compare("grads", result.grads, grads, near);
}

/** Whether float32 can hold every finite number of a tree. */
function fitsFloat32(tree: Tree): boolean {
  if (isTensor(tree))
    return tree.data.every(
      (x) => !Number.isFinite(x) || x === 0 || (Number.isFinite(Math.fround(Number(x))) && Math.fround(Number(x)) !== 0),
    );
  return typeof tree !== "object" || tree === null || Object.values(tree).every(fitsFloat32);
}

/** float32 as the fixtures' own notes have it: optimisers and whole models a little looser. */
function inFloat32(fixture: Fixture, backend?: Backend): void {
  const whole = /encoder_decoder|causal_lm|generate/.test(fixture.op);
  const rtol = fixture.id.startsWith("optim/") || whole ? 1e-3 : 1e-4;
  // Products of the fast backends add in float32, those of the reference in float64: through a whole T5 the largest error of a gradient is
  // 2.8e-5 of its largest element there and 3.6e-6 here (t5_gated_gelu_untied), by rounding alone.
  const share = whole && backend ? 4e-5 : 1e-5;
  const near: Near = (wanted) => ({ rtol, atol: share * Math.max(1e-3, ...wanted.filter(Number.isFinite).map(Math.abs)) });
  compareAll(fixture, run(fixture, { dtype: "float32", ...(backend ? { backend } : {}) }), near);
}

const known = cases.filter(({ op }) => !(op.toLowerCase() in outOfScope));
const narrow = known.filter(
  ({ id, inputs, expected, grads }) => !id.startsWith("numerics/") && [inputs, expected, grads].every(fitsFloat32),
);

describe("fixtures", () => {
  for (const fixture of known) it(`${fixture.id}, float64`, () => compareAll(fixture, run(fixture), () => fixture));
  for (const fixture of narrow) it(`${fixture.id}, float32`, () => inFloat32(fixture));

  for (const fixture of cases.filter((one) => !known.includes(one)))
    it(`${fixture.id} is out of scope`, () => expect(run(fixture)).to.equal(undefined));

  for (const fixture of known.filter(({ op }) => op === "multi_head_attention"))
    it(`${fixture.id}, its projections apart, as PyTorch keeps them where widths differ`, () => {
      const { in_proj_weight: whole, ...rest } = fixture.params;
      if (!isTensor(whole)) return expect.fail("no in_proj_weight");
      const [rows, width] = whole.shape;
      const third = (rows / 3) * width;
      const parts = ["q", "k", "v"].map((letter, i): [string, Tree] => [
        `${letter}_proj_weight`,
        { ...whole, shape: [rows / 3, width], data: whole.data.slice(i * third, (i + 1) * third) },
      ]);
      const { in_proj_weight: slopes, ...grads } = fixture.grads;
      if (!isTensor(slopes)) return expect.fail("no gradient of in_proj_weight");
      const apart = parts.map(([name], i): [string, Tree] => [
        name,
        { ...slopes, shape: [rows / 3, width], data: slopes.data.slice(i * third, (i + 1) * third) },
      ]);
      const asked = { ...fixture, params: { ...rest, ...Object.fromEntries(parts) }, grads: { ...grads, ...Object.fromEntries(apart) } };
      compareAll(asked, run(asked), () => fixture);
    });

  it("knows no operation by a name that it never heard", () => {
    expect(run({ ...cases[0], op: "torch.nothing_of_this_name" })).to.equal(undefined);
  });
});

/** Operations that no fixture names, computed by NumPy, SciPy and PyTorch: the adapter maps families. Gradients are checked by differences. */
const siblings = JSON.parse(readFileSync(new URL("siblings.json", folder), "utf8")) as Fixture[];

/** The scalar whose gradient `run` answers with. */
function total(fixture: Fixture, result: Result | undefined): number {
  return Object.entries(fixture.cotangents).reduce((sum, [name, cotangent]) => {
    const out = result?.outputs[name];
    if (!isTensor(out) || !isTensor(cotangent)) throw new TypeError(`${fixture.id}: no output "${name}"`);
    return sum + out.data.reduce((part: number, x, i) => part + Number(x) * Number(cotangent.data[i]), 0);
  }, 0);
}

/** The derivative of the total by element `i` of one input. */
function difference(fixture: Fixture, name: string, i: number, h = 1e-6): number {
  const moved = (by: number): number => {
    const input = fixture.inputs[name];
    if (!isTensor(input)) throw new TypeError(`${fixture.id}: no input "${name}"`);
    const inputs = { ...fixture.inputs, [name]: { ...input, data: input.data.with(i, Number(input.data[i]) + by) } };
    return total(fixture, run({ ...fixture, inputs }));
  };
  return (moved(h) - moved(-h)) / (2 * h);
}

describe("siblings of the fixtures", () => {
  for (const fixture of siblings)
    it(fixture.id, () => {
      const { grads, ...free } = fixture;
      expect(grads).to.deep.equal({});
      const result = run({ ...free, grads: fixture.inputs });
      compareAll(fixture, result, () => fixture);
      if (Object.keys(fixture.cotangents).length === 0) return;
      for (const [name, input] of Object.entries(fixture.inputs)) {
        if (!isTensor(input) || input.dtype !== "float64") continue;
        const want = input.data.slice(0, 3).map((_, i) => difference(fixture, name, i));
        const got = result?.grads[name];
        if (!isTensor(got)) return expect.fail(`no gradient of ${name}`);
        numbers(`grads.${name}`, got.data.slice(0, 3).map(Number), want, () => ({ rtol: 1e-5, atol: 1e-6 })); // prettier-ignore
      }
    });
});

describe("fixtures on WebAssembly", () => {
  let backend: WasmBackend;
  before(async () => void (backend = await wasm({ threads: 1 })));
  after(() => backend.close());
  for (const fixture of narrow) it(`${fixture.id}, float32`, () => inFloat32(fixture, backend));
  for (const fixture of known.filter(({ id }) => id.startsWith("numerics/")))
    it(fixture.id, () => compareAll(fixture, run(fixture, { backend }), () => ({ rtol: Math.max(fixture.rtol, 2 ** -7), atol: 0 })));
});
