import type { Law } from "../conformance.ts";
import { alongAxis, inverse, sorted } from "../oracles.ts";
import { integers, plain, random } from "../plain.ts";
import type { Plain } from "../plain.ts";
import type { LayoutName, Workbench } from "../workbench.ts";

const shapes = [[1], [2], [7], [3, 5], [2, 3, 16], [4, 67], [2, 300], [0, 4], [3, 0]];

const holes = plain([4, 5], "float32", [
  NaN,
  1,
  -Infinity,
  NaN,
  3,
  2,
  2,
  NaN,
  Infinity,
  2,
  NaN,
  NaN,
  NaN,
  NaN,
  NaN,
  -1,
  0,
  Infinity,
  -Infinity,
  NaN,
]);

/** A few values, each of them often, and what compares in its own way. */
function mixed(shape: number[], seed: number): Plain {
  const values = [NaN, 0, -0, -Infinity, Infinity, -3, 3, -2.5, 0.1, 7e6];
  return plain(
    shape,
    "float32",
    integers(shape, "int32", seed, 0, 2 * values.length).data.map((i) => values[i] ?? Math.sin(i * i)),
  );
}

async function expectOrders(bench: Workbench, x: Plain, layout: LayoutName): Promise<void> {
  const last = x.shape.length - 1;
  const n = x.shape[last];
  for (const descending of [false, true]) {
    const what = `[${x.shape}], descending ${descending}, ${layout}`;
    const places = alongAxis(x, last, "int32", n, (lane) => sorted(lane, descending));
    await bench.expect(`argsort of ${what}`, (out) => bench.backend.argsort(out, bench.put(x, layout), descending), places);
    const ranks = alongAxis(x, last, "int32", n, (lane) => inverse(sorted(lane, descending), n));
    await bench.expect(`rank of ${what}`, (out) => bench.backend.rank(out, bench.put(x, layout), descending), ranks);
  }
}

async function expectTop(bench: Workbench, x: Plain, k: number, layout: LayoutName): Promise<void> {
  const want = alongAxis(x, x.shape.length - 1, "int32", k, (lane) => sorted(lane, true).slice(0, k));
  await bench.expect(`top ${k} of [${x.shape}], ${layout}`, (out) => bench.backend.topK(out, bench.put(x, layout)), want);
}

export const order: Record<string, Law> = {
  "argsort and rank": async (bench) => {
    for (const shape of shapes) for (const layout of bench.layouts) await expectOrders(bench, random(shape, "float32", 81), layout);
    if (bench.has64) await expectOrders(bench, random([3, 20], "float64", 82), "tangled");
  },

  "argsort and rank keep the order of equals, in both directions": async (bench) => {
    for (const dtype of [...bench.floats, "int32" as const]) {
      for (const shape of [[9], [4, 17], [2, 130]])
        for (const layout of bench.layouts) await expectOrders(bench, integers(shape, dtype, 83, 0, 4), layout);
    }
  },

  "argsort and rank place NaN below every number": async (bench) => expectOrders(bench, holes, "contiguous"),

  "topK for every k": async (bench) => {
    for (const shape of [[1], [5], [3, 8], [2, 3, 11]]) {
      for (let k = 1; k <= shape[shape.length - 1]; k++)
        for (const layout of bench.layouts) await expectTop(bench, random(shape, "float32", 84), k, layout);
    }
  },

  "topK takes the lowest index among equals, and NaN last": async (bench) => {
    for (const dtype of [...bench.floats, "int32" as const])
      for (const k of [1, 2, 5]) await expectTop(bench, integers([6, 12], dtype, 85, 0, 3), k, "swapped");
    for (const k of [1, 2, 5]) await expectTop(bench, holes, k, "contiguous");
  },

  "order as routers ask for it: many rows with ties, NaN, zeros of both signs and negatives": async (bench) => {
    for (const shape of [
      [2048, 8],
      [150, 64],
    ]) {
      const x = mixed(shape, 87);
      await expectOrders(bench, x, "contiguous");
      for (const k of [1, 2, 8]) await expectTop(bench, x, k, k === 2 ? "swapped" : "contiguous");
    }
  },

  "order tells the smallest numbers from zero": async (bench) => {
    await expectOrders(bench, plain([2, 4], "float32", [0, 1e-40, -1e-40, 2e-40, -1e-45, 0, 1e-45, NaN]), "contiguous");
  },

  "order as experts ask for it: few long rows, of which many are chosen": async (bench) => {
    const x = mixed([8, 700], 88);
    for (const k of [33, 110, 700]) await expectTop(bench, x, k, "swapped");
    await expectOrders(bench, integers([2, 900], "int32", 89, -(2 ** 23), 2 ** 23), "contiguous");
  },

  "topK of many from many": async (bench) => {
    for (const k of [31, 32, 33, 50, 90]) await expectTop(bench, integers([3, 90], "float32", 86, 0, 30), k, "contiguous");
  },
};
