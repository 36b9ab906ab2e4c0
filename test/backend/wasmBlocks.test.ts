/** What only large shapes show: kernels cut their work into blocks and tiles, and here shapes lie on both sides of every edge. */
import { expect } from "chai";
import fc from "fast-check";
import type { ArrayType, Backend, Buffer, NDArray } from "../../src/backend/backend.ts";
import { cpu } from "../../src/backend/index.ts";
import { broadcastShapes, sizeOf, stridesOf } from "../../src/backend/shape.ts";
import { wasm } from "../../src/backend/wasm/index.ts";
import { attention } from "./fusedOracles.ts";
import type { Plain } from "./plain.ts";

const float = (...shape: number[]): ArrayType => ({ shape, dtype: "float32" });

/** Numbers in [-1, 1] that look random, the same on every backend. */
function put(backend: Backend, { shape, dtype }: ArrayType, seed: number): NDArray {
  const data = Float32Array.from({ length: sizeOf(shape) }, (_, i) => ((((i + 1) * 7919 * (seed + 3)) % 20011) / 20011) * 2 - 1);
  return { shape, dtype, buffer: backend.upload({ shape, dtype }, data), strides: stridesOf(shape), offset: 0 };
}

/** The last two axes exchanged. */
function transposed(x: NDArray): NDArray {
  const swap = (list: readonly number[]): number[] => [...list.slice(0, -2), ...list.slice(-2).toReversed()];
  return { ...x, shape: swap(x.shape), strides: swap(x.strides) };
}

type Run = (backend: Backend) => { type: ArrayType; buffer: Buffer };

/** The same on both backends, within `tolerance` times the size of the terms. */
async function agree(fast: Backend, run: Run, tolerance: number, what: string): Promise<void> {
  const [got, want] = await Promise.all(
    [fast, cpu()].map(async (backend) => {
      const { type, buffer } = run(backend);
      return backend.download(buffer, type);
    }),
  );
  expect(got.length).to.equal(want.length);
  const at = got.findIndex((x, i) => !(Math.abs(x - want[i]) <= tolerance) && !Object.is(x, want[i]));
  if (at >= 0) expect.fail(`${what}, element ${at}: got ${got[at]}, want ${want[at]}`);
}

// Around the edges of tiles (4, 6, 8), of blocks of rows (96) and of K (256).
const rows = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(95, 96, 97, 100, 193));
const inner = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(255, 256, 257, 515));
const columns = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.constantFrom(63, 64, 65, 130));

describe("wasm blocks", () => {
  let backend: Awaited<ReturnType<typeof wasm>>;
  before(async () => void (backend = await wasm({ threads: 2 })));
  after(() => backend.close());

  it("products of all sizes, from all transposes", () =>
    fc.assert(
      fc.asyncProperty(rows, inner, columns, fc.boolean(), fc.boolean(), fc.integer({ min: 1, max: 3 }), async (m, k, n, xT, yT, batch) => {
        const run: Run = (device) => {
          const x = xT ? transposed(put(device, float(batch, k, m), 1)) : put(device, float(batch, m, k), 1);
          const y = yT ? transposed(put(device, float(batch, n, k), 2)) : put(device, float(batch, k, n), 2);
          const type = float(batch, m, n);
          return { type, buffer: device.matmul(type, x, y) };
        };
        await agree(backend, run, 1e-6 * Math.sqrt(k) * 4, `[${batch}, ${m}, ${k}]${xT ? "T" : ""} x [${k}, ${n}]${yT ? "T" : ""}`);
      }),
      { numRuns: 60 },
    ));

  it("products whose operands advance by odd strides", () =>
    fc.assert(
      fc.asyncProperty(rows, inner, columns, async (m, k, n) => {
        const run: Run = (device) => {
          const x = put(device, float(m, k, 2), 1);
          const y = put(device, float(k, n, 3), 2);
          const type = float(m, n);
          const every = (z: NDArray): NDArray => ({ ...z, shape: z.shape.slice(0, 2), strides: z.strides.slice(0, 2), offset: 1 });
          return { type, buffer: device.matmul(type, every(x), every(y)) };
        };
        await agree(backend, run, 1e-6 * Math.sqrt(k) * 4, `[${m}, ${k}] x [${k}, ${n}]`);
      }),
      { numRuns: 20 },
    ));

  it("grouped products, empty groups and rows of nobody among them", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.constant(0), fc.nat(120)), { minLength: 1, maxLength: 4 }),
        inner,
        columns,
        async (counts, d, f) => {
          const bounds = counts.reduce((list, n) => [...list, list[list.length - 1] + n], [0]);
          const m = bounds[bounds.length - 1] + 5;
          const type = { shape: [bounds.length], dtype: "int32" } as const;
          const given = (device: Backend): [NDArray, NDArray] => [
            put(device, float(m, d), 1),
            { ...type, buffer: device.upload(type, Int32Array.from(bounds)), strides: [1], offset: 0 },
          ];
          const forward: Run = (device) => {
            const [x, offsets] = given(device);
            return { type: float(m, f), buffer: device.groupedMatmul(float(m, f), x, put(device, float(counts.length, d, f), 2), offsets) };
          };
          const outer: Run = (device) => {
            const [x, offsets] = given(device);
            const out = float(counts.length, d, f);
            return { type: out, buffer: device.groupedOuter(out, x, put(device, float(m, f), 2), offsets) };
          };
          await agree(backend, forward, 1e-6 * Math.sqrt(d) * 4, `groupedMatmul ${counts}`);
          await agree(backend, outer, 1e-4, `groupedOuter ${counts}`);
        },
      ),
      { numRuns: 20 },
    ));

  it("reductions along every subset of axes", () => {
    const size = fc.constantFrom(1, 2, 3, 15, 16, 17, 65, 130);
    return fc.assert(
      fc.asyncProperty(
        fc.array(size, { minLength: 1, maxLength: 3 }),
        fc.nat(7),
        fc.constantFrom("sum", "max", "min"),
        async (shape, mask, op) => {
          const axes = shape.map((_, axis) => axis).filter((axis) => (mask >> axis) & 1);
          const type = float(...shape.filter((_, axis) => !axes.includes(axis)));
          const run: Run = (device) => ({ type, buffer: device.reduce(op, type, put(device, float(...shape), 5), axes) });
          await agree(backend, run, 1e-6 * Math.sqrt(sizeOf(shape)), `${op} of [${shape}] over [${axes}]`);
        },
      ),
      { numRuns: 60 },
    );
  });

  it("uniform numbers, bit for bit", () => {
    const [high, low] = [fc.integer({ min: 1024, max: 2047 }).map((x) => 2 * x + 1), fc.integer({ min: 0, max: 4095 })];
    return fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(high, low), { minLength: 4, maxLength: 4 }), fc.integer({ min: 1, max: 9000 }), (pairs, n) =>
        agree(backend, (device) => ({ type: float(n), buffer: device.uniform(float(n), pairs.flat()) }), 0, `${pairs}`),
      ),
      { numRuns: 20 },
    );
  });

  it("a row longer than a block", () =>
    agree(
      backend,
      (device) => ({ type: float(3), buffer: device.reduce("sum", float(3), put(device, float(3, 2500), 1), [1]) }),
      1e-4,
      "sum",
    ));

  it("operands that broadcast in every way", () => {
    const size = fc.constantFrom(1, 3, 8, 33);
    const pair = fc.record({ n: size, x: fc.boolean(), y: fc.boolean() });
    return fc.assert(
      fc.asyncProperty(
        fc.array(pair, { minLength: 1, maxLength: 4 }),
        fc.constantFrom("sub", "less", "maximum"),
        fc.boolean(),
        async (axes, op, swap) => {
          const [a, b] = [axes.map(({ n, x }) => (x ? n : 1)), axes.map(({ n, y }) => (y ? n : 1))];
          const shape = broadcastShapes(a, b) ?? [];
          const run: Run = (device) => {
            const x = put(device, float(...a), 1);
            const y = put(device, float(...b), 2);
            const type = float(...shape);
            return { type, buffer: swap ? device.binary(op, type, y, x) : device.select(type, conditionOn(device, a), x, y) };
          };
          await agree(backend, run, 0, `[${a}] and [${b}]`);
        },
      ),
      { numRuns: 80 },
    );
  });

  it("copies, pads and joins of permuted views", () => {
    const size = fc.constantFrom(1, 2, 4, 5, 9, 16);
    return fc.assert(
      fc.asyncProperty(fc.array(size, { minLength: 1, maxLength: 4 }), fc.nat(23), fc.nat(3), async (shape, order, where) => {
        const axes = shape.map((_, axis) => axis).sort((i, j) => ((i * 7 + order) % 5) - ((j * 7 + order) % 5));
        const axis = where % shape.length;
        const view = (x: NDArray): NDArray => ({ ...x, shape: axes.map((i) => x.shape[i]), strides: axes.map((i) => x.strides[i]) });
        const permuted = axes.map((i) => shape[i]);
        const copy: Run = (device) => ({
          type: float(...permuted),
          buffer: device.copy(float(...permuted), view(put(device, float(...shape), 1))),
        });
        const pad: Run = (device) => {
          const type = float(...permuted.map((n, i) => n + (i === axis ? 3 : 1)));
          return {
            type,
            buffer: device.pad(
              type,
              view(put(device, float(...shape), 1)),
              permuted.map((_, i) => (i === axis ? 2 : 0)),
              -7,
            ),
          };
        };
        const concat: Run = (device) => {
          const type = float(...permuted.map((n, i) => (i === axis ? 2 * n : n)));
          return {
            type,
            buffer: device.concat(
              type,
              [1, 2].map((seed) => view(put(device, float(...shape), seed))),
              axis,
            ),
          };
        };
        for (const [name, run] of Object.entries({ copy, pad, concat })) await agree(backend, run, 0, `${name} of [${shape}] by [${axes}]`);
      }),
      { numRuns: 60 },
    );
  });

  // Blocks are 48 queries with a causal mask, 96 without.
  const sizes = [
    { causal: true, t: 100, s: 100, bias: null },
    { causal: true, t: 50, s: 70, bias: [2, 50, 70] },
    { causal: true, t: 97, s: 50, bias: [1, 1, 97, 50] },
    { causal: false, t: 97, s: 20, bias: null },
    { causal: false, t: 100, s: 33, bias: [2, 100, 33] },
  ];
  for (const { causal, t, s, bias } of sizes) {
    it(`attention of ${t} queries and ${s} keys, causal: ${causal}, bias [${bias ?? ""}]`, () => {
      const shapes = [[2, 2, t, 4], [2, 2, s, 4], [2, 2, s, 4], ...(bias ? [bias] : [])]; // prettier-ignore
      const inputs = shapes.map((shape, i) => put(backend, float(...shape), i));
      const plain = inputs.map((x) => [...backend.downloadSync(x.buffer, x)]);
      const attributes = { scale: 0.7, causal };
      const meaning = (data: readonly (readonly number[])[]): readonly number[] => {
        const of = (i: number): Plain => ({ shape: shapes[i], dtype: "float64", data: data[i] });
        const whole = data[3] && { shape: [2, 2, t, s], dtype: "float64" as const, data: toHeads(data[3], t * s) };
        return attention(of(0), of(1), of(2), whole, attributes.scale, causal).data;
      };
      const kernel = backend.fused.attention;
      const forward = kernel?.forward(float(2, t, 2, 4), inputs, attributes);
      if (!kernel || !forward) return expect.fail("not served");
      const want = meaning(plain);
      const type = float(2, t, 2, 4);
      backend.downloadSync(forward.out, type).forEach((x, i) => expect(x, `element ${i}`).to.be.closeTo(want[i], 2e-6));

      // A step of all inputs along one direction changes sum(out g) by the dot product of cotangents and direction.
      const g = put(backend, type, 9);
      const out = { ...g, buffer: forward.out };
      const slopes = kernel.backward(g, out, forward.saved, inputs, inputs.map(() => true), attributes); // prettier-ignore
      const weights = backend.downloadSync(g.buffer, g);
      const directions = plain.map((data, i) => data.map((_, j) => Math.sin(j * 3.3 + i)));
      const [up, down] = [1e-4, -1e-4].map((h) => {
        const moved = meaning(plain.map((data, i) => data.map((x, j) => x + h * directions[i][j])));
        return moved.reduce((sum, x, i) => sum + x * weights[i], 0);
      });
      const along = slopes.flatMap((slope, i) => {
        if (!slope) return expect.fail(`no cotangent of input ${i}`);
        return [...backend.downloadSync(slope, inputs[i])].map((x, j) => x * directions[i][j]);
      });
      expect(along.reduce((sum, x) => sum + x, 0)).to.be.closeTo((up - down) / 2e-4, 2e-4);
    });
  }
});

/** Ones and zeros. */
function conditionOn(device: Backend, shape: readonly number[]): NDArray {
  const x = put(device, float(...shape), 4);
  const zero = put(device, float(), 0);
  return { ...x, buffer: device.binary("greater", x, x, zero), strides: stridesOf(shape), offset: 0 };
}

/** [heads or 1, n] as [2, 2, n]: two sequences of two heads. */
function toHeads(data: readonly number[], n: number): number[] {
  return [0, 1, 0, 1].flatMap((head) => (data.length === n ? data : data.slice(head * n, (head + 1) * n)));
}
