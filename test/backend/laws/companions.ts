/**
 * A row does not know its companions: what a kernel computes for a row (a token, a query) is the same to the last bit whatever else is in the
 * batch, and however many rows there are.
 */
import { expect } from "chai";
import { sizeOf } from "../../../src/backend/shape.ts";
import type { ArrayType, Buffer, FusedKernel, NDArray } from "../../../src/backend/backend.ts";
import type { Law } from "../conformance.ts";
import { random } from "../plain.ts";
import type { Plain } from "../plain.ts";
import { whole } from "../workbench.ts";
import type { Workbench } from "../workbench.ts";

/** What a kernel makes of rows x [R, …]: one array of R rows, or undefined where it is not served. */
type RowWise = (bench: Workbench, x: NDArray) => { readonly buffer: Buffer; readonly type: ArrayType } | undefined;

const R = 41;
/** From 64 rows on products may take other ways. */
const MANY = 67;
/** Rows that are computed without the others: first, last, one, some. */
const groups = [
  [0, 1],
  [0, 2],
  [3, 6],
  [5, 21],
  [1, 41],
  [40, 41],
  [3, 67],
];

const rowsOf = (x: Plain, from: number, to: number): Plain => {
  const width = sizeOf(x.shape.slice(1));
  return { ...x, shape: [to - from, ...x.shape.slice(1)], data: x.data.slice(from * width, to * width) };
};

async function expectAlone(bench: Workbench, what: string, x: Plain, compute: RowWise): Promise<boolean> {
  const all = compute(bench, bench.put(x));
  if (!all) return false;
  const together = await bench.read(all.buffer, all.type);
  const width = sizeOf(together.shape.slice(1));
  for (const [from, to] of groups.filter(([, end]) => end <= x.shape[0])) {
    const some = compute(bench, bench.put(rowsOf(x, from, to)));
    if (!some) return false;
    const alone = await bench.read(some.buffer, some.type);
    const at = alone.data.findIndex((v, i) => !Object.is(v, together.data[from * width + i]));
    expect(at, `${what}, rows ${from} to ${to - 1} alone: the first element that differs`).to.equal(-1);
  }
  return true;
}

/** The result of a fused kernel, and with `backward` the cotangent of its first input, whose rows are those of the result. */
function ofKernel<A>(kernel: FusedKernel<A> | undefined, attributes: A, others: readonly NDArray[], backward: boolean): RowWise {
  return (bench, x) => {
    const out: ArrayType = { shape: x.shape, dtype: x.dtype };
    const inputs = [x, ...others];
    const forward = kernel?.forward(out, inputs, attributes);
    if (!kernel || !forward) return undefined;
    for (const buffer of [forward.out, ...forward.saved]) bench.keep(buffer);
    if (!backward) return { buffer: bench.backend.copy(out, whole(forward.out, out)), type: out };
    const needed = inputs.map((_, i) => i === 0);
    const [slope] = kernel.backward(x, whole(forward.out, out), forward.saved, inputs, needed, attributes);
    return slope ? { buffer: slope, type: out } : undefined;
  };
}

export const companions: Record<string, Law> = {
  "companions: products": async (bench) => {
    for (const [k, n] of [
      [1, 1],
      [5, 3],
      [64, 8],
      [300, 37],
      [513, 64],
    ]) {
      const y = bench.put(random([k, n], "float32", 331));
      const turned = bench.put(random([k, n], "float32", 331), "transposed");
      for (const other of [y, turned])
        await expectAlone(bench, `[R, ${k}] x [${k}, ${n}]`, random([MANY, k], "float32", 332), (_, x) => {
          const type: ArrayType = { shape: [x.shape[0], n], dtype: "float32" };
          return { buffer: bench.backend.matmul(type, x, other), type };
        });
    }
  },

  "companions: linear maps": async (bench) => {
    const { linear } = bench.backend.fused;
    for (const width of [1, 7, 64, 301]) {
      const others = [random([width, width], "float32", 341), random([width], "float32", 342)].map((x) => bench.put(x));
      for (const backward of [false, true]) {
        const served = await expectAlone(bench, `linear of width ${width}`, random([MANY, width], "float32", 343), ofKernel(linear, null, others, backward)); // prettier-ignore
        if (!served) return "not served";
      }
    }
  },

  "companions: products of rows sorted by expert": async (bench) => {
    const [k, n] = [37, 24];
    const weight = bench.put(random([3, k, n], "float32", 333));
    // All rows are the second expert's, so that any of them may stay away.
    await expectAlone(bench, "groupedMatmul", random([MANY, k], "float32", 334), (_, x) => {
      const type: ArrayType = { shape: [x.shape[0], n], dtype: "float32" };
      const offsets = bench.put({ shape: [4], dtype: "int32", data: [0, 0, x.shape[0], x.shape[0]] });
      return { buffer: bench.backend.groupedMatmul(type, x, weight, offsets), type };
    });
  },

  "companions: functions of rows and of elements": async (bench) => {
    const { softmax, logSoftmax, layerNorm, rmsNorm, biasActivation } = bench.backend.fused;
    for (const width of [1, 7, 64, 301]) {
      const x = random([R, width], "float32", 335, -4, 4);
      const [w, b] = [bench.put(random([width], "float32", 336, 0.5, 1.5)), bench.put(random([width], "float32", 337))];
      for (const backward of [false, true]) {
        const what = `of width ${width}${backward ? ", backward" : ""}`;
        await expectAlone(bench, `softmax ${what}`, x, ofKernel(softmax, null, [], backward));
        await expectAlone(bench, `logSoftmax ${what}`, x, ofKernel(logSoftmax, null, [], backward));
        await expectAlone(bench, `layerNorm ${what}`, x, ofKernel(layerNorm, { eps: 1e-5 }, [w, b], backward));
        await expectAlone(bench, `rmsNorm ${what}`, x, ofKernel(rmsNorm, { eps: 1e-5 }, [w], backward));
        for (const activation of ["relu", "gelu", "geluTanh", "silu"] as const)
          await expectAlone(bench, `${activation} ${what}`, x, ofKernel(biasActivation, { activation }, [b], backward));
      }
      for (const op of ["exp", "tanh", "normalCdf"] as const)
        await expectAlone(bench, op, x, (_, rows) => ({ buffer: bench.backend.unary(op, rows, rows), type: rows }));
      await expectAlone(bench, "sum", x, (_, rows) => {
        const type: ArrayType = { shape: [rows.shape[0]], dtype: "float32" };
        return { buffer: bench.backend.reduce("sum", type, rows, [1]), type };
      });
    }
  },

  "companions: queries of attention": async (bench) => {
    const [S, D] = [19, 8];
    const { attention } = bench.backend.fused;
    const [k, v] = [338, 339].map((seed) => bench.put(random([1, 1, S, D], "float32", seed)));
    const served = await expectAlone(bench, "attention", random([R, D], "float32", 340), (_, x) => {
      const [rows] = x.shape;
      const q: NDArray = { ...x, shape: [1, 1, rows, D], strides: [rows * D, rows * D, D, 1] };
      const result = attention?.forward({ shape: [1, rows, 1, D], dtype: "float32" }, [q, k, v], { scale: 0.35, causal: false });
      result?.saved.forEach((buffer) => bench.keep(buffer));
      return result && { buffer: result.out, type: { shape: [rows, D], dtype: "float32" } };
    });
    return served ? undefined : "not served";
  },
};
