/** What layers, losses, optimisers and generation do where an option is left out. B 2 sequences, T 3 tokens, D 4 width, V 5 symbols. */
import { key, ones, tensor } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import * as nn from "switchyard-moe/nn";
import type { Defaults } from "./defaults.ts";
import { keepsDefaults } from "./defaults.ts";
import { drawn, training } from "./plain.ts";

const random = key(1);
const init = { random, dtype: "float64" } as const;
const x = drawn([2, 3, 4], 1);
const ids = tensor([[0, 1, 2], [3, 4, 0]], { dtype: "int32" }); // prettier-ignore
const { normal, scaledTruncatedNormal } = nn.initializers;
const pass = training(1);
/** Whatever a module computes and holds. */
const of = (module: nn.Module, ...seen: unknown[]): unknown => [module.state(), ...seen];

type Row = readonly [name: string, observe: (options: never) => unknown, defaults: Defaults];
const row = <O>(name: string, observe: (options: O) => unknown, defaults: { readonly [K in keyof O]?: readonly [O[K], O[K]] }): Row =>
  [name, observe as Row[1], defaults as Defaults]; // prettier-ignore

const layers: readonly Row[] = [
  row<Partial<nn.LinearOptions>>("Linear", (o) => of(new nn.Linear(4, 3, { random, ...o })), {
    bias: [true, false],
    dtype: ["float32", "float64"],
    initializer: [scaledTruncatedNormal(), normal(1)],
  }),
  row<Partial<nn.EmbeddingOptions>>("Embedding", (o) => of(new nn.Embedding(4, 3, { random, ...o })), {
    dtype: ["float32", "float64"],
    initializer: [normal(1), normal(2)],
  }),
  row<nn.NormOptions>("LayerNorm", (o) => of(new nn.LayerNorm(4, o), new nn.LayerNorm(4, { ...o, dtype: "float64" }).forward(x)), {
    eps: [1e-5, 2e-5],
    dtype: ["float32", "bfloat16"],
  }),
  row<nn.NormOptions>("RMSNorm", (o) => of(new nn.RMSNorm(4, o), new nn.RMSNorm(4, { ...o, dtype: "float64" }).forward(x)), {
    eps: [1e-6, 2e-6],
    dtype: ["float32", "bfloat16"],
  }),
  row<Partial<nn.FeedForwardOptions>>(
    "DenseFeedForward",
    (o) => {
      const made = new nn.DenseFeedForward(4, 5, { random, ...o });
      return of(made, made.apply(x.cast(o.dtype ?? "float32"), pass));
    },
    {
      kind: ["relu", "gelu"],
      dropout: [0, 0.5],
      bias: [true, false],
      dtype: ["float32", "float64"],
      initializer: [scaledTruncatedNormal(), normal(1)],
    },
  ),
  row<Partial<nn.MultiHeadAttentionOptions>>(
    "MultiHeadAttention",
    (o) => {
      const made = new nn.MultiHeadAttention(4, { random, heads: 2, ...o });
      return of(made, made.forward(x.cast(o.dtype ?? "float32"), {}, pass));
    },
    {
      keyValueHeads: [2, 1],
      headWidth: [2, 3],
      scale: [1 / Math.sqrt(2), 1],
      bias: [true, "inputs"],
      queryKeyNorm: [null, "head"],
      clip: [null, 0.1],
      dropout: [0, 0.5],
      rotary: [null, new nn.Rotary()],
      dtype: ["float32", "float64"],
      initializer: [scaledTruncatedNormal(), normal(1)],
    } as never,
  ),
  row<{ normEps?: number }>(
    "MultiHeadAttention with a norm of queries and keys",
    (o) => new nn.MultiHeadAttention(4, { ...init, heads: 2, queryKeyNorm: "head", ...o }).forward(x, {}, pass),
    { normEps: [1e-6, 1e-3] },
  ),
  row<{ theta?: number; pairs?: "halves" | "neighbours" }>("Rotary", (o) => new nn.Rotary(o).forward(drawn([1, 1, 3, 4], 2), 0), {
    theta: [10_000, 10_001],
    pairs: ["halves", "neighbours"],
  }),
  row<{ initializer?: nn.Initializer; dtype?: "float32" | "float64" }>("LearnedPositions", (o) => of(new nn.LearnedPositions(9, 4, { random, ...o })), {
    initializer: [nn.initializers.truncatedNormal(0.02), normal(1)],
    dtype: ["float32", "float64"],
  }),
  row<{ maxDistance?: number; bidirectional?: boolean; dtype?: "float32" | "float64" }>("DistanceBias", (o) => of(new nn.DistanceBias(2, o)), {
    maxDistance: [128, 127],
    bidirectional: [false, true],
    dtype: ["float32", "float64"],
  }),
  row<Partial<nn.BucketBiasOptions>>("BucketBias", (o) => { const bias = new nn.BucketBias(2, { random, ...o }); return of(bias, [0, 15, 16, 90, 127, 200].map((d) => bias.rowOf(d))); }, {
    buckets: [32, 30],
    maxDistance: [128, 90],
    bidirectional: [false, true],
    dtype: ["float32", "float64"],
  }),
]; // prettier-ignore

const target = drawn([2, 3, 4], 2);
const classes = tensor([[0, 1, -100], [3, 2, 0]], { dtype: "int32" }); // prettier-ignore
const losses: readonly Row[] = [
  row<nn.CrossEntropyOptions>("crossEntropy", (o) => nn.crossEntropy(x, o.ignoreIndex === 0 ? classes.maximum(0) : classes, o), {
    reduction: ["mean", "sum"],
    ignoreIndex: [-100, 0],
    labelSmoothing: [0, 0.1],
  }),
  row<{ axis?: number }>("crossEntropy of as many rows as classes", (o) => nn.crossEntropy(drawn([3, 3], 1), tensor([2, 0, 1], { dtype: "int32" }), o), { axis: [-1, 0] }),
  ...([["mseLoss", nn.mseLoss], ["l1Loss", nn.l1Loss], ["bceWithLogits", nn.bceWithLogits]] as const).map(([name, loss]) =>
    row<{ reduction?: "mean" | "sum" | "none" }>(name, (o) => loss(x, target, o), { reduction: ["mean", "sum"] })),
  row<{ reduction?: "mean" | "sum"; delta?: number }>("huberLoss", (o) => nn.huberLoss(x, target.mul(3), o), { reduction: ["mean", "sum"], delta: [1, 1.1] }),
  row<NonNullable<Parameters<typeof nn.klDivergence>[2]>>("klDivergence", (o) => nn.klDivergence(x.logSoftmax(), target.softmax(), o), { reduction: ["batchMean", "mean"], logTarget: [false, true] }),
  row<nn.DistillationOptions>("distillationLoss", (o) => nn.distillationLoss(x, target, o.ignoreIndex === 0 ? classes.maximum(0) : classes, o), { share: [0.25, 0.3], ignoreIndex: [-100, 0] }),
  row<nn.AttentionOptions>("attention", (o) => nn.attention(drawn([1, 2, 3, 4], 1), drawn([1, 2, 3, 4], 2), drawn([1, 2, 3, 4], 3), o), { causal: [false, true], scale: [0.5, 1] }),
  row<nn.AttentionOptions>("attentionWeights", (o) => nn.attentionWeights(drawn([1, 2, 3, 4], 1), drawn([1, 2, 3, 4], 2), o), { causal: [false, true], scale: [0.5, 1] }),
]; // prettier-ignore

/** Three steps of an optimiser on a matrix, whose gradients are given. */
function moved(make: (pairs: [string, Tensor][]) => { step(): void; state(): nn.OptimizerState }): unknown {
  const p = drawn([2, 3], 1).requireGrad();
  const optimizer = make([["p", p]]);
  for (let step = 0; step < 3; step++) {
    p.zeroGrad();
    p.accumulateGrad(drawn([2, 3], step + 2));
    optimizer.step();
  }
  return [p, optimizer.state().tensors];
}
const optimisers: readonly Row[] = [
  row<Partial<nn.SgdOptions>>("Sgd", (o) => moved((pairs) => new nn.Sgd(pairs, { lr: 0.1, ...o })), { momentum: [0, 0.5], weightDecay: [0, 0.1] }),
  row<Partial<nn.SgdOptions>>("Sgd with momentum", (o) => moved((pairs) => new nn.Sgd(pairs, { lr: 0.1, momentum: 0.5, ...o })), { dampening: [0, 0.1], nesterov: [false, true] }),
  ...([["Adam", nn.Adam], ["AdamW", nn.AdamW]] as const).map(([name, Optimizer]) =>
    row<Partial<nn.AdamOptions>>(name, (o) => moved((pairs) => new Optimizer(pairs, o)), { lr: [1e-3, 2e-3], betas: [[0.9, 0.999], [0.9, 0.99]], eps: [1e-8, 1e-3], weightDecay: [name === "Adam" ? 0 : 0.01, 0.1], biasCorrection: [true, false] })),
  row<Partial<nn.RmspropOptions>>("Rmsprop", (o) => moved((pairs) => new nn.Rmsprop(pairs, o)), { lr: [1e-2, 2e-2], alpha: [0.99, 0.9], eps: [1e-8, 1e-3], weightDecay: [0, 0.1], momentum: [0, 0.5], centered: [false, true] }),
  row<Partial<nn.AdafactorOptions>>("Adafactor", (o) => moved((pairs) => new nn.Adafactor(pairs, o)), { relativeStep: [true, false], warmupInit: [false, true], scaleParameter: [true, false], eps: [[1e-30, 1e-3], [1e-2, 1e-3]], clipThreshold: [1, 0.5], decayRate: [-0.8, -0.5], beta1: [null, 0.5], weightDecay: [0, 0.1] }),
  row<Partial<nn.AdafactorOptions>>("Adafactor with steps of its own", (o) => moved((pairs) => new nn.Adafactor(pairs, { relativeStep: false, ...o })), { lr: [1e-3, 2e-3] }),
  row<{ step?: never; factor?: number; gradScale?: Tensor | null }>("Optimizer.step", (o) => { const p = ones([2]).requireGrad(); p.accumulateGrad(ones([2])); new nn.Sgd([["p", p]], { lr: 0.1 }).step(o); return p; }, { factor: [1, 0.5], gradScale: [null, tensor(0.5)] }),
]; // prettier-ignore

const factors = (schedule: nn.Schedule): number[] =>
  Array.from({ length: 60 }, (_, step) => [schedule(step), schedule(9990 + step)]).flat();
const { schedules } = nn;
const decays: readonly Row[] = [
  row<{ warmup?: number }>("schedules.constant", (o) => factors(schedules.constant(o)), { warmup: [0, 3] }),
  row<{ warmup?: number; final?: number }>("schedules.linear", (o) => factors(schedules.linear({ total: 50, ...o })), { warmup: [0, 3], final: [0, 0.1] }),
  row<{ warmup?: number; final?: number; power?: number }>("schedules.polynomial", (o) => factors(schedules.polynomial({ total: 50, ...o })), { warmup: [0, 3], final: [0, 0.1], power: [1, 2] }),
  row<{ warmup?: number; final?: number; cycles?: number }>("schedules.cosine", (o) => factors(schedules.cosine({ total: 50, ...o })), { warmup: [0, 3], final: [0, 0.1], cycles: [0.5, 1] }),
  row<{ warmup?: number; final?: number; cycles?: number }>("schedules.cosineWithRestarts", (o) => factors(schedules.cosineWithRestarts({ total: 50, ...o })), { warmup: [0, 3], final: [0, 0.1], cycles: [1, 2] }),
  row<{ warmup?: number; final?: number; growth?: number }>("schedules.warmRestarts", (o) => factors(schedules.warmRestarts({ first: 10, ...o })), { warmup: [0, 3], final: [0, 0.1], growth: [1, 2] }),
  row<{ warmup?: number; scale?: number }>("schedules.inverseSquareRoot", (o) => factors(schedules.inverseSquareRoot(o)), { warmup: [10_000, 10_001], scale: [10_000, 5] }),
  row<{ scale?: number }>("schedules.inverseSquareRoot without warm-up", (o) => factors(schedules.inverseSquareRoot({ warmup: 0, ...o })), { scale: [10_000, 10_001] }),
]; // prettier-ignore

const small = { random, vocabulary: 5, width: 4, heads: 2, layers: 1 } as const;
const long = tensor(
  Int32Array.from({ length: 150 }, (_, i) => (i * i) % 5),
  { shape: [1, 150] },
);
const decoded = (o: Partial<ConstructorParameters<typeof nn.DecoderLanguageModel>[0]>, read = ids): unknown => {
  const model = new nn.DecoderLanguageModel({ ...small, ...o });
  return of(model, model.forward(read, {}, pass).logits);
};
const coded = (o: Partial<nn.EncoderDecoderOptions>): unknown => {
  const model = new nn.EncoderDecoder({ ...small, ...o });
  return of(model, model.start, model.forward({ ids, decoderIds: ids }, pass).logits);
};
const shared: Defaults = {
  headWidth: [2, 3],
  hidden: [16, 15],
  kind: ["relu", "gelu"],
  norm: ["rms", "layer"],
  normEps: [1e-6, 1e-3],
  bias: [false, true],
  dropout: [0, 0.5],
  initScale: [0.1, 0.2],
  dtype: ["float32", "float64"],
};
const own: Defaults = {
  keyValueHeads: [2, 1],
  attentionBias: [false, "inputs"],
  queryKeyNorm: [null, "head"],
  clip: [null, 0.01],
  window: [null, 2],
};
const models: readonly Row[] = [
  ["DecoderLanguageModel", decoded, { ...shared, ...own, positions: ["distance", "none"], scale: [1 / Math.sqrt(2), 1], context: [128, 127], tied: [false, true] } as Defaults],
  ["DecoderLanguageModel with buckets", (o: object) => decoded({ positions: "buckets", ...o }, long), { buckets: [32, 30], maxDistance: [128, 90] }],
  ["DecoderLanguageModel that turns queries and keys", (o: object) => decoded({ positions: "rotary", headWidth: 4, ...o }), { theta: [10_000, 10] }],
  ["DecoderLanguageModel with layer norm", (o: object) => decoded({ norm: "layer", ...o }), { normEps: [1e-5, 1e-3] }],
  ["EncoderDecoder", coded, { ...shared, positions: ["buckets", "none"], scale: [1, 2], buckets: [32, 30], tied: [true, false], shared: [true, false], start: [0, 1], embeddingDeviation: [1, 2] } as Defaults],
  ["EncoderDecoder, not tied", (o: object) => coded({ tied: false, ...o }), { embeddingDeviation: [0.05, 1] }],
]; // prettier-ignore

const model = new nn.DecoderLanguageModel({ ...small, initScale: 40 });
const written: readonly Row[] = [
  row<Omit<nn.GenerateOptions, "tokens" | "random">>("generate", async (o) => {
    const found: number[] = [];
    for await (const id of nn.generate(model, [1, 2], { tokens: 12, random, ...o })) found.push(id);
    return found;
  }, { temperature: [1, 5], topK: [Infinity, 1], topP: [1, 0.2] }),
  row<nn.SampleOptions>("sample", (o) => Array.from({ length: 40 }, (_, i) => nn.sample([0, 1, 2, 3], o, i / 40)), { temperature: [1, 1.1], topK: [Infinity, 3], topP: [1, 0.9] }),
  row<Omit<Partial<nn.BeamSearchOptions>, "tokens" | "beams">>("beamSearch", (o) => nn.beamSearch(model, [[1, 2], [3]], { tokens: 6, beams: 3, stop: 0, ...o }), { returned: [1, 2], lengthPenalty: [1, -3] }),
  row<{ density?: number; meanLength?: number }>("noiseSpans", (o) => nn.noiseSpans(100, random, o), { density: [0.15, 0.2], meanLength: [3, 2] }),
  row<{ start?: number; padding?: number }>("shiftRight", (o) => nn.shiftRight(classes.flip(1), o), { start: [0, 1], padding: [0, 1] }),
  row<{ length?: number }>("summary", (o) => nn.summary(model, o).flops, { length: [1, 2] }),
  row<{ step?: number; first?: number }>("corruptSpans", ({ first = 9, ...o }) => nn.corruptSpans([1, 2, 3], [{ start: 0, end: 1 }, { start: 2, end: 3 }], { first, count: 2, ...o } as never).input, { step: [1, -1] }),
]; // prettier-ignore

describe("nn, where an option is left out", () => {
  for (const [name, observe, defaults] of [...layers, ...losses, ...optimisers, ...decays, ...models, ...written])
    keepsDefaults(name, observe, defaults);
});
