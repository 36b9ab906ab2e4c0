import { sizeOf } from "../../../src/backend/shape.ts";
import type { Law } from "../conformance.ts";
import { alongAxis, inverse, rowsAt } from "../oracles.ts";
import { at, build, indices, integers, plain, random, stream } from "../plain.ts";
import type { Plain } from "../plain.ts";

/** -1, or a number below n that no other place holds. */
function partialInjection(shape: number[], n: number, seed: number): Plain {
  const next = stream(seed);
  const m = shape[shape.length - 1];
  const row = (): number[] => {
    const places = Array.from({ length: Math.max(n, m) }, (_, i) => (i < n ? i : -1));
    for (let i = places.length - 1; i > 0; i--) {
      const j = Math.floor(next() * (i + 1));
      [places[i], places[j]] = [places[j], places[i]];
    }
    return places.slice(0, m).map((p) => (next() < 0.3 ? -1 : p));
  };
  return plain(shape, "int32", Array.from({ length: sizeOf(shape) / m }, row).flat());
}

const keyShapes = [[1], [9], [3, 20], [2, 2, 33], [1, 1030], [0, 5], [4, 0]];

function addedAt(shape: readonly number[], g: Plain, target: (index: readonly number[]) => readonly number[]): Plain {
  const sums = new Map<string, number>();
  for (const index of indices(g.shape)) {
    const key = target(index).join();
    sums.set(key, (sums.get(key) ?? 0) + at(g, index));
  }
  return build(shape, g.dtype, (index) => sums.get(index.join()) ?? 0);
}

function equalsBefore(lane: readonly number[]): number[] {
  return lane.map((key, i) => (key < 0 ? -1 : lane.slice(0, i).filter((other) => other === key).length));
}

export const rows: Record<string, Law> = {
  "gatherRows sums the rows it names; -1 names none": async (bench) => {
    for (const dtype of bench.floats) {
      for (const [n, m, j, ...width] of [
        [5, 7, 1, 3],
        [5, 7, 3, 4],
        [1, 2, 2, 1],
        [9, 4, 5],
        [6, 5, 2, 2, 3],
        [3, 0, 2, 4],
        [4, 3, 2, 0],
        [20, 33, 2, 65],
        [4, 3, 0, 2],
      ]) {
        const [x, index] = [random([n, ...width], dtype, 91), integers([m, j], "int32", 92, -1, n)];
        const want = rowsAt(x, [m], dtype, ([row]) => Array.from({ length: j }, (_, k) => at(index, [row, k])).filter((i) => i >= 0));
        for (const layout of bench.layouts) {
          await bench.expect(
            `gatherRows, ${layout}`,
            (out) => bench.backend.gatherRows(out, bench.put(x, layout), bench.put(index, layout)),
            want,
            2 * j,
          );
        }
      }
    }
  },

  "gatherRows: a NaN in a row that is not named stays where it is": async (bench) => {
    const x = plain([2, 2], "float32", [NaN, Infinity, 1, 2]);
    const index = plain([2, 2], "int32", [-1, 1, -1, -1]);
    await bench.expect(
      "gatherRows",
      (out) => bench.backend.gatherRows(out, bench.put(x), bench.put(index)),
      plain([2, 2], "float32", [1, 2, 0, 0]),
    );
  },

  takeRows: async (bench) => {
    const types = [...bench.floats, "int32" as const, "bfloat16" as const].filter((dtype) => bench.backend.dtypes.has(dtype));
    for (const dtype of types) {
      for (const [rowShape, width] of [
        [[7], [3]],
        [[2, 4], [5]],
        [[], [4]],
        [[6], []],
        [[3], [2, 2]],
        [[0], [3]],
        [[40], [65]],
      ]) {
        const x = dtype === "bfloat16" ? integers([5, ...width], dtype, 93, 0, 0x7f00) : random([5, ...width], dtype, 93, -50, 50);
        const index = integers(rowShape, "int32", 94, 0, 5);
        const want = rowsAt(x, rowShape, dtype, (place) => [at(index, place)]);
        for (const layout of bench.layouts) {
          await bench.expect(
            `takeRows, ${layout}`,
            (out) => bench.backend.takeRows(out, bench.put(x, layout), bench.put(index, layout)),
            want,
          );
        }
      }
    }
  },

  "addRows: rows that meet are summed": async (bench) => {
    for (const dtype of bench.floats) {
      for (const [rowShape, width] of [
        [[7], [3]],
        [[2, 4], [5]],
        [[], [4]],
        [[6], []],
        [[3], [2, 2]],
        [[0], [3]],
        [[90], [33]],
      ]) {
        const [g, index] = [random([...rowShape, ...width], dtype, 95), integers(rowShape, "int32", 96, 0, 4)];
        const want = addedAt([5, ...width], g, (place) => [at(index, place.slice(0, rowShape.length)), ...place.slice(rowShape.length)]);
        for (const layout of bench.layouts) {
          await bench.expect(
            `addRows, ${layout}`,
            (out) => bench.backend.addRows(out, bench.put(g, layout), bench.put(index, layout)),
            want,
            2 * sizeOf(rowShape),
          );
        }
      }
    }
  },

  "takeAlong along every axis": async (bench) => {
    for (const dtype of [...bench.floats, "int32" as const]) {
      for (const shape of [[6], [3, 5], [2, 4, 3]]) {
        for (let axis = 0; axis < shape.length; axis++) {
          for (const n of [1, shape[axis], 7, 0]) {
            const [x, index] = [random(shape, dtype, 97, -50, 50), integers(shape.with(axis, n), "int32", 98, 0, shape[axis])];
            const want = build(index.shape, dtype, (place) => at(x, place.with(axis, at(index, place))));
            for (const layout of bench.layouts) {
              await bench.expect(
                `takeAlong ${axis}, ${layout}`,
                (out) => bench.backend.takeAlong(out, bench.put(x, layout), bench.put(index, layout), axis),
                want,
              );
            }
          }
        }
      }
    }
  },

  "addAlong along every axis: elements that meet are summed": async (bench) => {
    for (const dtype of bench.floats) {
      for (const shape of [[6], [3, 5], [2, 4, 3]]) {
        for (let axis = 0; axis < shape.length; axis++) {
          for (const n of [1, shape[axis], 9, 0]) {
            const gShape = shape.with(axis, n);
            const [g, index] = [random(gShape, dtype, 99), integers(gShape, "int32", 100, 0, shape[axis])];
            const want = addedAt(shape, g, (place) => place.with(axis, at(index, place)));
            for (const layout of bench.layouts) {
              await bench.expect(
                `addAlong ${axis}, ${layout}`,
                (out) => bench.backend.addAlong(out, bench.put(g, layout), bench.put(index, layout), axis),
                want,
                20,
              );
            }
          }
        }
      }
    }
  },

  "invert a partial injection": async (bench) => {
    for (const [shape, n] of [
      [[1], 1],
      [[5], 8],
      [[8], 5],
      [[3, 20], 20],
      [[2, 2, 33], 40],
      [[1, 700], 1100],
    ] as const) {
      const index = partialInjection([...shape], n, 101);
      const want = alongAxis(index, shape.length - 1, "int32", n, (lane) => inverse(lane, n));
      for (const layout of bench.layouts)
        await bench.expect(`invert, ${layout}`, (out) => bench.backend.invert(out, bench.put(index, layout)), want);
    }
  },

  countEarlier: async (bench) => {
    for (const shape of keyShapes) {
      const key = integers(shape, "int32", 102, -2, 5);
      const want = alongAxis(key, shape.length - 1, "int32", shape[shape.length - 1], equalsBefore);
      for (const layout of bench.layouts)
        await bench.expect(`countEarlier, ${layout}`, (out) => bench.backend.countEarlier(out, bench.put(key, layout)), want);
    }
  },

  "bincount counts what lies in range": async (bench) => {
    for (const shape of keyShapes) {
      for (const bins of [1, 4, 9]) {
        const key = integers(shape, "int32", 103, -2, 6);
        const count = (lane: readonly number[]): number[] => Array.from({ length: bins }, (_, e) => lane.filter((k) => k === e).length);
        const want = alongAxis(key, shape.length - 1, "int32", bins, count);
        for (const layout of bench.layouts)
          await bench.expect(`bincount, ${layout}`, (out) => bench.backend.bincount(out, bench.put(key, layout)), want);
      }
    }
  },

  "uniform: the same bits everywhere": async (bench) => {
    const rounds = [2049, 17, 3001, 4095, 4095, 0, 2777, 1234];
    for (const dtype of bench.floats) {
      const want = build([97, 53], dtype, ([i, j]) => feistel(i * 53 + j, rounds));
      await bench.expect("uniform", (out) => bench.backend.uniform(out, rounds), want, 0, 0);
    }
  },
};

/** The hash with division and remainder where the kernel shifts and masks. */
function feistel(i: number, rounds: readonly number[]): number {
  let [l, r] = [Math.floor(i / 4096), i % 4096];
  for (let k = 0; k < 4; k++) {
    const [m, a] = rounds.slice(2 * k);
    const s = (r + a) % 4096;
    const t = ((Math.floor((s * s) / 32) % 4096) + s) % 4096;
    [l, r] = [r, (l + (Math.floor((t * m) / 64) % 4096)) % 4096];
  }
  return (l * 4096 + r) / 2 ** 24;
}
