/** The walk through `switchyard-moe/nn`. */
import { key } from "switchyard-moe";
import {
  Adam,
  DecoderLanguageModel,
  DenseFeedForward,
  EncoderDecoder,
  Linear,
  MultiHeadAttention,
  RMSNorm,
  writeSafetensors,
} from "switchyard-moe/nn";
import { floats, ids } from "./values.ts";
import type { Tables } from "./values.ts";

const init = { random: key(1) } as const;
const pass = { training: true, random: key(2) } as const;
const small = { ...init, vocabulary: 4, width: 2, heads: 1, layers: 1 } as const;
const leaf = () => floats().requireGrad();
const read = (): object => ({ ids: ids([[0, 1]]), decoderIds: ids([[0, 1]]) });
const parameters = () => {
  const x = leaf();
  x.sum().backward();
  return [x];
};
const decoder = new DecoderLanguageModel(small);
const encoderDecoder = new EncoderDecoder(small);
const memory = { memory: floats(1, 2, 2) };
const file = await writeSafetensors(new Map([["a", floats()]]));
const parts = () => ({
  attention: new MultiHeadAttention(2, { heads: 1, ...init }),
  feedForward: new DenseFeedForward(2, 3, init),
  norm: () => new RMSNorm(2),
});
const optimised: [string, () => unknown[]][] = ["Sgd", "Rmsprop", "Adam", "AdamW"].map((name) => [name, () => [[["a", leaf()]], { lr: 0.1 }]]); // prettier-ignore
optimised.push(["Adafactor", () => [[["a", leaf()]], { lr: 0.1, relativeStep: false }]]);

const makers = new Map<string, () => unknown>([
  ["Module", () => new Linear(2, 2, init)],
  ["LanguageModel", () => decoder],
]);

const callsByHand = new Map<string, () => unknown[]>([
  ["Linear.forward", () => [floats(3, 2)]],
  ["Linear.project", () => [floats(3, 2)]],
  ["Linear.load", () => [new Linear(2, 2, init).state()]],
  ["Linear.runs", () => [new Linear(2, 2, init), 2]],
  ["Embedding.forward", () => [ids([0, 1])]],
  ["Embedding.logits", () => [floats(3, 2)]],
  ["LayerNorm.forward", () => [floats(3, 2)]],
  ["RMSNorm.forward", () => [floats(3, 2)]],
  ["rmsNorm", () => [floats(), floats(3), 1e-6]],
  ["Dropout", () => [0.5]],
  ["dropout", () => [floats(), 0.5, pass]],
  ["DenseFeedForward.forward", () => [floats(1, 3, 2), {}, pass]],
  ["DenseFeedForward.apply", () => [floats(3, 2), pass]],
  ["attention", () => [floats(1, 1, 2, 3), floats(1, 1, 2, 3), floats(1, 1, 2, 3)]],
  ["attentionWeights", () => [floats(1, 1, 2, 3), floats(1, 1, 2, 3)]],
  ["MultiHeadAttention.forward", () => [floats(1, 3, 2), {}, pass]],
  ["MultiHeadAttention.extend", () => [floats(1, 3, 2), {}, pass]],
  ["MultiHeadAttention.weights", () => [floats(1, 3, 2)]],
  ["LearnedPositions.forward", () => [floats(1, 2, 2), 0]],
  ["Rotary.forward", () => [floats(1, 1, 2, 2), 0]],
  ["SinusoidalPositions.forward", () => [floats(1, 2, 2), 0]],
  ["documentBias", () => [ids([[0, 1]]), "float32"]],
  ["prefixBias", () => [ids([1]), 2, 2, "float32"]],
  ["Block", () => [parts()]],
  ["Block.forward", () => [floats(1, 3, 2), {}, pass]],
  ["Stack.transform", () => [floats(1, 3, 2), {}, pass]],
  ["DecoderLanguageModel.forward", () => [ids([[0, 1]]), {}, pass]],
  ["DecoderLanguageModel.transform", () => [floats(1, 3, 2), {}, pass]],
  ["EncoderDecoder.forward", () => [read(), pass]],
  ["EncoderDecoder.encode", () => [ids([[0, 1]]), {}, pass]],
  ["EncoderDecoder.decode", () => [ids([[0, 1]]), memory, {}, pass]],
  ["EncoderDecoder.given", () => [memory]],
  ["shiftRight", () => [ids([[0, 1]])]],
  ["crossEntropy", () => [floats(2, 3), ids([0, 1])]],
  ["distillationLoss", () => [floats(2, 3), floats(2, 3), ids([0, 1])]],
  ["noiseSpans", () => [9, key(1)]],
  ["corruptSpans", () => [[1, 2, 3], [{ start: 1, end: 2 }], { first: 9, count: 2 }]],
  ["fillSpans", () => [[1, 9, 3], [9, 2], { first: 9, count: 2 }]],
  ["splitSpans", () => [[9, 2], { first: 9, count: 2 }]],
  ...optimised,
  ["Adam.load", () => [new Adam([["a", leaf()]], { lr: 0.1 }).state()]],
  ["clipGradNorm", () => [parameters(), 1]],
  ["clipGradValue", () => [parameters(), 1]],
  ["gradNorm", () => [parameters()]],
  ["evaluate", () => [decoder, [{ ids: ids([[0, 1]]), targets: ids([[0, 1]]) }]]],
  ["generate", () => [decoder, [0], { tokens: 2, context: 4, random: key(1) }]],
  ["generateBatch", () => [decoder, [[0]], { tokens: 2, random: key(1) }]],
  ["beamSearch", () => [decoder, [[0]], { tokens: 2, beams: 2, stop: 1 }]],
  ["sample", () => [[1, 2], {}, 0.5]],
  ["readSafetensors", () => [file]],
]); // prettier-ignore

const instances = new Map<string, () => unknown>([
  ["DecoderLanguageModel", () => decoder],
  ["EncoderDecoder", () => encoderDecoder],
]);

const skipped = new Map<string, string>([["Module", "abstract: its methods are called on Linear"]]);

export const nn: Tables = { makers, instances, callsByHand, skipped, onceFor: { Module: "Linear", Optimizer: "Adam" } };
