/**
 * Fused operations are compositions with a faster road: on a device with kernels and on one without, values, cotangents and
 * second derivatives agree. The table is typed by the kernels. R rows, V classes, D width, B batch, H heads, T queries, S keys.
 */
import { expect } from "chai";
import fc from "fast-check";
import { activate, key, random, scope, tensor, where, withBackend } from "switchyard-moe";
import type { Activation, Backend, Tensor } from "switchyard-moe";
import { CpuBackend } from "switchyard-moe/backend";
import type { FusedKernel, FusedKernels } from "switchyard-moe/backend";
import { attention, crossEntropy, layerNorm, rmsNorm } from "switchyard-moe/nn";
import type { PlainArray } from "switchyard-moe/testing";
import { arrays, numbers, shapes } from "switchyard-moe/testing";
import type { FusedName } from "../../../src/autograd/fused.ts";
import { slotActivation, slotMatmul } from "../../../src/autograd/slots.ts";
import { linear } from "../../../src/nn/linear.ts";
import { near, valuesOf } from "../helpers.ts";

/** The reference device without any fused kernel. */
class Bare extends CpuBackend {
  override readonly fused: FusedKernels = {};
}

type Operation = (...inputs: Tensor[]) => Tensor;

interface Case {
  readonly inputs: readonly PlainArray[];
  readonly f: Operation;
}

export interface FusedOptions {
  readonly dtype: "float32" | "float64";
  readonly tolerance: number;
  readonly runs: number;
  /** Fused functions that the device leaves to the composition. */
  readonly missing?: readonly FusedName[];
}

const grid = numbers({ shift: 1 / 128 });
const width = fc.integer({ min: 1, max: 5 });
const lead = shapes({ maxAxes: 2, maxSize: 3 });

const rows = fc.tuple(lead, width).chain(([shape, D]) => fc.tuple(arrays([...shape, D], grid), arrays([D], grid), arrays([D], grid)));

/** Some elements, or whole rows, of -Infinity. */
const masked = fc.tuple(rows, fc.array(fc.boolean(), { minLength: 1, maxLength: 9 })).map(([[x], holes]): PlainArray => ({
  ...x,
  data: x.data.map((v, i) => (holes[i % holes.length] ? -Infinity : v)),
}));

/** x [..., D], weight [D, F], bias [F] */
const maps = fc
  .tuple(lead, width, width)
  .chain(([shape, D, F]) => fc.tuple(arrays([...shape, D], grid), arrays([D, F], grid), arrays([F], grid)));

const activations = fc.constantFrom<Activation>("relu", "gelu", "geluTanh", "silu");

const logits = fc
  .record({ R: fc.integer({ min: 1, max: 4 }), V: width })
  .chain(({ R, V }) => fc.tuple(arrays([R, V], grid), fc.array(fc.integer({ min: -1, max: V - 1 }), { minLength: R, maxLength: R })));

const heads = fc
  .record({
    B: fc.integer({ min: 1, max: 2 }),
    T: fc.integer({ min: 1, max: 3 }),
    more: fc.nat({ max: 2 }),
    causal: fc.boolean(),
    biased: fc.boolean(),
  })
  .chain(({ B, T, more, causal, biased }) => {
    const S = T + more;
    const parts = fc.tuple(arrays([B, 2, T, 3], grid), arrays([B, 2, S, 3], grid), arrays([B, 2, S, 3], grid), arrays([2, T, S], grid));
    return parts.map(([q, k, v, bias]): Case => ({
      inputs: biased ? [q, k, v, bias] : [q, k, v],
      f: (a, b, c, d) => attention(a, b, c, { causal, ...(d ? { bias: d } : {}) }),
    }));
  });

const int = (data: readonly number[], shape = [data.length]): Tensor => tensor(Int32Array.from(data), { shape });

/** Slots x [E, G C, D], weight [E, D, F], bias [E, 1, F], and how many of each C are filled. */
const slots = fc
  .record({ E: fc.integer({ min: 1, max: 3 }), G: fc.integer({ min: 1, max: 2 }), C: fc.integer({ min: 1, max: 3 }), D: width, F: width })
  .chain(({ E, G, C, D, F }) =>
    fc.record({
      arrays: fc.tuple(arrays([E, G * C, D], grid), arrays([E, D, F], grid), arrays([E, 1, F], grid)),
      filled: fc.array(fc.nat({ max: C }), { minLength: E * G, maxLength: E * G }).map((counts) => ({ counts, shape: [E, G] })),
    }),
  );
/** x, and a bias of any shape that stretches to it. */
const stretching = fc
  .record({ shape: fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 4 }), kept: fc.nat(15), axes: fc.nat(4) })
  .chain(({ shape, kept, axes }) => {
    const whole = shape.map((n, axis) => ((kept >> axis) & 1 ? n : 1));
    return fc.tuple(arrays(shape, grid), arrays(whole.slice(Math.min(axes, shape.length)), grid));
  });
const eps = 1e-3;

const cases: Record<FusedName, readonly fc.Arbitrary<Case>[]> = {
  softmax: [
    rows.map(([x]) => ({ inputs: [x], f: (t) => t.softmax() })),
    masked.map((x) => ({ inputs: [{ ...x, data: x.data.map((v) => (v === -Infinity ? 0 : v)) }], f: (t) => where(tensor(x.data.map((v) => Number(v === -Infinity)), { shape: x.shape, dtype: t.dtype }), -Infinity, t).softmax() })), // prettier-ignore
  ],
  logSoftmax: [rows.map(([x]) => ({ inputs: [x], f: (t) => t.logSoftmax() }))],
  logSumExp: [fc.oneof(rows.map(([x]) => x), masked).map((x) => ({ inputs: [x], f: (t) => t.logSumExp(-1, { keepDims: true }) }))], // prettier-ignore
  biasActivation: [
    fc.tuple(rows, activations).map(([[x], name]) => ({ inputs: [x], f: (t) => activate(t, name) })),
    fc.tuple(rows, activations).map(([[x, b], name]) => ({ inputs: [x, b], f: (t, bias) => activate(t, name, bias) })),
    fc.tuple(stretching, activations).map(([inputs, name]) => ({ inputs, f: (t, bias) => activate(t, name, bias) })),
  ],
  linear: [
    maps.map(([x, w]) => ({ inputs: [x, w], f: (t, weight) => linear(t, weight, null) })),
    maps.map(([x, w, b]) => ({ inputs: [x, w, b], f: linear })),
    maps.map(([, w]) => ({ inputs: [w], f: (both) => linear(both.transpose(0, 1), both, null) })),
  ],
  crossEntropy: [logits.map(([x, ids]) => ({ inputs: [x], f: (t) => crossEntropy(t, int(ids), { ignoreIndex: -1, reduction: "none" }) }))],
  layerNorm: [
    rows.map(([x, w, b]) => ({ inputs: [x, w, b], f: (t, weight, bias) => layerNorm(t, weight, bias, eps) })),
    rows.map(([x, w]) => ({ inputs: [x, w], f: (t, both) => layerNorm(t, both, both, eps) })),
  ],
  rmsNorm: [
    rows.map(([x, w]) => ({ inputs: [x, w], f: (t, weight) => rmsNorm(t, weight, eps) })),
    rows.map(([, w]) => ({ inputs: [w], f: (both) => rmsNorm(both, both, eps) })),
  ],
  slotProduct: [
    slots.map(({ arrays: [x, w], filled: { counts, shape } }) => ({ inputs: [x, w], f: (t, weight) => slotMatmul(t, weight, int(counts, shape)) })), // prettier-ignore
    fc.tuple(slots, activations).map(([{ arrays: [x, w], filled: { counts, shape } }, name]) => ({ inputs: [x, w], f: (t, weight) => slotActivation(t, weight, int(counts, shape), name) })), // prettier-ignore
    fc.tuple(slots, activations).map(([{ arrays: [x, w, b], filled: { counts, shape } }, name]) => ({ inputs: [x, w, b], f: (t, weight, bias) => slotActivation(t, weight, int(counts, shape), name, bias) })), // prettier-ignore
  ],
  attention: [heads, arrays([1, 2, 3, 2], grid).map((x) => ({ inputs: [x], f: (t) => attention(t, t, t, { causal: true }) }))],
};

/** The value, the cotangents of all inputs, and a Hessian-vector product, in this order. */
function derivatives(backend: Backend, { inputs, f }: Case, dtype: FusedOptions["dtype"], seed: number): Tensor[] {
  return withBackend(backend, () =>
    scope(() => {
      const xs = inputs.map((x) => tensor(x.data, { shape: x.shape, dtype, requiresGrad: true }));
      const out = f(...xs);
      const g = random.normal(out.shape, key(seed), { dtype });
      const first = out.gradients(xs, { seed: g });
      const recorded = f(...xs).gradients(xs, { seed: g, createGraph: true });
      const along = recorded.map((part, i) => part.mul(random.normal(part.shape, key(seed).at(i), { dtype })).sum());
      const slope = along.reduce((sum, part) => sum.add(part));
      const second = slope.requiresGrad ? slope.gradients(xs) : [];
      return [out.detach(), ...first, ...recorded.map((part) => part.detach()), ...second];
    }),
  );
}

/** The same kernel, with a tick each time it answers. */
function ticking(kernel: FusedKernel<unknown>, tick: () => void): FusedKernel<unknown> {
  const forward: FusedKernel<unknown>["forward"] = (out, inputs, attributes) => {
    const result = kernel.forward(out, inputs, attributes);
    if (result) tick();
    return result;
  };
  return { ...kernel, forward };
}

/** Counts how often each kernel answered. */
function counting(kernels: FusedKernels, served: Map<string, number>): FusedKernels {
  const entries = Object.entries(kernels).map(([name, kernel]: [string, unknown]) => [
    name,
    name in cases ? ticking(kernel as FusedKernel<unknown>, () => served.set(name, (served.get(name) ?? 0) + 1)) : kernel,
  ]);
  return Object.fromEntries(entries) as FusedKernels;
}

export function fused(title: string, make: () => Backend | Promise<Backend>, { dtype, tolerance, runs, missing = [] }: FusedOptions): void {
  describe(`fused operations on ${title}`, () => {
    const bare = new Bare();
    const served = new Map<string, number>();
    let backend: Backend;
    before(async () => {
      backend = await make();
      Object.defineProperty(backend, "fused", { value: counting(backend.fused, served) });
    });

    for (const [name, drawn] of Object.entries(cases))
      it(`${name} agrees with its composition, to second order`, async () => {
        const property = fc.asyncProperty(fc.oneof(...drawn), fc.nat({ max: 1000 }), async (one, seed) => {
          const [got, want] = [derivatives(backend, one, dtype, seed), derivatives(bare, one, dtype, seed)];
          expect(got.length, "derivatives").to.equal(want.length);
          for (const [i, x] of got.entries()) near(await valuesOf(x), await valuesOf(want[i]), tolerance, `part ${i} of ${got.length}`);
          [...got, ...want].forEach((x) => x.dispose());
        });
        await fc.assert(property, { numRuns: runs });
        if (!missing.includes(name as FusedName)) expect(served.get(name), "cases that the kernel served").to.be.above(runs / 2);
      });
  });
}
