import type { Law } from "../conformance.ts";
import { matmul } from "../oracles.ts";
import { build, plain, random } from "../plain.ts";
import type { Plain } from "../plain.ts";
import { at } from "../plain.ts";

// M, K, N
const sizes = [
  [1, 1, 1],
  [1, 5, 1],
  [3, 1, 2],
  [5, 7, 3],
  [4, 4, 4],
  [8, 8, 8],
  [1, 33, 17],
  [17, 33, 1],
  [13, 16, 9],
  [32, 24, 40],
  [65, 70, 67],
];

/** Owners of rows: five experts, of which some own nothing, and the last rows belong to nobody. */
const shares = [
  [0, 3, 3, 10, 17, 20],
  [0, 0, 0, 0, 0, 0],
  [0, 20, 20, 20, 20, 20],
  [0, 1, 2, 3, 4, 5],
  [0, 0, 9, 9, 23, 23],
];
const rowCount = 23;

function groupedMatmul(x: Plain, weight: Plain, offsets: readonly number[]): Plain {
  return build([x.shape[0], weight.shape[2]], x.dtype, ([m, f]) => {
    const e = offsets.findIndex((_, i) => m >= offsets[i] && m < offsets[i + 1]);
    if (e < 0) return 0;
    let sum = 0;
    for (let d = 0; d < x.shape[1]; d++) sum += at(x, [m, d]) * at(weight, [e, d, f]);
    return sum;
  });
}

function groupedOuter(x: Plain, y: Plain, offsets: readonly number[]): Plain {
  return build([offsets.length - 1, x.shape[1], y.shape[1]], x.dtype, ([e, d, f]) => {
    let sum = 0;
    for (let m = offsets[e]; m < offsets[e + 1]; m++) sum += at(x, [m, d]) * at(y, [m, f]);
    return sum;
  });
}

export const products: Record<string, Law> = {
  "matmul of every size": async (bench) => {
    for (const dtype of bench.floats) {
      for (const [m, k, n] of sizes) {
        const [x, y] = [random([m, k], dtype, 41), random([k, n], dtype, 42)];
        await bench.expect(
          `[${m}, ${k}] x [${k}, ${n}]`,
          (out) => bench.backend.matmul(out, bench.put(x), bench.put(y)),
          matmul(x, y),
          4 * k,
        );
      }
    }
  },

  "matmul of every pair of layouts": async (bench) => {
    const [x, y] = [random([6, 11], "float32", 43), random([11, 9], "float32", 44)];
    const want = matmul(x, y);
    for (const lx of bench.layouts) {
      for (const ly of bench.layouts)
        await bench.expect(`${lx} x ${ly}`, (out) => bench.backend.matmul(out, bench.put(x, lx), bench.put(y, ly)), want, 44);
    }
  },

  "matmul with transposed operands of larger sizes": async (bench) => {
    const [x, y] = [random([66, 50], "float32", 45), random([50, 70], "float32", 46)];
    const want = matmul(x, y);
    for (const [lx, ly] of [
      ["swapped", "contiguous"],
      ["contiguous", "swapped"],
      ["swapped", "swapped"],
    ] as const) {
      await bench.expect(`${lx} x ${ly}`, (out) => bench.backend.matmul(out, bench.put(x, lx), bench.put(y, ly)), want, 200);
    }
  },

  "matmul of batches": async (bench) => {
    for (const lead of [[1], [3], [2, 3], [2, 1, 2], [0]]) {
      const [x, y] = [random([...lead, 4, 6], "float32", 47), random([...lead, 6, 5], "float32", 48)];
      for (const layout of bench.layouts) {
        await bench.expect(
          `batch [${lead}], ${layout}`,
          (out) => bench.backend.matmul(out, bench.put(x, layout), bench.put(y, layout)),
          matmul(x, y),
          24,
        );
      }
    }
  },

  "matmul of batches that share an operand by steps of 0": async (bench) => {
    const x = random([2, 3, 4, 6], "float32", 49);
    const y = bench.stretch(random([1, 3, 6, 5], "float32", 50), [2, 3, 6, 5]);
    await bench.expect("shared", (out) => bench.backend.matmul(out, bench.put(x), y.device), matmul(x, y.plain), 24);
    const row = bench.stretch(random([1, 6], "float32", 51), [4, 6]);
    const right = random([6, 5], "float32", 52);
    await bench.expect("one row", (out) => bench.backend.matmul(out, row.device, bench.put(right)), matmul(row.plain, right), 24);
  },

  "matmul with an inner size of 0 gives zeros, with an outer size of 0 nothing": async (bench) => {
    for (const [m, k, n] of [
      [3, 0, 2],
      [0, 3, 2],
      [2, 3, 0],
      [0, 0, 0],
    ]) {
      const [x, y] = [random([m, k], "float32"), random([k, n], "float32")];
      await bench.expect(`[${m}, ${k}] x [${k}, ${n}]`, (out) => bench.backend.matmul(out, bench.put(x), bench.put(y)), matmul(x, y));
    }
  },

  "matmul lets NaN and infinities through": async (bench) => {
    const x = plain([2, 3], "float32", [NaN, 1, 2, 3, Infinity, 4]);
    const y = plain([3, 2], "float32", [0, 1, 1, 1, 0, 1]);
    await bench.expect("matmul", (out) => bench.backend.matmul(out, bench.put(x), bench.put(y)), matmul(x, y));
  },

  "groupedMatmul: each row meets its owner's weight; rows that nobody owns are zeros": async (bench) => {
    for (const dtype of bench.floats) {
      for (const offsets of shares) {
        for (const layout of bench.layouts) {
          const [x, weight] = [random([rowCount, 6], dtype, 53), random([5, 6, 7], dtype, 54)];
          const ends = plain([6], "int32", offsets);
          const want = groupedMatmul(x, weight, offsets);
          const run = (out: Plain) => bench.backend.groupedMatmul(out, bench.put(x, layout), bench.put(weight, layout), bench.put(ends));
          await bench.expect(`offsets [${offsets}], ${layout}`, () => run(want), want, 24);
        }
      }
    }
  },

  "groupedOuter: each expert sums over its own rows": async (bench) => {
    for (const dtype of bench.floats) {
      for (const offsets of shares) {
        for (const layout of bench.layouts) {
          const [x, y] = [random([rowCount, 6], dtype, 55), random([rowCount, 5], dtype, 56)];
          const ends = plain([6], "int32", offsets);
          const want = groupedOuter(x, y, offsets);
          const run = (out: Plain) => bench.backend.groupedOuter(out, bench.put(x, layout), bench.put(y, layout), bench.put(ends));
          await bench.expect(`offsets [${offsets}], ${layout}`, () => run(want), want, 4 * rowCount);
        }
      }
    }
  },

  "grouped products of larger sizes": async (bench) => {
    const offsets = [0, 30, 30, 95, 110];
    const [x, y, weight] = [random([120, 36], "float32", 57), random([120, 20], "float32", 58), random([4, 36, 20], "float32", 59)];
    const ends = () => bench.put(plain([5], "int32", offsets));
    await bench.expect(
      "matmul",
      (out) => bench.backend.groupedMatmul(out, bench.put(x), bench.put(weight, "swapped"), ends()),
      groupedMatmul(x, weight, offsets),
      144,
    );
    await bench.expect(
      "outer",
      (out) => bench.backend.groupedOuter(out, bench.put(x), bench.put(y), ends()),
      groupedOuter(x, y, offsets),
      480,
    );
  },
};
