/**
 * A Switch language model small enough for every device: 50 steps of forward, backward, clipping and AdamW, with routing decided on the
 * device and nothing read back but the losses. Needs nothing of Node.
 */
import { key, scope, tensor } from "../../src/index.ts";
import type { Tensor } from "../../src/index.ts";
import { FeedForwardExperts, MoE, SwitchRouter } from "../../src/moe/index.ts";
import type { Routing } from "../../src/moe/index.ts";
import { AdamW, DecoderLanguageModel, clipScale, crossEntropy, gradNorm } from "../../src/nn/index.ts";

export interface Sizes {
  readonly batch: number;
  readonly length: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly hidden: number;
  readonly experts: number;
  readonly vocabulary: number;
}

const parity: Sizes = { batch: 4, length: 16, width: 16, layers: 1, heads: 2, hidden: 32, experts: 4, vocabulary: 32 };
/** What still has every part: for runs of many steps. */
export const smallest: Sizes = { batch: 2, length: 4, width: 4, layers: 1, heads: 1, hidden: 4, experts: 2, vocabulary: 8 };
export const steps = 50;
/** Where a processor plays the GPU: behind the steps in which every part has been at work there is only more rounding. */
export const fewSteps = 12;
const seed = 3;

export function parityModel({ vocabulary, width, layers, heads, hidden, length, experts } = parity): DecoderLanguageModel {
  return new DecoderLanguageModel({
    vocabulary,
    width,
    layers,
    heads,
    hidden,
    context: length,
    random: key(seed).at("init"),
    feedForward: (_, init) =>
      new MoE({
        router: new SwitchRouter({ random: init.random.at("router"), width, experts, balance: 0.01, zLoss: 1e-3, jitter: 0.01 }),
        experts: new FeedForwardExperts({ experts, width, hidden, random: init.random.at("experts") }),
        trainingCapacityFactor: 1.25,
      }),
  });
}

/** Sequences that count upwards in steps of one to three, so that there is something to learn. */
function sequences(step: number, { batch, length, vocabulary }: Sizes): { inputs: Int32Array; targets: Int32Array } {
  const all = Array.from({ length: batch }, (_, b) => {
    const [start, stride] = [(step * 7 + b * 11) % vocabulary, 1 + ((step + b) % 3)];
    return Array.from({ length: length + 1 }, (_, t) => (start + stride * t) % vocabulary);
  });
  return { inputs: Int32Array.from(all.flatMap((row) => row.slice(0, -1))), targets: Int32Array.from(all.flatMap((row) => row.slice(1))) };
}

/** Takes one step and answers with its loss, which is still on the device. */
export function trainStep(model: DecoderLanguageModel, optimizer: AdamW, step: number, sizes = parity): Tensor {
  return scope(() => {
    const { inputs, targets } = sequences(step, sizes);
    const shape = [sizes.batch, sizes.length];
    const out = model.forward(tensor(inputs, { shape }), {}, { training: true, random: key(seed).at("pass", step) });
    const loss = crossEntropy(out.logits, tensor(targets, { shape }));
    const shown = loss.detach();
    Object.values(out.losses)
      .reduce((sum, auxiliary) => sum.add(auxiliary), loss)
      .backward({ release: true });
    optimizer.step({ gradScale: clipScale(gradNorm(model.parameters()), 1) });
    optimizer.zeroGrad();
    return shown;
  });
}

/** How far the best expert's logit is above the second's, for the token of the first step where that is least. */
export async function firstMargin(): Promise<number> {
  const { batch, length, experts } = parity;
  const { inputs } = sequences(0, parity);
  const ids = tensor(inputs, { shape: [batch, length] });
  const { routings } = parityModel().forward(ids, {}, { training: true, random: key(seed).at("pass", 0) });
  const logits = await (routings as Routing[])[0].books.logits.data();
  const margins = Array.from({ length: batch * length }, (_, t) => {
    const [first, second] = Array.from(logits.subarray(t * experts, (t + 1) * experts)).sort((a, b) => b - a);
    return first - second;
  });
  return Math.min(...margins);
}

/** The losses of a run on the current backend. */
export async function parityLosses(count = steps): Promise<number[]> {
  const model = parityModel();
  const optimizer = new AdamW(model, { lr: 3e-3, betas: [0.9, 0.98] });
  const losses = Array.from({ length: count }, (_, step) => trainStep(model, optimizer, step));
  return Promise.all(losses.map((loss) => loss.item()));
}
