/**
 * Fused kernels against the compositions they stand for. Cotangents come from finite differences of the oracle in float64, so no
 * derivative is written down twice.
 */
import { expect } from "chai";
import type { Activation, AdamStep, Buffer, DType, FusedKernel, FusedKernels, NDArray } from "../../../src/backend/backend.ts";
import type { Law } from "../conformance.ts";
import * as oracles from "../fusedOracles.ts";
import { cotangents } from "../fusedOracles.ts";
import { integers, plain, random } from "../plain.ts";
import type { Plain } from "../plain.ts";
import { whole } from "../workbench.ts";
import type { LayoutName, Workbench } from "../workbench.ts";

interface Case<A> {
  readonly inputs: (dtype: DType) => readonly Plain[];
  readonly attributes: A;
}

/** What is asked of one fused function: what it means, and where to try it. */
interface Fused<A> {
  readonly pick: (kernels: FusedKernels) => FusedKernel<A> | undefined;
  readonly meaning: (inputs: readonly Plain[], attributes: A) => Plain;
  readonly cases: readonly Case<A>[];
}

const tries: readonly LayoutName[] = ["contiguous", "swapped", "tangled"];

function lawOf<A>({ pick, meaning, cases }: Fused<A>): Law {
  return async (bench) => {
    const kernel = pick(bench.backend.fused);
    if (!kernel) return "not served";
    let served = 0;
    for (const dtype of bench.floats) {
      for (const { inputs, attributes } of cases) {
        if (!bench.takes()) continue;
        const question = ask(inputs(dtype), attributes, meaning);
        for (const layout of bench.among(tries)) if (await answers(bench, kernel, question, layout)) served++;
      }
    }
    return served === 0 ? "not served" : undefined;
  };
}

/** One case with what must come out of it. */
interface Question<A> {
  readonly inputs: readonly Plain[];
  readonly attributes: A;
  readonly want: Plain;
  readonly g: Plain;
  readonly slopes: readonly (Plain | null)[];
}

function ask<A>(inputs: readonly Plain[], attributes: A, meaning: Fused<A>["meaning"]): Question<A> {
  const want = meaning(inputs, attributes);
  const g = random(want.shape, want.dtype, 7);
  return { inputs, attributes, want, g, slopes: cotangents((xs) => meaning(xs, attributes), inputs, g) };
}

/** Runs one case forward and backward; false where the kernel declines it. */
async function answers<A>(bench: Workbench, kernel: FusedKernel<A>, question: Question<A>, layout: LayoutName): Promise<boolean> {
  const { inputs, attributes, want, g, slopes } = question;
  const views = inputs.map((x) => bench.put(x, layout));
  const forward = kernel.forward({ shape: want.shape, dtype: want.dtype }, views, attributes);
  if (!forward) return false;
  forward.saved.forEach((buffer) => bench.keep(buffer));
  const what = `of ${inputs.map((x) => `[${x.shape}]`).join(", ")}, ${JSON.stringify(attributes)}, ${layout}`;
  bench.compare(`forward ${what}`, (await bench.read(forward.out, want)).data, want, 2, 20);

  const out = whole(forward.out, want);
  const [together, ...alone] = neededPatterns(inputs);
  for (const needed of [together, ...(alone.length > 0 ? bench.among(alone) : [])]) {
    const slope = bench.put(g, layout);
    const backward = kernel.backward(slope, out, forward.saved, views, needed, attributes);
    const given = backward.map((buffer) => buffer !== null);
    expect(given, `cotangents ${what}`).to.deep.equal(needed);
    await compareAll(bench, `backward ${what}, needed [${needed}]`, backward, slopes);
    if (layout !== "contiguous") continue;
    expect((await bench.read(slope.buffer, g)).data, `the cotangent, which others may read, ${what}`).to.deep.equal(g.data);
    // Now nobody reads it.
    const last = kernel.backward(slope, out, forward.saved, views, needed, attributes, true);
    await compareAll(bench, `backward ${what}, needed [${needed}], with a cotangent to spare`, last, slopes);
  }
  return true;
}

async function compareAll(bench: Workbench, what: string, got: readonly (Buffer | null)[], want: readonly (Plain | null)[]): Promise<void> {
  for (const [i, buffer] of got.entries()) {
    const slope = want[i];
    if (buffer && slope)
      bench.compare(`${what}, input ${i}`, (await bench.read(buffer, slope)).data, slope, 8, slope.dtype === "float64" ? 1e4 : 20);
  }
}

/** All floats; then each float alone. */
function neededPatterns(inputs: readonly Plain[]): boolean[][] {
  const floats = inputs.map((x) => x.dtype !== "int32");
  const alone = floats.map((isFloat, i) => floats.map((_, j) => isFloat && i === j)).filter((pattern) => pattern.includes(true));
  return inputs.length > 1 ? [floats, ...alone] : [floats];
}

const rowShapes = [[1], [5], [3, 4], [2, 3, 7], [5, 1], [3, 33], [0, 4]];

const rowCases = [
  ...rowShapes.map((shape) => ({ inputs: (dtype: DType) => [random(shape, dtype, 111)], attributes: null })),
  { inputs: (dtype: DType) => [plain([2, 3], dtype, [-Infinity, -Infinity, -Infinity, 0, 1, 2])], attributes: null },
  { inputs: (dtype: DType) => [plain([2, 3], dtype, [1e4, -1e4, 0, 1000, 1001, 999])], attributes: null },
];

const masked = { inputs: (dtype: DType) => [plain([2, 3], dtype, [0, -Infinity, 2, -Infinity, -Infinity, 1])], attributes: null };

const normShapes = [[5], [3, 4], [2, 3, 7], [4, 33]];

const weights = (shape: readonly number[], dtype: DType, seed: number): Plain => random(shape.slice(-1), dtype, seed, 0.5, 1.5);

/** x and the outputs of a linear map; from 64 rows on products take another way. */
const linears = [
  { shape: [3, 4], F: 5 },
  { shape: [4], F: 1 },
  { shape: [2, 3, 7], F: 9 },
  { shape: [2, 35, 5], F: 4 },
  { shape: [2, 1, 3], F: 33 },
];

const activations: readonly Activation[] = ["relu", "gelu", "geluTanh", "silu"];
const biases = [
  [[3, 5], [5]],
  [[2, 3, 4], [4]],
  [
    [3, 2, 4],
    [3, 1, 4],
  ],
  [[2, 5], null],
  [[2, 33], [33]],
] as const;

/** Slots of E experts in G groups, of which the first are filled. What the others hold must not matter: it is NaN. */
interface SlotsCase {
  readonly filled: readonly (readonly number[])[];
  readonly capacity: number;
  readonly widths: readonly [number, number];
}

const slotCases: readonly SlotsCase[] = [
  { filled: [[2], [0], [3]], capacity: 3, widths: [2, 5] },
  { filled: [[1, 2], [0, 0], [2, 1]], capacity: 2, widths: [3, 2] }, // prettier-ignore
  { filled: [[0], [0]], capacity: 2, widths: [2, 2] },
  { filled: [[17], [5]], capacity: 19, widths: [4, 9] },
  { filled: [[3, 0, 1]], capacity: 4, widths: [5, 1] },
];

const counts = ({ filled }: SlotsCase): Plain => plain([filled.length, filled[0].length], "int32", filled.flat());

/** x [E, G C, width] with NaN in the rows that are not filled. */
function slots({ filled, capacity }: SlotsCase, width: number, dtype: DType, seed: number): Plain {
  const rows = filled.flatMap((groups) => groups.flatMap((count) => Array.from({ length: capacity }, (_, i) => i < count)));
  const x = random([filled.length, filled[0].length * capacity, width], dtype, seed, -3, 3);
  return { ...x, data: x.data.map((v, i) => (rows[Math.floor(i / width)] ? v : NaN)) };
}

/** q, k, v and perhaps a bias. */
function attentionCase(
  dims: { b: number; h: number; g?: number; t: number; s: number; d: number },
  bias: readonly number[] | null,
  causal: boolean,
) {
  const { b, h, g = h, t, s, d } = dims;
  return {
    inputs: (dtype: DType) => [
      random([b, h, t, d], dtype, 121),
      random([b, g, s, d], dtype, 122),
      random([b, g, s, d], dtype, 123),
      ...(bias ? [random(bias, dtype, 124)] : []),
    ],
    attributes: { scale: 0.6, causal },
  };
}

const attends: Fused<{ scale: number; causal: boolean }>["meaning"] = ([q, k, v, bias], { scale, causal }) =>
  oracles.attention(q, k, v, bias, scale, causal);

const laws: Record<Exclude<keyof FusedKernels, "adam" | "sumOfSquares">, Law> = {
  softmax: lawOf({ pick: (fused) => fused.softmax, meaning: ([x]) => oracles.softmax(x), cases: [...rowCases, masked] }),
  logSoftmax: lawOf({ pick: (fused) => fused.logSoftmax, meaning: ([x]) => oracles.logSoftmax(x), cases: rowCases }),
  logSumExp: lawOf({
    pick: (fused) => fused.logSumExp,
    meaning: ([x]) => oracles.logSumExp(x),
    cases: [...rowCases, masked],
  }),
  linear: lawOf({
    pick: (fused) => fused.linear,
    meaning: ([x, weight, bias]) => oracles.linear(x, weight, bias),
    cases: linears.flatMap(({ shape, F }) =>
      [false, true].map((biased) => ({
        inputs: (dtype: DType) => [
          random(shape, dtype, 126),
          random([shape[shape.length - 1], F], dtype, 127),
          ...(biased ? [random([F], dtype, 128)] : []),
        ],
        attributes: null,
      })),
    ),
  }),
  crossEntropy: lawOf({
    pick: (fused) => fused.crossEntropy,
    meaning: ([logits, target], { ignoreIndex }) => oracles.crossEntropy(logits, target, ignoreIndex),
    cases: [-100, 2]
      .flatMap((ignoreIndex) =>
        [
          [1, 3],
          [4, 5],
          [3, 18],
        ].map(([r, v]) => ({
          inputs: (dtype: DType) => [random([r, v], dtype, 112, -8, 8), integers([r], "int32", 113, 0, v)],
          attributes: { ignoreIndex },
        })),
      )
      .concat([
        { inputs: (dtype) => [random([3, 4], dtype, 114), plain([3], "int32", [-100, 3, -100])], attributes: { ignoreIndex: -100 } },
        {
          inputs: (dtype) => [plain([2, 3], dtype, [1e4, 0, -1e4, 0, 1e4, 1e4]), plain([2], "int32", [2, 1])],
          attributes: { ignoreIndex: -100 },
        },
      ]),
  }),
  layerNorm: lawOf({
    pick: (fused) => fused.layerNorm,
    meaning: ([x, weight, bias], { eps }) => oracles.layerNorm(x, weight, bias, eps),
    cases: normShapes.map((shape) => ({
      inputs: (dtype: DType) => [random(shape, dtype, 115), weights(shape, dtype, 116), weights(shape, dtype, 117)],
      attributes: { eps: 0.01 },
    })),
  }),
  rmsNorm: lawOf({
    pick: (fused) => fused.rmsNorm,
    meaning: ([x, weight], { eps }) => oracles.rmsNorm(x, weight, eps),
    cases: normShapes.map((shape) => ({
      inputs: (dtype: DType) => [random(shape, dtype, 118), weights(shape, dtype, 119)],
      attributes: { eps: 0.01 },
    })),
  }),
  biasActivation: lawOf({
    pick: (fused) => fused.biasActivation,
    meaning: ([x, bias], { activation }) => oracles.biasActivation(x, bias, activation),
    cases: activations.flatMap((activation) =>
      biases.map(([shape, bias]) => ({
        inputs: (dtype: DType) => [random(shape, dtype, 120, -4, 4), ...(bias ? [random(bias, dtype, 125)] : [])],
        attributes: { activation },
      })),
    ),
  }),
  slotProduct: lawOf({
    pick: (fused) => fused.slotProduct,
    meaning: ([x, weight, filled, bias], { activation }) => oracles.slotProduct(x, weight, filled, bias, activation),
    cases: [null, ...activations].flatMap((activation, i) =>
      slotCases.slice(0, i === 0 ? 5 : 2).flatMap((c) =>
        (activation ? [false, true] : [false]).map((biased) => ({
          inputs: (dtype: DType) => {
            const [E, [D, F]] = [c.filled.length, c.widths];
            return [slots(c, D, dtype, 151), random([E, D, F], dtype, 152), counts(c), ...(biased ? [random([E, 1, F], dtype, 154)] : [])];
          },
          attributes: { activation },
        })),
      ),
    ),
  }),
  attention: lawOf({
    pick: (fused) => fused.attention,
    meaning: attends,
    cases: [
      attentionCase({ b: 1, h: 1, t: 1, s: 1, d: 2 }, null, false),
      attentionCase({ b: 2, h: 2, t: 3, s: 3, d: 4 }, null, true),
      attentionCase({ b: 1, h: 2, t: 2, s: 5, d: 3 }, null, true),
      attentionCase({ b: 2, h: 2, t: 3, s: 4, d: 2 }, [2, 3, 4], false),
      attentionCase({ b: 2, h: 1, t: 3, s: 3, d: 2 }, [2, 1, 1, 3], true),
      attentionCase({ b: 1, h: 2, t: 9, s: 9, d: 5 }, [2, 9, 9], true),
      // Heads that share keys and values, under a bias of each kind.
      attentionCase({ b: 2, h: 4, g: 2, t: 3, s: 4, d: 3 }, null, true),
      attentionCase({ b: 2, h: 4, g: 1, t: 1, s: 5, d: 2 }, null, false),
      attentionCase({ b: 2, h: 4, g: 2, t: 3, s: 3, d: 2 }, [2, 4, 3, 3], false),
      attentionCase({ b: 2, h: 6, g: 2, t: 2, s: 4, d: 2 }, [6, 2, 4], true),
      attentionCase({ b: 2, h: 4, g: 2, t: 3, s: 3, d: 2 }, [2, 1, 3, 3], false),
      attentionCase({ b: 2, h: 3, g: 1, t: 3, s: 4, d: 2 }, [3, 4], true),
    ],
  }),
};

export const fused: Record<string, Law> = {
  ...laws,

  "a masked element has no slope, whatever comes back to it": async (bench) => {
    const kernel = bench.backend.fused.biasActivation;
    if (!kernel) return "not served";
    const [x, g] = [plain([1, 5], "float32", [-1, 0, 2, -3, 1]), plain([1, 5], "float32", [Infinity, NaN, 7, -Infinity, 2])];
    for (const bias of [null, plain([5], "float32", [0, 0, 0, 0, 0])]) {
      const inputs = [bench.put(x), ...(bias ? [bench.put(bias)] : [])];
      const forward = kernel.forward(x, inputs, { activation: "relu" });
      if (!forward) return "not served";
      const out = whole(bench.keep(forward.out), x);
      const [slope] = kernel.backward(bench.put(g), out, forward.saved, inputs, [true, false].slice(0, inputs.length), {
        activation: "relu",
      });
      expect(slope && (await bench.read(slope, x)).data).to.deep.equal([0, 0, 7, 0, 2]);
    }
  },

  "what empty slots hold reaches nothing, nor what comes back to them": async (bench) => {
    const { slotProduct } = bench.backend.fused;
    if (!slotProduct) return "not served";
    for (const c of slotCases)
      for (const activation of [null, "relu", "gelu"] as const) {
        const [E, [D, F]] = [c.filled.length, c.widths];
        const plains = [slots(c, D, "float32", 155), random([E, D, F], "float32", 156), counts(c), random([E, 1, F], "float32", 158)];
        const inputs = plains.slice(0, activation ? 4 : 3).map((x) => bench.put(x));
        const h = slots(c, F, "float32", 157);
        const forward = slotProduct.forward(h, inputs, { activation });
        if (!forward) return "not served";
        const needed = [true, true, false, true].slice(0, inputs.length);
        const out = whole(bench.keep(forward.out), h);
        const back = slotProduct.backward(bench.put(h), out, forward.saved, inputs, needed, { activation });
        forward.saved.forEach((buffer) => bench.keep(buffer));
        for (const [i, buffer] of back.entries())
          expect(
            buffer === null || (await bench.read(buffer, plains[i])).data.every(Number.isFinite),
            `cotangent ${i} of filled [${c.filled.join("; ")}], ${activation}`,
          ).to.equal(true);
      }
    return undefined;
  },

  "a row of slots has the bits that it has without its companions": async (bench) => {
    const { slotProduct } = bench.backend.fused;
    if (!slotProduct) return "not served";
    const [D, F, C] = [37, 24, 67];
    const weight = bench.put(random([1, D, F], "float32", 159));
    const x = random([1, C, D], "float32", 160);
    const run = async (rows: Plain, count: number): Promise<readonly number[]> => {
      const type = { shape: [1, rows.shape[1], F], dtype: "float32" } as const;
      const made = slotProduct.forward(type, [bench.put(rows), weight, bench.put(plain([1, 1], "int32", [count]))], { activation: "silu" });
      made?.saved.forEach((buffer) => bench.keep(buffer));
      return made ? (await bench.read(made.out, type)).data : [];
    };
    const all = await run(x, C);
    expect(all.length).to.equal(C * F);
    for (const [count, capacity] of [
      [1, C],
      [7, C],
      [30, C],
      [1, 1],
      [5, 6],
      [40, 40],
    ])
      // prettier-ignore
      expect((await run({ ...x, shape: [1, capacity, D], data: x.data.slice(0, capacity * D) }, count)).slice(0, count * F)).to.deep.equal(
        all.slice(0, count * F),
      );
    return undefined;
  },

  "softmax and logSoftmax of a row of NaN are NaN": async (bench) => {
    const { softmax, logSoftmax } = bench.backend.fused;
    if (!softmax && !logSoftmax) return "not served";
    const x = plain([2, 2], "float32", [NaN, NaN, 1, NaN]);
    for (const kernel of [softmax, logSoftmax]) {
      const result = kernel?.forward(x, [bench.put(x)], null);
      if (result) expect((await bench.read(result.out, x)).data).to.deep.equal([NaN, NaN, NaN, NaN]);
    }
  },

  "attention: a query that sees nothing answers zeros": async (bench) => {
    const kernel = bench.backend.fused.attention;
    const [q, k, v] = [random([1, 1, 2, 3], "float32", 126), random([1, 1, 2, 3], "float32", 127), random([1, 1, 2, 3], "float32", 128)];
    const bias = plain([2, 2], "float32", [-Infinity, -Infinity, 0, -Infinity]);
    const served = kernel && (await answers(bench, kernel, ask([q, k, v, bias], { scale: 1, causal: false }, attends), "contiguous"));
    return served ? undefined : "not served";
  },

  "sumOfSquares: arrays of every size and layout, more than one kernel takes": async (bench) => {
    const { sumOfSquares } = bench.backend.fused;
    if (!sumOfSquares) return "not served";
    const shapes = [[], [1], [300], [2, 3, 4], [0], [40, 33], [1], [5], [7], [513]];
    for (const count of [0, 1, 2, shapes.length]) {
      const xs = shapes.slice(0, count).map((shape, i) => random(shape, "float32", 150 + i));
      const views = xs.map((x, i) => bench.put(x, i % 3 === 2 ? "tangled" : i % 3 === 1 ? "offset" : "contiguous"));
      const want = xs.flatMap((x) => x.data).reduce((sum, v) => sum + v * v, 0);
      await bench.expect(`of ${count} arrays`, () => sumOfSquares(views), plain([], "float32", [want]), want, 4);
    }
  },

  "adam: one step over all parameters, in place": async (bench) => {
    const { adam } = bench.backend.fused;
    if (!adam) return "not served";
    for (const dtype of bench.floats) for (const gradScale of [null, 0.25]) await expectAdam(bench, adam, dtype, gradScale);
  },
};

async function expectAdam(bench: Workbench, adam: (step: AdamStep) => void, dtype: DType, gradScale: number | null): Promise<void> {
  const shapes = [[3, 5], [7], [1], [300]];
  const make = (seed: number, low: number): Plain[] => shapes.map((shape, i) => random(shape, dtype, seed + i, low, 2));
  const [parameters, gradients, first, second] = [make(131, -2), make(135, -2), make(139, -2), make(143, 0)];
  const numbers = { lr: 0.01, beta1: 0.8, beta2: 0.95, eps: 1e-3, weightDecay: [0.1, 0, 0.01, 0.3], correction1: 0.7, correction2: 0.4 };
  const put = (xs: readonly Plain[], layout?: LayoutName): NDArray[] => xs.map((x) => bench.put(x, layout));
  // A gradient may be a piece of a larger array.
  const device = { parameters: put(parameters), gradients: put(gradients, "offset"), first: put(first), second: put(second) };
  const scale = gradScale === null ? null : bench.put(plain([], "float32", [gradScale]));
  adam({ ...numbers, ...device, gradScale: scale });
  for (let i = 0; i < shapes.length; i++) {
    const want = oracles.adam(parameters[i], gradients[i], first[i], second[i], gradScale ?? 1, {
      ...numbers,
      weightDecay: numbers.weightDecay[i],
    });
    const read = async (view: NDArray): Promise<readonly number[]> => Array.from(await bench.backend.download(view.buffer, view));
    const gradient = bench.backend.copy(gradients[i], device.gradients[i]);
    bench.compare(`parameter ${i}`, await read(device.parameters[i]), want.parameter, 1, 10);
    bench.compare(`first moment ${i}`, await read(device.first[i]), want.first, 1, 10);
    bench.compare(`second moment ${i}`, await read(device.second[i]), want.second, 1, 10);
    bench.compare(`gradient ${i}`, (await bench.read(gradient, gradients[i])).data, gradients[i]);
  }
}
