import type { DType } from "../../../src/backend/backend.ts";
import type { Law } from "../conformance.ts";
import { at, build, integers, random } from "../plain.ts";
import type { Plain } from "../plain.ts";
import type { Workbench } from "../workbench.ts";

const shapes = [[], [1], [0], [7], [3, 5], [2, 0, 3], [4, 1, 6], [2, 3, 4, 5], [33, 65]];

function every(bench: Workbench): DType[] {
  return (["float32", "float64", "int32", "bfloat16"] as const).filter((dtype) => bench.backend.dtypes.has(dtype));
}

/** Any bits do for movement; bfloat16 is its bits. */
function numbers(shape: number[], dtype: DType, seed: number): Plain {
  return dtype === "bfloat16" ? integers(shape, dtype, seed, 0, 0x7f00) : random(shape, dtype, seed, -90, 90);
}

function padded(x: Plain, shape: number[], before: readonly number[], value: number): Plain {
  return build(shape, x.dtype, (index) => {
    const own = index.map((i, axis) => i - before[axis]);
    return own.every((i, axis) => i >= 0 && i < x.shape[axis]) ? at(x, own) : value;
  });
}

function joined(xs: readonly Plain[], axis: number): Plain {
  const shape = xs[0].shape.with(
    axis,
    xs.reduce((sum, x) => sum + x.shape[axis], 0),
  );
  return build(shape, xs[0].dtype, (index) => {
    let [which, place] = [0, index[axis]];
    while (place >= xs[which].shape[axis]) place -= xs[which++].shape[axis];
    return at(xs[which], index.with(axis, place));
  });
}

export const movement: Record<string, Law> = {
  "copy makes every layout contiguous": async (bench) => {
    for (const dtype of every(bench)) {
      for (const shape of shapes) {
        const x = numbers(shape, dtype, 61);
        for (const layout of bench.layouts)
          await bench.expect(`copy, ${layout}`, (out) => bench.backend.copy(out, bench.put(x, layout)), x);
      }
    }
  },

  "copy of a stretched view": async (bench) => {
    const { device, plain: x } = bench.stretch(random([3, 1, 2], "float32", 62), [3, 40, 2]);
    await bench.expect("copy", (out) => bench.backend.copy(out, device), x);
  },

  "copy of a large transpose": async (bench) => {
    const x = random([70, 133], "float32", 63);
    await bench.expect("copy", (out) => bench.backend.copy(out, bench.put(x, "transposed")), x);
  },

  "pad places x and fills the rest": async (bench) => {
    const cases = [
      { shape: [3], before: [2], to: [7] },
      { shape: [0], before: [1], to: [3] },
      { shape: [2, 3], before: [0, 1], to: [2, 5] },
      { shape: [2, 3], before: [1, 0], to: [4, 3] },
      { shape: [2, 3, 4], before: [1, 2, 3], to: [4, 6, 9] },
      { shape: [2, 3], before: [0, 0], to: [2, 3] },
    ];
    for (const dtype of every(bench)) {
      for (const { shape, before, to } of cases) {
        const x = numbers(shape, dtype, 64);
        const want = padded(x, to, before, dtype === "bfloat16" ? 0x4048 : 3);
        for (const layout of bench.layouts) {
          const value = dtype === "bfloat16" ? 3.125 : 3;
          await bench.expect(
            `pad [${shape}] to [${to}], ${layout}`,
            (out) => bench.backend.pad(out, bench.put(x, layout), before, value),
            want,
          );
        }
      }
    }
  },

  "concat joins along every axis": async (bench) => {
    for (const dtype of every(bench)) {
      for (let axis = 0; axis < 3; axis++) {
        const xs = [2, 1, 0, 4].map((n, i) => numbers([3, 4, 5].with(axis, n), dtype, 65 + i));
        for (const layout of bench.layouts) {
          const views = () => xs.map((x, i) => bench.put(x, i === 1 ? "contiguous" : layout));
          await bench.expect(`concat along ${axis}, ${layout}`, (out) => bench.backend.concat(out, views(), axis), joined(xs, axis));
        }
      }
    }
  },

  "concat of one, and of many": async (bench) => {
    const one = random([3, 2], "float32", 70);
    await bench.expect("one", (out) => bench.backend.concat(out, [bench.put(one, "swapped")], 1), one);
    const many = Array.from({ length: 40 }, (_, i) => random([2, 3], "float32", 71 + i));
    await bench.expect(
      "many",
      (out) =>
        bench.backend.concat(
          out,
          many.map((x) => bench.put(x)),
          0,
        ),
      joined(many, 0),
    );
  },
};
