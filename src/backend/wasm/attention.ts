/** Launching fused attention. B batch, H heads of queries, G heads of keys and values, T queries, S keys, D width of a head. */
import { sizeOf } from "../shape.ts";
import type { ArrayType, Buffer, FusedKernel, NDArray } from "../backend.ts";
import { exchanged } from "../views.ts";
import { attentionScratch } from "./kernels/attention.ts";
import { sumOver } from "./reductions.ts";
import { stretched } from "./views.ts";
import type { Launcher } from "./launcher.ts";

/** Queries to a block. Where attention is causal, smaller blocks leave out more of the keys that no query of the block sees. */
const BLOCK = 96;
const CAUSAL_BLOCK = 48;

interface Attributes {
  readonly scale: number;
  readonly causal: boolean;
}

interface Sizes {
  readonly B: number;
  readonly H: number;
  readonly G: number;
  readonly T: number;
  readonly S: number;
  readonly D: number;
}

function sizesOf(q: NDArray, k: NDArray): Sizes {
  return { B: q.shape[0], H: q.shape[1], G: k.shape[1], T: q.shape[2], S: k.shape[2], D: q.shape[3] };
}

export function attention(launcher: Launcher): FusedKernel<Attributes> {
  return {
    forward: (out, inputs, attributes) => forward(launcher, out, inputs, attributes),
    backward: (g, out, [saved], inputs, needed, attributes) => backward(launcher, g, out, saved, inputs, needed, attributes),
  };
}

/** The output, and of each row of scores the largest and 1 / the sum of exponentials, [B, H, T, 2]. */
function forward(
  launcher: Launcher,
  out: ArrayType,
  inputs: readonly NDArray[],
  attributes: Attributes,
): { out: Buffer; saved: Buffer[] } | undefined {
  const sizes = sizesOf(inputs[0], inputs[1]);
  if (!served(inputs, sizes)) return undefined;
  const { B, H, T, D } = sizes;
  const saved = launcher.make({ shape: [B, H, T, 2], dtype: "float32" }, () => {});
  const strides = [4 * T * H * D, 4 * D, 4 * H * D]; // of the output, [B, T, H, D], by batch, head and row
  const result = operands(launcher, inputs, sizes, (given) =>
    launcher.make(out, (to) =>
      launch(launcher, "attention", sizes, attributes, B * H, (shape) => [to, ...strides, ...given, launcher.addressOf(saved), ...shape]),
    ),
  );
  return { out: result, saved: [saved] };
}

function backward(
  launcher: Launcher,
  g: NDArray,
  out: NDArray,
  saved: Buffer,
  inputs: readonly NDArray[],
  needed: readonly boolean[],
  attributes: Attributes,
): (Buffer | null)[] {
  const [q, k, v, bias] = inputs;
  const sizes = sizesOf(q, k);
  const cotangents = [q, k, v].map(({ shape }) => launcher.make({ shape, dtype: "float32" }, () => {}));
  const plan = biasPlan(bias, needed[3] ?? false, sizes);
  const dBias = plan.wanted ? launcher.make({ shape: plan.shape, dtype: "float32" }, () => {}) : null;
  const to = [...cotangents, dBias].map((buffer) => (buffer ? launcher.addressOf(buffer) : 0));
  const items = [plan.itemStep, plan.batches, plan.heads, plan.biasBatch, plan.biasHead];
  operands(launcher, inputs, sizes, (given) =>
    withRows(launcher, exchanged(g), (gAt) =>
      withRows(
        launcher,
        exchanged(out),
        (outAt) =>
        launch(launcher, "attentionCotangent", sizes, attributes, plan.items, (shape) =>
          [...to, ...gAt, ...outAt, ...given, launcher.addressOf(saved), ...shape, ...items]), // prettier-ignore
      ),
    ),
  );
  const kept = cotangents.map((buffer, i) => launcher.keep(buffer, needed[i]));
  return bias ? [...kept, dBias && summed(launcher, dBias, plan.shape, bias)] : kept;
}

function served([q, k, v, bias]: readonly NDArray[], { D, S, H, G }: Sizes): boolean {
  const float = [q, k, v, ...(bias ? [bias] : [])].every(({ dtype }) => dtype === "float32");
  return float && H % G === 0 && sizeOf(q.shape) > 0 && S > 0 && v.shape[3] === D;
}

/** Address and strides, in bytes, of an array [B, H, T, D] whose rows are contiguous; copied if they are not. */
function withRows<T>(launcher: Launcher, x: NDArray, use: (given: readonly number[]) => T): T {
  const [batch, head, row, column] = x.strides;
  if (column === 1 || x.shape[3] === 1) return use([launcher.address(x), 4 * batch, 4 * head, 4 * row]);
  const [, H, T, D] = x.shape;
  return launcher.contiguous([x], (at) => use([at, 4 * H * T * D, 4 * T * D, 4 * D]));
}

/** The kernel's arguments for q, k, v and the bias, which stretches to [B, H, T, S]; 0 where there is none. */
function operands<R>(
  launcher: Launcher,
  [q, k, v, bias]: readonly NDArray[],
  { B, H, T, S }: Sizes,
  use: (given: readonly number[]) => R,
): R {
  return withRows(launcher, q, (qs) =>
    withRows(launcher, k, (ks) =>
      withRows(launcher, v, (vs) => {
        if (!bias) return use([...qs, ...ks, ...vs, 0, 0, 0, 0]);
        return withRows(launcher, stretched(bias, [B, H, T, S]), (bs) => use([...qs, ...ks, ...vs, ...bs]));
      }),
    ),
  );
}

function launch(
  launcher: Launcher,
  kernel: string,
  { H, G, T, S, D, B }: Sizes,
  { scale, causal }: Attributes,
  items: number,
  given: (shape: readonly number[]) => number[],
): void {
  const backward = kernel !== "attention";
  const block = Math.min(T, causal ? CAUSAL_BLOCK : BLOCK);
  const bytes = Math.ceil(attentionScratch(S, D, block, backward) / 64) * 64;
  launcher.scratch(bytes * launcher.threads, (scratch) => {
    const work = B * H * T * S * (D / 8 + 4) * (backward ? 3 : 1);
    launcher.start(kernel, items, work, ...given([H, H / G, T, S, D, scale, causal ? 1 : 0, block, scratch, bytes]));
  });
}

/**
 * How heads are grouped to items: one thread takes all heads whose cotangents add up in one matrix, in order. Those are the heads that share
 * keys and values, and those that share a matrix of the bias. Item i takes the heads i itemStep + b H + 0..heads-1 for b in 0..batches-1, counted through the batch.
 */
interface BiasPlan {
  readonly wanted: boolean;
  /** Of the cotangent that the kernel writes: [1 or B, 1 or H, T, S]. */
  readonly shape: readonly number[];
  readonly items: number;
  readonly itemStep: number;
  readonly batches: number;
  readonly heads: number;
  /** From one batch and from one head to the next in the cotangent, in matrices; 0 where they share one. */
  readonly biasBatch: number;
  readonly biasHead: number;
}

function biasPlan(bias: NDArray | undefined, wanted: boolean, { B, H, G, T, S }: Sizes): BiasPlan {
  const R = H / G;
  const own = { wanted, shape: [B, H, T, S], items: B * G, itemStep: R, batches: 1, heads: R, biasBatch: H, biasHead: 1 };
  if (!bias || !wanted) return own;
  const [batch, heads] = [1, 1, 1, 1, ...bias.shape].slice(-4);
  if (batch === 1 && heads === 1)
    return { wanted, shape: [1, 1, T, S], items: 1, itemStep: 0, batches: B, heads: H, biasBatch: 0, biasHead: 0 };
  if (batch === 1) return { wanted, shape: [1, H, T, S], items: G, itemStep: R, batches: B, heads: R, biasBatch: 0, biasHead: 1 };
  if (heads === 1) return { wanted, shape: [B, 1, T, S], items: B, itemStep: H, batches: 1, heads: H, biasBatch: 1, biasHead: 0 };
  return own;
}

/** `buffer` of `shape` summed to the shape of the bias, where that stretches along T or S too. */
function summed(launcher: Launcher, buffer: Buffer, shape: readonly number[], bias: NDArray): Buffer {
  if (sizeOf(bias.shape) === sizeOf(shape)) return buffer;
  const [B, H, T, S] = shape;
  const whole: NDArray = { shape, dtype: "float32", buffer, strides: [H * T * S, T * S, S, 1], offset: 0 };
  const aligned = [1, 1, 1, 1, ...bias.shape].slice(-4);
  const axes = [B, H, T, S].map((_, axis) => axis).filter((axis) => aligned[axis] === 1 && shape[axis] > 1);
  const sum = sumOver(launcher, { shape: bias.shape, dtype: "float32" }, whole, axes);
  launcher.free(buffer);
  return sum;
}
