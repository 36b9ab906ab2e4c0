/** Sizes at which devices change their way of working: several blocks, several threads, several work groups. */
import type { DType, FusedKernel } from "../../../src/backend/backend.ts";
import type { Law } from "../conformance.ts";
import { binaryOracles, reduceOracles, sorted, unaryCases } from "../oracles.ts";
import { integers, plain, random } from "../plain.ts";
import type { Plain } from "../plain.ts";
import { whole } from "../workbench.ts";
import type { Workbench } from "../workbench.ts";

const R = 199;
const C = 151;

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const rowOf = (x: Plain, r: number): readonly number[] => x.data.slice(r * C, (r + 1) * C);
const columnOf = (x: Plain, c: number): readonly number[] => range(R).map((r) => x.data[r * C + c]);

/** The product by three loops over flat lists. */
function product(x: Plain, y: Plain): Plain {
  const [m, k] = x.shape;
  const n = y.shape[1];
  const sums = new Float64Array(m * n);
  for (let i = 0; i < m; i++) {
    for (let p = 0; p < k; p++) for (let j = 0; j < n; j++) sums[i * n + j] += x.data[i * k + p] * y.data[p * n + j];
  }
  return { shape: [m, n], dtype: x.dtype, data: Array.from(sums) };
}

/** `x` repeated along its first axis. */
function repeated(x: Plain, times: number): Plain {
  return { ...x, shape: [x.shape[0] * times, ...x.shape.slice(1)], data: range(times).flatMap(() => x.data) };
}

interface RowCase<A> {
  readonly kernel: FusedKernel<A> | undefined;
  readonly attributes: A;
  /** The first input has rows; those named here are repeated, the others shared by all rows. */
  readonly inputs: readonly Plain[];
  readonly perRow: readonly boolean[];
  readonly outShape: (rows: number) => number[];
}

/** Rows of a fused function: 3 times this. */
const times = 300;

/** Result and cotangents of inputs whose rows are repeated `copies` times. */
async function run<A>(
  bench: Workbench,
  { kernel, attributes, inputs, perRow, outShape }: RowCase<A>,
  copies: number,
): Promise<Plain[] | undefined> {
  const dtype: DType = inputs[0].dtype;
  const out = { shape: outShape(inputs[0].shape[0] * copies), dtype };
  const views = inputs.map((x, i) => bench.put(perRow[i] ? repeated(x, copies) : x));
  const forward = kernel?.forward(out, views, attributes);
  if (!kernel || !forward) return undefined;
  forward.saved.forEach((buffer) => bench.keep(buffer));
  const result = await bench.read(forward.out, out);
  const g = repeated(random(outShape(inputs[0].shape[0]), dtype, 161), copies);
  const needed = inputs.map((x) => x.dtype !== "int32");
  const buffers = kernel.backward(bench.put(g), whole(forward.out, out), forward.saved, views, needed, attributes);
  const slopes = await Promise.all(buffers.flatMap((buffer, i) => (buffer ? [bench.read(buffer, views[i])] : [])));
  return [result, ...slopes];
}

/** Many rows behave like few: what belongs to a row is repeated, what rows share is summed. */
async function expectRepeats<A>(bench: Workbench, name: string, rowCase: RowCase<A>): Promise<boolean> {
  const [few, many] = [await run(bench, rowCase, 1), await run(bench, rowCase, times)];
  if (!few || !many) return false;
  const perRow = [true, ...rowCase.perRow.filter((_, i) => rowCase.inputs[i].dtype !== "int32")];
  few.forEach((small, i) => {
    const want = perRow[i] ? repeated(small, times) : { ...small, data: small.data.map((v) => v * times) };
    bench.compare(`${name}, part ${i}`, many[i].data, want, perRow[i] ? 1 : times, 20);
  });
  return true;
}

/** Every fused function of rows, with rows of 37. */
async function fusedRows(bench: Workbench): Promise<void | "not served"> {
  const { softmax, logSoftmax, crossEntropy, layerNorm, rmsNorm, biasActivation } = bench.backend.fused;
  const x = random([3, 37], "float32", 162);
  const [weight, bias] = [random([37], "float32", 163, 0.5, 1.5), random([37], "float32", 164)];
  const target = plain([3], "int32", [0, 5, 36]);
  const alone = { attributes: null, inputs: [x], perRow: [true], outShape: (rows: number) => [rows, 37] };
  const eps = { eps: 0.01 };
  const served = [
    await expectRepeats(bench, "softmax", { ...alone, kernel: softmax }),
    await expectRepeats(bench, "logSoftmax", { ...alone, kernel: logSoftmax }),
    await expectRepeats(bench, "crossEntropy", {
      kernel: crossEntropy,
      attributes: { ignoreIndex: 5 },
      inputs: [x, target],
      perRow: [true, true],
      outShape: (rows) => [rows],
    }),
    await expectRepeats(bench, "layerNorm", {
      ...alone,
      kernel: layerNorm,
      attributes: eps,
      inputs: [x, weight, bias],
      perRow: [true, false, false],
    }),
    await expectRepeats(bench, "rmsNorm", { ...alone, kernel: rmsNorm, attributes: eps, inputs: [x, weight], perRow: [true, false] }),
    await expectRepeats(bench, "biasActivation", {
      ...alone,
      kernel: biasActivation,
      attributes: { activation: "gelu" },
      inputs: [x, bias],
      perRow: [true, false],
    }),
  ];
  return served.includes(true) ? undefined : "not served";
}

export const large: Record<string, Law> = {
  "large: elementwise": async (bench) => {
    const x = random([R, C], "float32", 151);
    for (const op of ["neg", "exp", "tanh", "sigmoid", "normalCdf"] as const) {
      const want = { ...x, data: x.data.map(unaryCases[op].of) };
      await bench.expect(op, (out) => bench.backend.unary(op, out, bench.put(x)), want, op === "normalCdf" || op === "tanh" ? 0.1 : 0);
    }
    const others = { whole: random([R, C], "float32", 152), row: random([C], "float32", 153), column: random([R, 1], "float32", 154) };
    const places = { whole: (i: number) => i, row: (i: number) => i % C, column: (i: number) => Math.floor(i / C) };
    for (const kind of ["whole", "row", "column"] as const) {
      const y = others[kind];
      const want = { ...x, data: x.data.map((v, i) => binaryOracles.mul(v, y.data[places[kind](i)])) };
      await bench.expect(`mul by ${kind}`, (out) => bench.backend.binary("mul", out, bench.put(x), bench.put(y)), want);
      await bench.expect(
        `mul by ${kind}, turned`,
        (out) => bench.backend.binary("mul", out, bench.put(y, "swapped"), bench.put(x, "swapped")),
        want,
      );
    }
  },

  "large: copies of turned views": async (bench) => {
    const x = random([R, C], "float32", 155);
    for (const layout of ["swapped", "sliced", "flipped"] as const) {
      await bench.expect(`copy, ${layout}`, (out) => bench.backend.copy(out, bench.put(x, layout)), x);
    }
  },

  "large: reductions": async (bench) => {
    const x = random([R, C], "float32", 156);
    for (const op of ["sum", "max", "min"] as const) {
      const rows = plain(
        [R],
        "float32",
        range(R).map((r) => reduceOracles[op](rowOf(x, r))),
      );
      const columns = plain(
        [C],
        "float32",
        range(C).map((c) => reduceOracles[op](columnOf(x, c))),
      );
      for (const layout of ["contiguous", "swapped"] as const) {
        await bench.expect(`${op} of rows`, (out) => bench.backend.reduce(op, out, bench.put(x, layout), [1]), rows, 600);
        await bench.expect(`${op} of columns`, (out) => bench.backend.reduce(op, out, bench.put(x, layout), [0]), columns, 600);
      }
      const all = plain([], "float32", [reduceOracles[op](x.data)]);
      await bench.expect(`${op} of all`, (out) => bench.backend.reduce(op, out, bench.put(x), [0, 1]), all, 2 * R * C);
    }
  },

  "large: matmul": async (bench) => {
    for (const [m, k, n] of [
      [129, 257, 131],
      [256, 64, 256],
      [3, 300, 270],
      [270, 300, 3],
      [200, 513, 17],
    ]) {
      const [x, y] = [random([m, k], "float32", 157), random([k, n], "float32", 158)];
      for (const [lx, ly] of [
        ["contiguous", "contiguous"],
        ["swapped", "swapped"],
      ] as const) {
        const what = `[${m}, ${k}] x [${k}, ${n}], ${lx}`;
        await bench.expect(what, (out) => bench.backend.matmul(out, bench.put(x, lx), bench.put(y, ly)), product(x, y), 4 * k);
      }
    }
  },

  "large: order and rows": async (bench) => {
    const keys = integers([2, 5000], "float32", 159, 0, 900);
    const places = [0, 1].flatMap((row) => sorted(keys.data.slice(row * 5000, (row + 1) * 5000), true));
    await bench.expect("argsort", (out) => bench.backend.argsort(out, bench.put(keys), true), plain([2, 5000], "int32", places));
    const experts = integers([20_000], "int32", 160, 0, 8);
    const seen = new Array<number>(8).fill(0);
    const earlier = plain(
      [20_000],
      "int32",
      experts.data.map((e) => seen[e]++),
    );
    await bench.expect("countEarlier", (out) => bench.backend.countEarlier(out, bench.put(experts)), earlier);
    await bench.expect("bincount", (out) => bench.backend.bincount(out, bench.put(experts)), plain([8], "int32", seen));
    const x = random([8, 40], "float32", 165);
    const rows = experts.data.slice(0, 3000);
    const taken = plain(
      [3000, 40],
      "float32",
      rows.flatMap((e) => x.data.slice(e * 40, (e + 1) * 40)),
    );
    await bench.expect("takeRows", (out) => bench.backend.takeRows(out, bench.put(x), bench.put(plain([3000], "int32", rows))), taken);
    const counts = range(8).map((e) => rows.filter((row) => row === e).length);
    const added = plain(
      [8, 40],
      "float64",
      x.data.map((v, i) => v * counts[Math.floor(i / 40)]),
    );
    const index = plain([3000], "int32", rows);
    for (const [what, made] of Object.entries({ "the host made": bench.put(index), "a kernel made": bench.computed(index) })) {
      const sums = bench.backend.addRows(x, bench.put(taken), made);
      bench.compare(`addRows by an index that ${what}`, (await bench.read(sums, x)).data, { ...added, dtype: "float32" }, 800, 10);
    }
  },

  "large: inverses and orders of one lane, and of several": async (bench) => {
    for (const lead of [[], [1], [3]]) {
      const lanes = range(lead[0] ?? 1).map((lane) => random([700], "float32", 170 + lane).data);
      const orders = lanes.map((lane) => sorted(lane, false));
      // A partial injection into 900 places: every fifth entry has none.
      const entries = orders.map((places) => places.map((place, i) => (i % 5 === 4 ? -1 : place + 150)));
      const inverses = entries.map((lane) => range(900).map((place) => lane.indexOf(place)));
      const x = bench.put(plain([...lead, 700], "float32", lanes.flat()));
      const index = bench.put(plain([...lead, 700], "int32", entries.flat()));
      await bench.expect(`argsort ${lead}`, (out) => bench.backend.argsort(out, x, false), plain([...lead, 700], "int32", orders.flat()));
      await bench.expect(`invert ${lead}`, (out) => bench.backend.invert(out, index), plain([...lead, 900], "int32", inverses.flat()));
      const ranks = orders.flatMap((places) => range(700).map((i) => places.indexOf(i)));
      await bench.expect(`rank ${lead}`, (out) => bench.backend.rank(out, x, false), plain([...lead, 700], "int32", ranks));
    }
  },

  "large: fused functions of many rows": fusedRows,
};
