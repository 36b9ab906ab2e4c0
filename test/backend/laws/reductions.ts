import { sizeOf } from "../../../src/backend/shape.ts";
import type { ArgReduceOp, ReduceOp } from "../../../src/backend/backend.ts";
import type { Law } from "../conformance.ts";
import { alongAxis, argReduceOracles, reduced, reduceOracles } from "../oracles.ts";
import { integers, plain, random } from "../plain.ts";
import type { Plain } from "../plain.ts";
import type { LayoutName, Workbench } from "../workbench.ts";

const reduceOps = Object.keys(reduceOracles) as ReduceOp[];
const argOps = Object.keys(argReduceOracles) as ArgReduceOp[];
const cases: { shape: number[]; axes: number[][] }[] = [
  { shape: [1], axes: [[0]] },
  { shape: [5], axes: [[0]] },
  { shape: [1031], axes: [[0]] },
  { shape: [3, 5], axes: [[0], [1], [0, 1], []] },
  { shape: [33, 65], axes: [[0], [1], [0, 1]] },
  { shape: [4, 1, 7], axes: [[1], [0, 2], [2]] },
  { shape: [2, 3, 4, 5], axes: [[0, 2], [1, 3], [1, 2], [0, 1, 2, 3], [3]] },
  { shape: [300, 3], axes: [[0], [1]] },
];

async function expectReduce(bench: Workbench, op: ReduceOp, x: Plain, axes: number[], layout: LayoutName): Promise<void> {
  const want = reduced(x, axes, x.dtype, reduceOracles[op]);
  const terms = sizeOf(x.shape) / Math.max(1, sizeOf(want.shape));
  const what = `${op} of [${x.shape}] over [${axes}], ${layout}`;
  await bench.expect(what, (out) => bench.backend.reduce(op, out, bench.put(x, layout), axes), want, op === "sum" ? 2 * terms : 0);
}

async function expectArg(bench: Workbench, op: ArgReduceOp, x: Plain, axis: number, layout: LayoutName): Promise<void> {
  const want = reduced(x, [axis], "int32", argReduceOracles[op]);
  await bench.expect(
    `${op} of [${x.shape}] over ${axis}, ${layout}`,
    (out) => bench.backend.argReduce(op, out, bench.put(x, layout), axis),
    want,
  );
}

const reduceLaws = Object.fromEntries(
  reduceOps.map((op): [string, Law] => [
    op,
    async (bench) => {
      for (const dtype of [...bench.floats, "int32" as const]) {
        for (const { shape, axes } of cases) {
          const x = random(shape, dtype, 31, -20, 20);
          for (const some of axes) for (const layout of bench.layouts) await expectReduce(bench, op, x, some, layout);
        }
      }
    },
  ]),
);

const argLaws = Object.fromEntries(
  argOps.map((op): [string, Law] => [
    `${op}: the first of the best`,
    async (bench) => {
      for (const dtype of [...bench.floats, "int32" as const]) {
        for (const shape of [[1], [7], [3, 5], [33, 65], [2, 9, 4]]) {
          const x = integers(shape, dtype, 32, -2, 3);
          for (let axis = 0; axis < shape.length; axis++) for (const layout of bench.layouts) await expectArg(bench, op, x, axis, layout);
        }
      }
    },
  ]),
);

/** Rows with NaN first, last, between, twice and everywhere. */
const holes = (dtype: Plain["dtype"]): Plain =>
  plain([6, 4], dtype, [
    NaN,
    1,
    2,
    -1,
    3,
    1,
    3,
    NaN,
    1,
    NaN,
    0,
    1,
    NaN,
    NaN,
    -Infinity,
    Infinity,
    NaN,
    NaN,
    NaN,
    NaN,
    Infinity,
    -Infinity,
    NaN,
    0,
  ]);

export const reductions: Record<string, Law> = {
  ...reduceLaws,
  ...argLaws,

  "reductions keep axes of size 1 where the result has them": async (bench) => {
    const x = random([3, 4], "float32", 33);
    const want = reduced(x, [1], "float32", reduceOracles.max);
    await bench.expect("max", (out) => bench.backend.reduce("max", out, bench.put(x), [1]), { ...want, shape: [3, 1] });
  },

  "the sum of nothing is 0": async (bench) => {
    for (const [shape, axes] of [
      [[0], [0]],
      [[3, 0], [1]],
      [[0, 3], [0]],
      [
        [2, 0, 2],
        [0, 1],
      ],
    ]) {
      await expectReduce(bench, "sum", plain(shape, "float32", []), axes, "contiguous");
    }
  },

  "sums of stretched views": async (bench) => {
    const { device, plain: x } = bench.stretch(random([3, 1, 5], "float32", 34), [3, 70, 5]);
    for (const axes of [[1], [0, 1], [2], [0, 1, 2]]) {
      await bench.expect(
        "sum",
        (out) => bench.backend.reduce("sum", out, device, axes),
        reduced(x, axes, "float32", reduceOracles.sum),
        200,
      );
    }
  },

  "a long sum in float32 stays accurate": async (bench) => {
    const n = 100_000;
    const { device } = bench.stretch(plain([1], "float32", [0.1]), [n]);
    await bench.expect("sum", (out) => bench.backend.reduce("sum", out, device, [0]), plain([], "float32", [n * Math.fround(0.1)]), 0, 20);
  },

  "NaN never wins a max and always wins a min": async (bench) => {
    for (const dtype of bench.floats) {
      for (const layout of bench.layouts) {
        for (const op of ["max", "min"] as const)
          for (const axes of [[0], [1], [0, 1]]) await expectReduce(bench, op, holes(dtype), axes, layout);
        for (const op of argOps) for (const axis of [0, 1]) await expectArg(bench, op, holes(dtype), axis, layout);
      }
    }
  },

  "a NaN or an infinity stays in a sum": async (bench) => {
    const x = plain([3, 2], "float32", [1, NaN, Infinity, 2, Infinity, -Infinity]);
    await expectReduce(bench, "sum", x, [1], "contiguous");
    await expectReduce(bench, "sum", x, [0], "contiguous");
  },

  "cumsum along every axis, in both directions, with and without the place itself": async (bench) => {
    for (const dtype of [...bench.floats, "int32" as const]) {
      for (const shape of [[1], [9], [3, 5], [2, 7, 4], [130, 3], [3, 0], [0, 3]]) {
        const x = random(shape, dtype, 35, -5, 5);
        for (let axis = 0; axis < shape.length; axis++) {
          for (const [exclusive, reverse] of [
            [false, false],
            [true, false],
            [false, true],
            [true, true],
          ]) {
            const want = alongAxis(x, axis, dtype, shape[axis], (lane) => runningSums(lane, exclusive, reverse));
            for (const layout of bench.layouts) {
              const what = `cumsum of [${shape}] along ${axis}, exclusive ${exclusive}, reverse ${reverse}, ${layout}`;
              await bench.expect(
                what,
                (out) => bench.backend.cumsum(out, bench.put(x, layout), axis, exclusive, reverse),
                want,
                5 * shape[axis],
              );
            }
          }
        }
      }
    }
  },
};

function runningSums(lane: readonly number[], exclusive: boolean, reverse: boolean): number[] {
  return lane.map((_, i) => {
    const counted = lane.filter((_, j) => (reverse ? j > i : j < i) || (!exclusive && j === i));
    return counted.reduce((a, b) => a + b, 0);
  });
}
