/** Attention, positions, models and generation called from JavaScript with anything at all: an answer, or an error that names what it wants. */
import { expect } from "chai";
import { key, tensor, zeros } from "switchyard-moe";
import * as nn from "switchyard-moe/nn";
import { evaluating } from "./plain.ts";

const init = { random: key(0) };
const model = new nn.DecoderLanguageModel({ vocabulary: 5, width: 4, layers: 1, heads: 2, ...init });
const both = new nn.EncoderDecoder({ vocabulary: 5, width: 4, layers: 1, heads: 2, ...init });
const layer = new nn.MultiHeadAttention(4, { heads: 2, ...init });
const [block] = model.blocks;
const dense = new nn.DenseFeedForward(4, 4, init);
const ids = tensor(Int32Array.of(1, 2), { shape: [1, 2] });
const [x, heads] = [zeros([1, 2, 4]), zeros([1, 2, 3, 4])];

const junk: readonly unknown[] = [undefined, null, 3, -1, 0.5, NaN, "x", {}, [], () => 1, true, zeros([2, 3]), tensor(Int32Array.of(1, 2)), { heads: "x", past: 1 }]; // prettier-ignore

/** What is called, and arguments that are right. */
// prettier-ignore
const calls: Record<string, readonly [call: (...args: never[]) => unknown, right: readonly unknown[]]> = {
  attention: [nn.attention, [heads, heads, heads, {}]],
  attentionWeights: [nn.attentionWeights, [heads, heads, {}]],
  paddingBias: [nn.paddingBias, [zeros([1, 2]), "float32"]],
  documentBias: [nn.documentBias, [ids, "float32", 2]],
  prefixBias: [nn.prefixBias, [tensor(Int32Array.of(1)), 2, 2, "float32"]],
  sinusoids: [nn.sinusoids, [2, 4, {}]],
  Rotary: [(options: nn.RotaryOptions) => new nn.Rotary(options), [{}]],
  "Rotary.forward": [new nn.Rotary().forward.bind(new nn.Rotary()), [heads, 0]],
  LearnedPositions: [(...a: ConstructorParameters<typeof nn.LearnedPositions>) => new nn.LearnedPositions(...a), [3, 4, init]],
  "LearnedPositions.forward": [(y: typeof x, past: number) => new nn.LearnedPositions(4, 4, init).forward(y, past), [x, 0]],
  "SinusoidalPositions.forward": [(y: typeof x, past: number) => new nn.SinusoidalPositions().forward(y, past), [x, 0]],
  BucketBias: [(...a: ConstructorParameters<typeof nn.BucketBias>) => new nn.BucketBias(...a), [2, init]],
  DistanceBias: [(...a: ConstructorParameters<typeof nn.DistanceBias>) => new nn.DistanceBias(...a), [2, {}]],
  "BucketBias.forward": [(t: number, s: number) => new nn.BucketBias(2, init).forward(t, s), [2, 3]],
  MultiHeadAttention: [(...a: ConstructorParameters<typeof nn.MultiHeadAttention>) => new nn.MultiHeadAttention(...a), [4, { heads: 2, ...init }]],
  "MultiHeadAttention.forward": [layer.forward.bind(layer), [x, {}, evaluating]],
  "MultiHeadAttention.weights": [layer.weights.bind(layer), [x, {}]],
  DenseFeedForward: [(...a: ConstructorParameters<typeof nn.DenseFeedForward>) => new nn.DenseFeedForward(...a), [4, 4, init]],
  "DenseFeedForward.forward": [dense.forward.bind(dense), [x, {}, evaluating]],
  Block: [(parts: nn.BlockParts) => new nn.Block(parts), [{ attention: layer, feedForward: dense, norm: () => new nn.RMSNorm(4) }]],
  "Block.forward": [block.forward.bind(block), [x, {}, evaluating]],
  Stack: [(options: nn.StackOptions) => new nn.Stack(options), [{ width: 4, layers: 1, heads: 2, causal: true, ...init }]],
  "Stack.transform": [model.transform.bind(model), [x, {}, evaluating]],
  DecoderLanguageModel: [(options: nn.LanguageModelOptions) => new nn.DecoderLanguageModel(options), [model.options]],
  "DecoderLanguageModel.forward": [model.forward.bind(model), [ids, {}, evaluating]],
  EncoderDecoder: [(options: nn.EncoderDecoderOptions) => new nn.EncoderDecoder(options), [both.options]],
  "EncoderDecoder.forward": [both.forward.bind(both), [{ ids, decoderIds: ids }, evaluating]],
  "EncoderDecoder.encode": [both.encode.bind(both), [ids, {}, evaluating]],
  "EncoderDecoder.decode": [both.decode.bind(both), [ids, { memory: x }, {}, evaluating]],
  "EncoderDecoder.given": [both.given.bind(both), [{ memory: x }]],
  shiftRight: [nn.shiftRight, [ids, {}]],
  sample: [nn.sample, [[1, 2], {}, 0.5]],
  generateBatch: [nn.generateBatch, [model, [[1]], { tokens: 1, temperature: 0 }]],
  beamSearch: [nn.beamSearch, [model, [[1]], { tokens: 1, beams: 2 }]],
};

/** How the language complains where nobody looked. */
const obscure =
  /Cannot (read|destructure|convert|set)|is not (a function|iterable|defined|an object)|Invalid|Maximum call|undefined (is|to)/;

describe("careless calls of models and what they are made of", () => {
  for (const [name, [call, right]] of Object.entries(calls))
    it(`${name} answers, or says what it wants`, async () => {
      await attempt(call, right);
      for (const [i] of right.entries())
        for (const wrong of junk) {
          const message = await attempt(call, right.with(i, wrong)).then(
            () => "",
            (reason: unknown) => (reason instanceof Error ? reason.message : String(reason)),
          );
          expect(message, `argument ${i}`).to.not.match(obscure);
          if (message) expect(message, `argument ${i}`).to.match(/^[A-Za-z.]+: \S/);
        }
    });
});

async function attempt(call: (...args: never[]) => unknown, args: readonly unknown[]): Promise<void> {
  await (call as (...all: readonly unknown[]) => unknown)(...args);
}
