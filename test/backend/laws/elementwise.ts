import { broadcastShapes } from "../../../src/backend/shape.ts";
import type { BinaryOp, DType, UnaryOp } from "../../../src/backend/backend.ts";
import type { Law } from "../conformance.ts";
import { binaryOracles, elementwise as mapped, integerUnary, unaryCases, usualNumbers } from "../oracles.ts";
import { integers, plain, random } from "../plain.ts";
import type { Plain } from "../plain.ts";
import type { LayoutName, Workbench } from "../workbench.ts";

const unaryOps = Object.keys(unaryCases) as UnaryOp[];
const binaryOps = Object.keys(binaryOracles) as BinaryOp[];
const shapes = [[], [1], [0], [4, 0, 3], [5], [3, 5], [7, 1, 9], [2, 3, 4, 5], [1031], [33, 65]];
const wild = [NaN, Infinity, -Infinity, 0, -1, 1];

const notFinite = (dtype: DType): Plain => plain([6], dtype, wild);

async function expectUnary(bench: Workbench, op: UnaryOp, x: Plain, scale = 0): Promise<void> {
  const want = mapped(x, unaryCases[op].of, x);
  for (const layout of ["contiguous", "sliced", "tangled"] as const) {
    await bench.expect(`${op}, ${layout}`, (out) => bench.backend.unary(op, out, bench.put(x, layout)), want, scale);
  }
}

async function expectBinary(
  bench: Workbench,
  op: BinaryOp,
  x: Plain,
  y: Plain,
  layout: LayoutName = "contiguous",
  slack = 1,
): Promise<void> {
  const shape = broadcastShapes(x.shape, y.shape) ?? [];
  const want = mapped({ shape, dtype: x.dtype }, x.dtype === "int32" ? onIntegers(op) : binaryOracles[op], x, y);
  const what = `${op} of [${x.shape}] and [${y.shape}], ${layout}`;
  await bench.expect(what, (out) => bench.backend.binary(op, out, bench.put(x, layout), bench.put(y, layout)), want, 0, slack);
}

/** Division by zero gives zero where there is no infinity. */
function onIntegers(op: BinaryOp): (x: number, y: number) => number {
  return (x, y) => (divides(op) && y === 0 ? 0 : binaryOracles[op](x, y));
}

const unaryLaws = Object.fromEntries(
  unaryOps.flatMap((op): [string, Law][] => [
    [
      op,
      async (bench) => {
        const { on = usualNumbers, scale } = unaryCases[op];
        for (const dtype of bench.floats) await expectUnary(bench, op, plain([on.length], dtype, on), scale);
        if (integerUnary.includes(op)) await expectUnary(bench, op, random([37], "int32", 3, -50, 50));
      },
    ],
    [
      `${op} of NaN and infinities`,
      async (bench) => {
        for (const dtype of bench.floats) await expectUnary(bench, op, notFinite(dtype), unaryCases[op].scale);
      },
    ],
  ]),
);

// Divisors that are powers of two: quotients are exact, so that every device floors the same number.
const divides = (op: BinaryOp): boolean => op === "floorDiv" || op === "mod";

const binaryLaws = Object.fromEntries(
  binaryOps.map((op): [string, Law] => [
    op,
    async (bench) => {
      for (const dtype of bench.floats) {
        const x = integers([6, 7], dtype, 4, op === "pow" ? 0 : -9, 9);
        const y = divides(op) ? plain([7], dtype, [0.25, 0.5, 1, 2, -0.5, -4, 8]) : integers([6, 1], dtype, 5, -3, 4);
        for (const layout of ["contiguous", "tangled"] as const) await expectBinary(bench, op, x, y, layout, op === "pow" ? 10 : 1);
        await expectBinary(
          bench,
          op,
          random([61], dtype, 6, 0.1, 3),
          divides(op) ? plain([], dtype, [0.5]) : random([61], dtype, 7),
          "offset",
          20,
        );
      }
    },
  ]),
);

const wildBinaryLaws = Object.fromEntries(
  binaryOps
    .filter((op) => !divides(op))
    .map((op): [string, Law] => [
      `${op} of NaN and infinities`,
      async (bench) => {
        for (const dtype of bench.floats) {
          if (op === "pow")
            await expectBinary(bench, op, plain([5], dtype, [NaN, Infinity, 0, 0, 2]), plain([5], dtype, [0, 2, 0, 3, Infinity]));
          else await expectBinary(bench, op, plain([6, 1], dtype, wild), plain([6], dtype, wild));
        }
      },
    ]),
);

export const elementwise: Record<string, Law> = {
  ...unaryLaws,
  ...binaryLaws,
  ...wildBinaryLaws,

  "unary: every shape in every layout": async (bench) => {
    for (const dtype of bench.floats) {
      for (const shape of shapes) {
        const x = random(shape, dtype, 11);
        for (const layout of bench.layouts) {
          await bench.expect(
            `neg, ${layout}`,
            (out) => bench.backend.unary("neg", out, bench.put(x, layout)),
            mapped(x, (v) => -v, x),
          );
        }
      }
    }
  },

  "binary: every shape in every pair of layouts": async (bench) => {
    const dtype = "float32";
    for (const shape of shapes) {
      const [x, y] = [random(shape, dtype, 12), random(shape, dtype, 13)];
      const want = mapped(x, (a, b) => a - b, x, y);
      for (const lx of bench.layouts) {
        const ly = bench.layouts[(bench.layouts.indexOf(lx) + shape.length) % bench.layouts.length];
        await bench.expect(`sub, ${lx} - ${ly}`, (out) => bench.backend.binary("sub", out, bench.put(x, lx), bench.put(y, ly)), want, 4);
      }
    }
  },

  "binary: operands stretch to each other": async (bench) => {
    const pairs = [
      [[], [3]],
      [[3], []],
      [[], []],
      [[1], [5]],
      [
        [3, 1],
        [1, 4],
      ],
      [[4], [3, 4]],
      [
        [3, 4],
        [3, 1],
      ],
      [
        [2, 1, 3],
        [5, 1],
      ],
      [
        [1, 6, 1],
        [7, 1, 9],
      ],
      [[0], [1]],
      [
        [3, 0],
        [3, 1],
      ],
      [
        [2, 3, 4, 5],
        [3, 1, 5],
      ],
      [[257], [2, 257]],
      [
        [64, 33],
        [64, 1],
      ],
    ];
    for (const [a, b] of pairs) {
      for (const dtype of [...bench.floats, "int32" as const]) {
        for (const layout of ["contiguous", "transposed", "flipped"] as const) {
          await expectBinary(bench, "less", random(a, dtype, 14), random(b, dtype, 15), layout);
          await expectBinary(bench, "mul", random(a, dtype, 14), random(b, dtype, 15), layout);
        }
      }
    }
  },

  "binary: views with a step of 0": async (bench) => {
    const x = bench.stretch(random([4, 1, 3], "float32", 16), [4, 5, 3]);
    const y = bench.stretch(random([1, 5, 1], "float32", 17), [4, 5, 3]);
    const want = mapped(x.plain, (a, b) => a * b, x.plain, y.plain);
    await bench.expect("mul", (out) => bench.backend.binary("mul", out, x.device, y.device), want);
  },

  "binary: whole numbers, and division by zero among them": async (bench) => {
    const [x, y] = [integers([8, 9], "int32", 18, -20, 20), integers([8, 9], "int32", 19, -4, 5)];
    for (const op of binaryOps.filter((o) => o !== "div" && o !== "pow")) await expectBinary(bench, op, x, y, "swapped");
  },

  "select: all three operands stretch, and NaN is true": async (bench) => {
    for (const dtype of bench.floats) {
      const condition = plain([4, 1], dtype, [0, 1, NaN, -3]);
      const [x, y] = [random([3, 1, 5], dtype, 20), random([5], dtype, 21)];
      const want = mapped({ shape: [3, 4, 5], dtype }, (c, a, b) => (c === 0 ? b : a), condition, x, y);
      for (const layout of bench.layouts) {
        const operands = () => [bench.put(condition, layout), bench.put(x, layout), bench.put(y, layout)] as const;
        await bench.expect(`select, ${layout}`, (out) => bench.backend.select(out, ...operands()), want);
      }
    }
  },

  "select: of whole numbers, by whole numbers": async (bench) => {
    const condition = integers([4, 1, 9], "int32", 23, -1, 2);
    const [x, y] = [integers([3, 9], "int32", 24, -100, 100), integers([4, 3, 1], "int32", 25, -100, 100)];
    const want = mapped({ shape: [4, 3, 9], dtype: "int32" }, (c, a, b) => (c === 0 ? b : a), condition, x, y);
    for (const layout of bench.layouts) {
      const operands = () => [bench.put(condition, layout), bench.put(x, layout), bench.put(y, layout)] as const;
      await bench.expect(`select, ${layout}`, (out) => bench.backend.select(out, ...operands()), want);
    }
  },

  "select: what is not chosen does not matter": async (bench) => {
    const condition = plain([6], "float32", [1, 0, 1, 0, 1, 0]);
    const [x, y] = [plain([6], "float32", [1, NaN, 2, Infinity, 3, NaN]), plain([6], "float32", [NaN, 4, NaN, 5, -Infinity, 6])];
    const want = plain([6], "float32", [1, 4, 2, 5, 3, 6]);
    await bench.expect("select", (out) => bench.backend.select(out, bench.put(condition), bench.put(x), bench.put(y)), want);
  },

  "cast truncates towards zero and keeps whole numbers": async (bench) => {
    const numbers = [0, 0.5, -0.5, 1.99, -1.99, 7, -7, 12345.6, -12345.6, 0.999];
    for (const dtype of bench.floats) {
      for (const layout of bench.layouts) {
        const x = plain([2, 5], dtype, numbers);
        const want = plain([2, 5], "int32", x.data.map(Math.trunc));
        await bench.expect(`cast, ${layout}`, (out) => bench.backend.cast(out, bench.put(x, layout)), want);
        const back = plain([2, 5], dtype, want.data);
        await bench.expect(`cast back, ${layout}`, (out) => bench.backend.cast(out, bench.put(want, layout)), back);
      }
    }
  },

  "cast between float32 and float64": async (bench) => {
    if (!bench.has64) return "not served";
    const x = random([7, 5], "float64", 22);
    const rounded = plain([7, 5], "float32", x.data);
    await bench.expect("to float32", (out) => bench.backend.cast(out, bench.put(x, "tangled")), rounded);
    await bench.expect("to float64", (out) => bench.backend.cast(out, bench.put(rounded)), { ...rounded, dtype: "float64" });
  },
};
