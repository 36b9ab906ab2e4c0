/**
 * Sums are as accurate as pairwise sums of float32: the error of n terms is at most (log2(n) + 4) 2^-24 times the sum of their sizes. So are the
 * statistics and the gradients that are made of sums, whatever the mean: offsets go to 1e7, widths to 2^20. The oracle adds in float64.
 */
import { expect } from "chai";
import { sizeOf } from "../../../src/backend/shape.ts";
import type { ArrayType, Buffer, NDArray, TypedArray } from "../../../src/backend/backend.ts";
import type { Law } from "../conformance.ts";
import { stream } from "../plain.ts";
import { whole } from "../workbench.ts";
import type { Workbench } from "../workbench.ts";

const float = (...shape: number[]): ArrayType => ({ shape, dtype: "float32" });
/** Offsets and widths. */
const cases = [0, 1e3, 1e5, 1e7].flatMap((offset) => [5, 37, 1024].map((n) => [offset, n] as const)).concat([[1e5, 20_001], [1e7, 2 ** 20]]); // prettier-ignore

/** n numbers whose mean is near `offset` and whose deviation is near 1, as float32 holds them. */
function around(offset: number, n: number, seed = 1): Float32Array {
  const next = stream(seed);
  const numbers = new Float32Array(n);
  for (let i = 0; i < n; i++) numbers[i] = offset + Math.floor(next() * 4) + (offset < 1e5 ? next() : 0);
  return numbers;
}

function put(bench: Workbench, data: Float32Array, type: ArrayType = float(data.length)): NDArray {
  return whole(bench.keep(bench.backend.upload(type, data)), type);
}

/** As it comes: a list of a million numbers takes longer to make than to compare. */
async function read(bench: Workbench, buffer: Buffer, type: ArrayType): Promise<TypedArray> {
  const data = await bench.backend.download(bench.keep(buffer), type);
  expect(data.length, "elements downloaded").to.equal(sizeOf(type.shape));
  return data;
}

/** The place furthest from what is wanted; one that is no number is further than any. */
function worstOf(got: TypedArray, want: (i: number) => number): number {
  let [at, furthest] = [0, -1];
  for (let i = 0; i < got.length; i++) {
    const apart = Math.abs(got[i] - want(i));
    if (Number.isNaN(apart)) return i;
    if (apart > furthest) [at, furthest] = [i, apart];
  }
  return at;
}

function sum(numbers: ArrayLike<number>, of: (x: number) => number = (x) => x): number {
  let total = 0;
  for (let i = 0; i < numbers.length; i++) total += of(numbers[i]);
  return total;
}

/** Fails where `got` is further from `want` than pairwise sums of n terms, whose sizes add up to `size`, would be. */
function expectPairwise(what: string, got: number, want: number, n: number, size: number): void {
  expect(Math.abs(got - want), `${what}: got ${got}, want ${want}`).to.be.at.most(
    (Math.log2(n) + 4) * 2 ** -24 * size + 2 ** -24 * Math.abs(want),
  );
}

async function expectSums(bench: Workbench, x: Float32Array, shape: readonly [number, number], what: string): Promise<void> {
  const [rows, columns] = shape;
  const view = put(bench, x, float(...shape));
  const want = { all: sum(x), rows: new Float64Array(rows), columns: new Float64Array(columns) };
  x.forEach((v, i) => {
    want.rows[Math.floor(i / columns)] += v;
    want.columns[i % columns] += v;
  });
  const size = sum(x, Math.abs);
  const all = await read(bench, bench.backend.reduce("sum", float(), view, [0, 1]), float());
  expectPairwise(`${what}, all`, all[0], want.all, x.length, size);
  for (const axis of [0, 1]) {
    const [n, sums] = axis === 0 ? [rows, want.columns] : [columns, want.rows];
    const out = float(sums.length);
    const got = await read(bench, bench.backend.reduce("sum", out, view, [axis]), out);
    const worst = worstOf(got, (i) => sums[i]);
    expectPairwise(`${what} over axis ${axis}, ${worst}`, got[worst], sums[worst], n, (size * n) / x.length);
  }
}

interface Normal {
  readonly z: Float64Array;
  readonly scale: number;
}

/** The normalised row in float64. */
function normal(x: Float32Array, eps: number, centred: boolean): Normal {
  const mean = centred ? sum(x) / x.length : 0;
  const scale = 1 / Math.sqrt(sum(x, (v) => (v - mean) ** 2) / x.length + eps);
  const z = new Float64Array(x.length);
  for (let i = 0; i < x.length; i++) z[i] = (x[i] - mean) * scale;
  return { z, scale };
}

async function expectNorm(bench: Workbench, offset: number, n: number, name: "layerNorm" | "rmsNorm"): Promise<boolean> {
  const kernel = bench.backend.fused[name];
  const centred = name === "layerNorm";
  const [x, g] = [around(offset, n), around(0, n, 2)];
  const ones = put(bench, new Float32Array(n).fill(1));
  const inputs = [put(bench, x, float(1, n)), ones, ...(centred ? [put(bench, new Float32Array(n))] : [])];
  const forward = kernel?.forward(float(1, n), inputs, { eps: 1e-5 });
  if (!kernel || !forward) return false;
  forward.saved.forEach((buffer) => bench.keep(buffer));
  const { z, scale } = normal(x, 1e-5, centred);
  const what = `${name} of ${n} around ${offset}`;
  const expectNear = (part: string, got: TypedArray, want: (i: number) => number, allowed: number): void => {
    const worst = worstOf(got, want);
    expect(Math.abs(got[worst] - want(worst)), `${what}, ${part} ${worst}: got ${got[worst]}, want ${want(worst)}`).to.be.at.most(allowed);
  };
  expectNear("element", await read(bench, forward.out, float(1, n)), (i) => z[i], 2e-6);

  const out = whole(forward.out, float(1, n));
  const back = kernel.backward(
    put(bench, g, float(1, n)),
    out,
    forward.saved,
    inputs,
    inputs.map(() => true),
    { eps: 1e-5 },
  );
  const level = centred ? sum(g) / n : 0;
  let along = 0;
  for (let i = 0; i < n; i++) along += (g[i] * z[i]) / n;
  const [dx, dw, db] = await Promise.all(
    back.map((buffer, i) => (buffer ? read(bench, buffer, i === 0 ? float(1, n) : float(n)) : new Float32Array())),
  );
  expectNear("slope", dx, (i) => (g[i] - level - z[i] * along) * scale, 2e-5 * scale);
  expectNear("weight", dw, (i) => g[i] * z[i], 2e-5);
  if (centred) expectNear("bias", db, (i) => g[i], 1e-6);
  return true;
}

export const accuracy: Record<string, Law> = {
  "accuracy: sums": async (bench) => {
    for (const [offset, n] of cases) {
      await expectSums(bench, around(offset, n), [1, n], `the sum of ${n} around ${offset}`);
      await expectSums(bench, around(offset, n - (n % 4)), [(n - (n % 4)) / 4, 4], `the tall sum of ${n} around ${offset}`);
    }
    const tenths = new Float32Array(2 ** 20).fill(0.1);
    await expectSums(bench, tenths, [2 ** 20, 1], "tenths");
    const mixed = around(0, 2 ** 16).map((v, i) => (i % 2 ? -1e6 * v : 1e6 * v));
    await expectSums(bench, mixed, [256, 256], "numbers of both signs");
  },

  "accuracy: layer norm": async (bench) => {
    let served = false;
    for (const [offset, n] of cases) served = (await expectNorm(bench, offset, n, "layerNorm")) || served;
    return served ? undefined : "not served";
  },

  "accuracy: RMS norm": async (bench) => {
    let served = false;
    for (const [offset, n] of cases) served = (await expectNorm(bench, offset, n, "rmsNorm")) || served;
    return served ? undefined : "not served";
  },

  "accuracy: the gradients of a norm's weight and bias, over many rows": async (bench) => {
    const kernel = bench.backend.fused.layerNorm;
    if (!kernel) return "not served";
    const [rows, n] = [2 ** 14, 4];
    const [x, g] = [around(0, rows * n), around(1e3, rows * n, 2)];
    const type = float(rows, n);
    const inputs = [put(bench, x, type), put(bench, new Float32Array(n).fill(1)), put(bench, new Float32Array(n))];
    const forward = kernel.forward(type, inputs, { eps: 1e-5 });
    if (!forward) return "not served";
    forward.saved.forEach((buffer) => bench.keep(buffer));
    bench.keep(forward.out);
    const back = kernel.backward(put(bench, g, type), whole(forward.out, type), forward.saved, inputs, [false, true, true], { eps: 1e-5 });
    const want = [new Float64Array(n), new Float64Array(n), new Float64Array(n), new Float64Array(n)];
    for (let r = 0; r < rows; r++) {
      const { z } = normal(x.subarray(r * n, (r + 1) * n), 1e-5, true);
      z.forEach((v, d) => {
        const slope = g[r * n + d];
        [slope * v, slope, Math.abs(slope * v), Math.abs(slope)].forEach((term, k) => (want[k][d] += term));
      });
    }
    for (const k of [0, 1]) {
      const buffer = back[k + 1];
      const got = buffer ? await read(bench, buffer, float(n)) : [];
      // Each term has rounding errors of its own.
      for (let d = 0; d < n; d++) expectPairwise(k ? "bias" : "weight", got[d], want[k][d], rows, 1.5 * want[2 + k][d]);
      expect(got).to.have.length(n);
    }
  },

  "accuracy: rows and elements that meet": async (bench) => {
    const n = 2 ** 17;
    for (const offset of [0, 1e3]) {
      const x = around(offset, n);
      const [total, size] = [sum(x), sum(x, Math.abs)];
      const index = whole(bench.keep(bench.backend.upload({ shape: [n], dtype: "int32" }, new Int32Array(n).fill(1))), {
        shape: [n],
        dtype: "int32",
      });
      const rows = await read(bench, bench.backend.addRows(float(3), put(bench, x), index), float(3));
      expectPairwise("addRows", rows[1], total, n, size);
      const along = await read(bench, bench.backend.addAlong(float(3), put(bench, x), index, 0), float(3));
      expectPairwise("addAlong", along[1], total, n, size);
      expect([rows[0], rows[2], along[0], along[2]]).to.deep.equal([0, 0, 0, 0]);
    }
    // Many sources of one result.
    const few = around(1e3, 512);
    const table = { shape: [1, 512], dtype: "int32" } as const;
    const all = whole(bench.keep(bench.backend.upload(table, Int32Array.from(few.keys()))), table);
    const [got] = await read(bench, bench.backend.gatherRows(float(1, 1), put(bench, few, float(512, 1)), all), float(1, 1));
    expectPairwise("gatherRows", got, sum(few), 512, sum(few, Math.abs));
  },

  "accuracy: the sums of exponentials": async (bench) => {
    const { softmax, logSoftmax, crossEntropy } = bench.backend.fused;
    if (!softmax && !logSoftmax && !crossEntropy) return "not served";
    for (const n of [1000, 2 ** 17]) {
      const x = new Float32Array(n);
      const type = float(1, n);
      const shares = softmax?.forward(type, [put(bench, x, type)], null);
      const logs = logSoftmax?.forward(type, [put(bench, x, type)], null);
      const allowed = (Math.log2(n) + 4) * 2 ** -24;
      if (shares) expect(Math.abs((await read(bench, shares.out, type))[n - 1] * n - 1), `softmax of ${n}`).to.be.at.most(allowed);
      if (logs)
        expect(Math.abs((await read(bench, logs.out, type))[n - 1] + Math.log(n)), `logSoftmax of ${n}`).to.be.at.most(16 * allowed);
    }
  },

  "accuracy: sumOfSquares": async (bench) => {
    const { sumOfSquares } = bench.backend.fused;
    if (!sumOfSquares) return "not served";
    for (const offset of [0, 1e3]) {
      const parts = [around(offset, 2 ** 18), around(offset, 1000, 2), around(offset, 1, 3)];
      const want = parts.reduce((total, part) => total + sum(part, (v) => v * v), 0);
      const [got] = await read(bench, sumOfSquares(parts.map((part) => put(bench, part))), float());
      expectPairwise(`around ${offset}`, got, want, sizeOf([2 ** 18]), 1.5 * want);
    }
  },
};
