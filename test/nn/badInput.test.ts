/** Layers, losses and training, called wrongly: every error names what was called and the argument, and says what fits. */
import { expect } from "chai";
import { key, ones, tensor, zeros } from "switchyard-moe";
import * as nn from "switchyard-moe/nn";
import { evaluating } from "./plain.ts";

const x = ones([2, 3]);
const random = key(1);
const init = { random };
const linear = new nn.Linear(3, 2, init);
const attention = new nn.MultiHeadAttention(4, { heads: 2, random });
const stack = new nn.Stack({ layers: 1, width: 6, heads: 2, hidden: 4, causal: false, random });
const none = undefined as never;
const wrong = (value: unknown): never => value as never;

// prettier-ignore
const cases: readonly (readonly [string, () => unknown, string])[] = [
  ["a width that is no number", () => new nn.Linear(wrong("3"), 2, init), 'Linear: inputs "3": want a whole number of 1 or more'],
  ["outputs of 0", () => new nn.Linear(3, 0, init), "Linear: outputs 0: want a whole number of 1 or more"],
  ["a mistyped option", () => new nn.Linear(3, 2, { random, bais: false } as never), "Linear: there is no option bais; did you mean bias?"],
  ["a seed for a key", () => new nn.Linear(3, 2, { random: 7 } as never), "Linear: random 7: want a key, such as key(1)"],
  ["integers for weights", () => new nn.Linear(3, 2, { random, dtype: "int32" }), 'Linear: dtype "int32": want "float32", "float64" or "bfloat16"'],
  ["no input", () => linear.forward(none), "Linear: x is missing: want a tensor"],
  ["an array for a tensor", () => linear.forward(wrong([1, 2, 3])), "Linear: x [1, 2, 3]: want a tensor"],
  ["an embedding of nothing", () => new nn.Embedding(0, 3, init), "Embedding: symbols 0: want a whole number of 1 or more"],
  ["an embedding of half a width", () => new nn.Embedding(4, 1.5, init), "Embedding: width 1.5: want a whole number of 1 or more"],
  ["no ids", () => new nn.Embedding(4, 3, init).forward(none), "Embedding.forward: ids is missing: want a tensor"],
  ["no vectors for logits", () => new nn.Embedding(4, 3, init).logits(none), "Embedding.logits: x is missing: want a tensor"],
  ["a norm without width", () => new nn.LayerNorm(none), "LayerNorm: width is missing: want a whole number of 1 or more, or an array"],
  ["a norm with a mistyped option", () => new nn.LayerNorm(3, { epsilon: 1 } as never), "LayerNorm: there is no option epsilon"],
  ["a norm with a negative eps", () => new nn.RMSNorm(3, { eps: -1 }), "RMSNorm: eps -1: want a finite number of 0 or more"],
  ["a norm of two widths", () => new nn.RMSNorm(wrong([2, 3])), "RMSNorm: width [2, 3]: want a whole number of 1 or more"],
  ["a norm of nothing", () => nn.layerNorm(none), "layerNorm: x is missing: want a tensor"],
  ["a norm of a scalar", () => nn.layerNorm(tensor(1)), "layerNorm: x is a scalar, which has no last axis"],
  ["a weight that is no tensor", () => nn.layerNorm(x, wrong(3)), "layerNorm: weight 3: want a tensor"],
  ["an RMS norm without weight", () => nn.rmsNorm(x, none), "rmsNorm: weight is missing: want a tensor"],
  ["a rate above 1", () => nn.dropout(x, 2, evaluating), "dropout: rate 2: want a number from 0 to below 1"],
  ["a pass that is a flag", () => nn.dropout(x, 0.5, wrong(true)), "forward: the pass true: want a pass, such as { training: false, random: key(0) }"],
  ["a pass with a seed", () => nn.dropout(x, 0.5, wrong({ training: true, random: 1 })), "forward: the pass { training, random }: want a pass"],
  ["no logits", () => nn.crossEntropy(none, x), "crossEntropy: logits is missing: want a tensor"],
  ["no targets", () => nn.crossEntropy(x, none), "crossEntropy: target is missing: want a tensor"],
  ["class ids in an array", () => nn.crossEntropy(x, wrong([0, 1])), "crossEntropy: target [0, 1]: want a tensor"],
  ["an option of PyTorch", () => nn.crossEntropy(x, x, { ignore_index: 0 } as never), "crossEntropy: there is no option ignore_index; did you mean ignoreIndex?"],
  ["weights in an array", () => nn.crossEntropy(x, x, { weight: [1, 1, 1] } as never), "crossEntropy: weight [1, 1, 1]: want a tensor"],
  ["a loss without target", () => nn.mseLoss(x, none), "mseLoss: target is missing: want a tensor"],
  ["a loss of a number", () => nn.l1Loss(wrong(1), x), "l1Loss: x 1: want a tensor"],
  ["options that are a word", () => nn.mseLoss(x, x, wrong("sum")), 'mseLoss: options "sum": want an object with reduction'],
  ["a delta of 0", () => nn.huberLoss(x, x, { delta: 0 }), "huberLoss: delta 0: want a finite number above 0"],
  ["a posWeight that is a number", () => nn.bceWithLogits(x, x, { posWeight: 3 } as never), "bceWithLogits: posWeight 3: want a tensor"],
  ["a log_target", () => nn.klDivergence(x, x, { log_target: true } as never), "klDivergence: there is no option log_target; did you mean logTarget?"],
  ["a share above 1", () => nn.distillationLoss(x, x, zeros([2], { dtype: "int32" }), { share: 2 }), "distillationLoss: share 2: want a finite number from 0 to 1"],
  ["no labels", () => nn.distillationLoss(x, x, none), "distillationLoss: labels is missing: want a tensor"],
  ["a norm of no list", () => nn.gradNorm(none), "gradNorm: parameters undefined: want tensors, such as model.parameters()"],
  ["a model for its parameters", () => nn.clipGradNorm(wrong(linear), 1), "clipGradNorm: parameters (a Linear): want tensors, such as model.parameters()"],
  ["pairs for tensors", () => nn.clipGradValue(wrong(linear.namedParameters()), 1), "clipGradValue: parameter 0 [\"weight\", (a Tensor of shape [3, 2])]: want a tensor"],
  ["a norm that is a number", () => nn.clipScale(wrong(1), 1), "clipScale: norm 1: want a tensor"],
  ["a saved state that is an object", () => linear.load(wrong({ weight: x })), "Linear.load: saved { weight }: want a Map of tensors by name, such as readSafetensors(file).tensors"],
  ["a saved number", () => linear.load(new Map([["weight", 3]]) as never), 'Linear.load: "weight" 3: want a tensor'],
  ["a summary of no module", () => nn.summary(wrong({})), "summary: model {  }: want a module"],
  ["a summary of no tokens", () => nn.summary(linear, { length: 0 }), "summary: length 0: want a finite number above 0"],
  ["a deviation below 0", () => nn.initializers.normal(-1), "initializers.normal: std -1: want a finite number of 0 or more"],
  ["a deviation that is a word", () => nn.initializers.truncatedNormal(wrong("small")), 'initializers.truncatedNormal: std "small": want'],
  ["an initializer without key", () => nn.initializers.normal(1)([2], none), "initializers.normal: at is missing: want a key, such as key(1)"],
  ["an initializer without shape", () => nn.initializers.xavierUniform()(wrong(3), random), "initializers.xavierUniform: shape 3: want a shape"],
  ["a state that lacks everything", () => new nn.MultiHeadAttention(4, { heads: 2, random, queryKeyNorm: "head", keyWidth: 4, valueWidth: 4 }).load(new Map()), "\"values.weight\" [4, 4] is not in the saved state; and 5 more"],
  ["targets of one text alone", () => nn.shiftRight(tensor([1], { dtype: "int32" })), "shiftRight: targets [1]: want [B, U]"],
  ["documents of one text alone", () => nn.documentBias(tensor([0], { dtype: "int32" }), "float32"), "documentBias: documents [1]: want [B, S]"],
  ["attention over one row", () => attention.forward(x, {}, evaluating), "MultiHeadAttention: x [2, 3]: want [B, T, D]"],
  ["a stack of another width", () => stack.transform(ones([1, 2, 4]), {}, evaluating), "Stack: x [1, 2, 4]: want [B, T, 6]"],
  ["a stack over one row", () => stack.transform(ones([2, 6]), {}, evaluating), "Stack: x [2, 6]: want [B, T, 6]"],
  ["a prefix where all see each other", () => stack.transform(ones([1, 2, 6]), { prefix: ones([1, 2]) }, evaluating), "Stack: a prefix is for causal stacks"],
  ["a linear map of another width", () => linear.forward(ones([2, 4])), "Linear: x [2, 4] does not end in 3, the inputs of weight [3, 2]"],
  ["a fan-in of a vector", () => nn.initializers.kaimingNormal()([3], random), "fan-in of [3]: a weight has the axes [..., fanIn, fanOut]"],
];

describe("nn, called wrongly", () => {
  for (const [what, attempt, message] of cases) it(`refuses ${what}`, () => expect(attempt).to.throw(message));

  const later: readonly (readonly [string, () => Promise<unknown>, string])[] = [
    ["no model", () => nn.evaluate(none, []), "evaluate: model is missing: want a language model"],
    ["one batch instead of several", () => nn.evaluate(wrong(linear), wrong({ ids: x })), "evaluate: data { ids }: want batches, such as"],
    [
      "tensors instead of batches",
      () => nn.evaluate(wrong(linear), wrong([x])),
      "evaluate: a batch (a Tensor of shape [2, 3]): want an object",
    ],
    [
      "arrays instead of tensors",
      () => nn.evaluate(wrong(linear), wrong([{ ids: [1], targets: [2] }])),
      "evaluate: ids of a batch [1]: want",
    ],
  ];
  for (const [what, attempt, message] of later)
    it(`refuses to evaluate ${what}`, async () => {
      const error = await attempt().catch((thrown: unknown) => thrown);
      expect(error).to.be.instanceOf(Error);
      expect(String(error)).to.include(message);
    });
});
