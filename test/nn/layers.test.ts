import { expect } from "chai";
import { activate, key, ones, random, tensor, zeros } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import {
  Block,
  BucketBias,
  DecoderLanguageModel,
  DenseFeedForward,
  Dropout,
  Embedding,
  LayerNorm,
  LearnedPositions,
  Linear,
  MultiHeadAttention,
  RMSNorm,
  dropout,
  initializers,
  layerNorm,
  rmsNorm,
} from "switchyard-moe/nn";
import type { FeedForwardKind, Initializer } from "switchyard-moe/nn";
import { checkGradients } from "switchyard-moe/testing";
import { drawn, evaluating, expectClose, training } from "./plain.ts";

const init = { random: key("layers"), dtype: "float64" } as const;

describe("Linear", () => {
  it("is x W + b, W [inputs, outputs], over any leading axes", () => {
    const layer = new Linear(2, 3, init);
    layer.weight.assign(tensor([[1, 2, 3], [4, 5, 6]], { dtype: "float64" })); // prettier-ignore
    layer.bias?.assign(tensor([10, 20, 30], { dtype: "float64" }));
    expect(layer.forward(tensor([[[1, 1]], [[0, 2]]], { dtype: "float64" })).arraySync()).to.deep.equal([[[15, 27, 39]], [[18, 30, 42]]]);
  });

  it("has right derivatives", () => {
    const layer = new Linear(3, 2, init);
    return checkGradients((x) => layer.forward(x).tanh(), [drawn([2, 4, 3], 1)], { parameters: layer.parameters() });
  });

  it("says which width it wants", () => {
    expect(() => new Linear(3, 2, init).forward(drawn([4, 2], 1))).to.throw(
      RangeError,
      "Linear: x [4, 2] does not end in 3, the inputs of weight [3, 2]",
    );
  });

  it("rounds float32 weights beside bfloat16 activations and sends them a float32 gradient", () => {
    const layer = new Linear(3, 2, { random: key(1) });
    const y = layer.forward(random.normal([4, 3], key(2), { dtype: "bfloat16" }));
    expect(y.dtype).to.equal("bfloat16");
    y.cast("float32").sum().backward();
    expect(layer.weight.grad?.dtype).to.equal("float32");
  });
});

describe("Embedding", () => {
  it("reads rows, and sums the gradients of rows read twice", () => {
    const layer = new Embedding(3, 2, init);
    layer.weight.assign(tensor([[0, 1], [2, 3], [4, 5]], { dtype: "float64" })); // prettier-ignore
    const rows = layer.forward(tensor(Int32Array.of(2, 0, 2)));
    expect(rows.arraySync()).to.deep.equal([[4, 5], [0, 1], [4, 5]]); // prettier-ignore
    rows.sum().backward();
    expect(layer.weight.grad?.arraySync()).to.deep.equal([[1, 1], [0, 0], [2, 2]]); // prettier-ignore
  });

  it("takes logits against the same table", () => {
    const layer = new Embedding(5, 3, init);
    const x = drawn([2, 4, 3], 1);
    expectClose(layer.logits(x), x.matmul(layer.weight.transpose()));
  });

  it("refuses an id outside the table", () => {
    expect(() => new Embedding(3, 2, init).forward(tensor(Int32Array.of(3)))).to.throw(
      RangeError,
      "takeRows: index 3 at 0 is outside 0 to 2",
    );
  });
});

describe("a name that nobody knows", () => {
  const sizes = { vocabulary: 4, width: 4, layers: 1, heads: 2, ...init };
  const model = (wrong: object) => () => new DecoderLanguageModel({ ...sizes, ...wrong });
  const parts = { attention: new MultiHeadAttention(4, { heads: 2, ...init }), feedForward: new DenseFeedForward(4, 8, init) };
  const bad: Record<string, [() => unknown, string]> = {
    "of positions": [
      model({ positions: "alibi" }),
      'DecoderLanguageModel: positions "alibi": want "distance", "buckets", "rotary", "learned", "sinusoidal" or "none"',
    ],
    "of a model's norm": [model({ norm: "batch" }), 'DecoderLanguageModel: norm "batch": want "rms" or "layer"'],
    "of what a model computes in": [model({ compute: "float16" }), 'DecoderLanguageModel: compute "float16": want "float32" or "bfloat16"'],
    "of a block's order": [
      () => new Block({ ...parts, norm: () => new RMSNorm(4), order: "first" as never }),
      'Block: order "first": want "pre" or "post"',
    ],
    "of GELU's approximation": [() => ones([2]).gelu("sigmoid" as never), 'gelu: approximation "sigmoid": want "none" or "tanh"'],
  };
  for (const [what, [attempt, message]] of Object.entries(bad))
    it(`${what} is not taken for another`, () => {
      expect(attempt).to.throw(Error, message);
    });
});

describe("feed-forward kinds", () => {
  it("are known by name", () => {
    expect(() => new DenseFeedForward(2, 2, { ...init, kind: "swish" as never })).to.throw(
      'DenseFeedForward: kind "swish": want "relu", "gelu", "geluTanh", "silu", "reglu", "geglu", "gegluTanh" or "swiglu"',
    );
    expect(() => activate(ones([2]), "swish" as never)).to.throw('activate: activation "swish": want "relu", "gelu", "geluTanh" or "silu"');
  });
});

describe("what is called without its last argument", () => {
  const [nothing, pass] = [undefined as never, undefined as never];
  const unkeyed = { heads: 2, dropout: 0.5 } as never;
  // prettier-ignore
  const bad: Record<string, [() => unknown, string]> = {
    "a Linear": [() => new Linear(3, 4, nothing), "Linear: options undefined: want an object with random"],
    "an Embedding": [() => new Embedding(3, 4, nothing), "Embedding: options undefined: want an object with random"],
    "a DenseFeedForward": [() => new DenseFeedForward(3, 4, nothing), "DenseFeedForward: options undefined: want an object with random"],
    "a MultiHeadAttention": [() => new MultiHeadAttention(4, unkeyed), "MultiHeadAttention: random is missing: want a key, such as key(1)"],
    "learned positions": [() => new LearnedPositions(8, 4, nothing), "LearnedPositions: options undefined: want an object with random"],
    "a bias of buckets": [() => new BucketBias(2, nothing), "BucketBias: options undefined: want an object with random"],
    "a language model": [() => new DecoderLanguageModel({ ...unkeyed as object, vocabulary: 4, width: 4, layers: 1 } as never), "DecoderLanguageModel: random is missing: want a key, such as key(1)"],
    "dropout": [() => new Dropout(0.5).forward(ones([2]), pass), "forward: there is no pass; end the call with { training: false, random: key(0) }"],
    "a forward": [() => new DenseFeedForward(2, 2, init).forward(ones([2, 2], { dtype: "float64" }), {}, pass), "forward: there is no pass"],
    "a random tensor": [() => random.normal([2], nothing), "random.normal: at is missing: want a key, such as key(1)"],
    "a mask from the name of a seed": [() => ones([2]).dropout(0.5, "seed" as never), 'dropout: key "seed": want a key, such as key(1)'],
  };
  for (const [what, [attempt, message]] of Object.entries(bad))
    it(`${what} says what is missing`, () => {
      expect(attempt).to.throw(TypeError, message);
    });
});

describe("normalisation", () => {
  it("layer norm has mean 0 and variance 1 along the last axis, then scale and shift", () => {
    const layer = new LayerNorm(8, { dtype: "float64", eps: 0 });
    const y = layer.forward(drawn([3, 8], 1).mul(5).add(2));
    expectClose(y.mean(-1), zeros([3], { dtype: "float64" }));
    expectClose(y.variance(-1), ones([3], { dtype: "float64" }));
    layer.weight.assign(layer.weight.mul(3));
    layer.bias.assign(layer.bias.add(1));
    expectClose(layer.forward(drawn([3, 8], 1)).mean(-1), ones([3], { dtype: "float64" }));
  });

  it("RMS norm has mean square 1 and does not move the mean", () => {
    const x = drawn([3, 8], 1).add(1);
    const y = new RMSNorm(8, { dtype: "float64", eps: 0 }).forward(x);
    expectClose(y.square().mean(-1), ones([3], { dtype: "float64" }));
    expectClose(y.div(x), x.square().mean(-1, { keepDims: true }).rsqrt().broadcastTo([3, 8]));
  });

  for (const [name, layer] of [
    ["layer norm", new LayerNorm(4, { dtype: "float64" })],
    ["layer norm over two axes", new LayerNorm([2, 4], { dtype: "float64" })],
    ["RMS norm", new RMSNorm(4, { dtype: "float64" })],
  ] as const)
    it(`${name}: right derivatives, to second order`, () =>
      checkGradients((x) => layer.forward(x), [drawn([3, 2, 4], 2)], { parameters: layer.parameters() }));

  it("layer norm without scale and shift, of a constant row too", () => {
    expectClose(layerNorm(ones([2, 4], { dtype: "float64" })), zeros([2, 4], { dtype: "float64" }));
    return checkGradients((x) => layerNorm(x), [drawn([3, 4], 3)]);
  });

  // Near 1e7 a float32 is a whole number, and the mean of these four is none: it is rounded by half of their distance.
  for (const offset of [1e4, 1e5, 1e6, 1e7])
    it(`layer norm of four numbers in turn, one apart, at ${offset}: exact to 1e-5`, () => {
      const x = tensor(
        Float32Array.from({ length: 4096 }, (_, i) => offset + (i % 4)),
        { shape: [1, 4096] },
      );
      const wanted = [-1.5, -0.5, 0.5, 1.5].map((value) => value / Math.sqrt(1.25));
      const far = ones([4096]);
      for (const y of [layerNorm(x, undefined, undefined, 0), layerNorm(x, far, undefined, 0), layerNorm(x, undefined, far, 0).sub(1)])
        y.dataSync().forEach((value, i) => expect(value).to.be.closeTo(wanted[i % 4], 1e-5));
    });

  it("refuses a weight of another width", () => {
    expect(() => new LayerNorm(4, { dtype: "float64" }).forward(drawn([2, 3], 1))).to.throw(
      "layerNorm: weight [4] does not fit the last axes of [2, 3]",
    );
  });

  it("layer norm takes a scale or a shift alone", () => {
    const [x, by] = [drawn([2, 3, 4], 1), drawn([3, 4], 2)];
    const plain = layerNorm(x.reshape([2, 12])).reshape([2, 3, 4]);
    expectClose(layerNorm(x, by), plain.mul(by));
    expectClose(layerNorm(x, undefined, by), plain.add(by));
  });

  // Kernels would read such weights as what they are not.
  const bad: Record<string, [() => unknown, string]> = {
    "a scale and a shift that differ": [
      () => layerNorm(ones([2, 3]), ones([3]), ones([2, 3])),
      "layerNorm: weight [3] and bias [2, 3] differ",
    ],
    "one number for all": [
      () => layerNorm(ones([2, 3]), tensor(2), tensor(1)),
      "layerNorm: weight [] does not fit the last axes of [2, 3]",
    ],
    "another shift": [() => layerNorm(ones([2, 3]), undefined, ones([2])), "layerNorm: bias [2] does not fit the last axes of [2, 3]"],
    integers: [() => layerNorm(ones([2, 3]), ones([3], { dtype: "int32" }), ones([3])), "layerNorm: dtypes float32 and int32 differ"],
    "more than the last axis": [() => rmsNorm(ones([2, 3]), ones([2, 3])), "rmsNorm: weight [2, 3] is more than the last axis"],
    "no axis": [() => rmsNorm(ones([2, 3]), tensor(2)), "rmsNorm: weight [] does not fit the last axes of [2, 3]"],
    "another precision": [() => rmsNorm(ones([2, 3]), ones([3], { dtype: "float64" })), "rmsNorm: dtypes float32 and float64 differ"],
  };
  for (const [what, [attempt, message]] of Object.entries(bad))
    it(`refuses ${what}`, () => {
      expect(attempt).to.throw(message);
    });
});

describe("dropout", () => {
  it("does nothing in evaluation", () => {
    const x = drawn([4, 4], 1);
    expect(new Dropout(0.5).forward(x, evaluating)).to.equal(x);
  });

  it("while training zeroes about its rate and scales the rest, the same for the same key", () => {
    const x = ones([100, 100]);
    const y = dropout(x, 0.25, training(1)).dataSync();
    const zeroed = y.filter((value) => value === 0).length;
    expect(zeroed).to.be.within(2300, 2700);
    expect(Math.max(...y)).to.be.closeTo(4 / 3, 1e-6);
    expect([...dropout(x, 0.25, training(1)).dataSync()]).to.deep.equal([...y]);
    expect([...dropout(x, 0.25, training(2)).dataSync()]).to.not.deep.equal([...y]);
  });

  it("of a rate of 0 is the tensor itself, while training too", () => {
    const x = drawn([4], 1);
    expect(dropout(x, 0, training(1))).to.equal(x);
  });

  it("refuses a rate of 1", () => {
    expect(() => new Dropout(1)).to.throw(RangeError, "Dropout: rate 1: want a number from 0 to below 1");
  });
});

describe("feed-forward", () => {
  const formula: Record<FeedForwardKind, (x: Tensor, factor: Tensor | undefined) => Tensor> = {
    relu: (h) => h.relu(),
    gelu: (h) => activate(h, "gelu"),
    geluTanh: (h) => activate(h, "geluTanh"),
    silu: (h) => h.mul(h.sigmoid()),
    reglu: (h, factor) => h.relu().mul(factor ?? h),
    geglu: (h, factor) => h.gelu().mul(factor ?? h),
    gegluTanh: (h, factor) => activate(h, "geluTanh").mul(factor ?? h),
    swiglu: (h, factor) => h.mul(h.sigmoid()).mul(factor ?? h),
  };

  for (const kind of ["relu", "gelu", "geluTanh", "silu", "reglu", "geglu", "gegluTanh", "swiglu"] as const) {
    const layer = new DenseFeedForward(3, 5, { ...init, kind });
    for (const bias of [layer.hidden.bias, layer.factor?.bias, layer.output.bias]) bias?.assign(drawn(bias.shape, kind));

    it(`${kind} is its formula`, () => {
      const x = drawn([2, 4, 3], 1);
      const { output, losses, routing } = layer.forward(x, {}, evaluating);
      expectClose(output, layer.output.forward(formula[kind](layer.hidden.forward(x), layer.factor?.forward(x))));
      expect([losses, routing]).to.deep.equal([{}, null]);
    });

    it(`${kind} has right derivatives`, () =>
      checkGradients((x) => layer.apply(x, evaluating), [drawn([4, 3], 2)], {
        parameters: layer.parameters(),
        step: 1e-4,
        tolerance: 1e-5,
      }));
  }

  it("drops hidden activations while training only", () => {
    const layer = new DenseFeedForward(3, 64, { ...init, dropout: 0.5 });
    const x = drawn([2, 4, 3], 1);
    expectClose(layer.apply(x, evaluating), layer.apply(x, evaluating));
    expect([...layer.apply(x, training(1)).dataSync()]).to.not.deep.equal([...layer.apply(x, evaluating).dataSync()]);
  });
});

describe("initialisers", () => {
  const shape = [4, 100, 60]; // four experts of fan-in 100
  const kept = 0.8796; // what truncation at two deviations leaves of the deviation
  const rows: [string, Initializer, number, number][] = [
    ["truncatedNormal", initializers.truncatedNormal(0.5), 0.5 * kept, 1],
    ["normal", initializers.normal(0.5), 0.5, Infinity],
    ["scaledTruncatedNormal", initializers.scaledTruncatedNormal(), Math.sqrt(1 / 100) * kept, 2 * Math.sqrt(1 / 100)],
    ["scaledTruncatedNormal of scale 0.1", initializers.scaledTruncatedNormal(0.1), Math.sqrt(0.1 / 100) * kept, 2 * Math.sqrt(0.1 / 100)],
    ["xavierUniform", initializers.xavierUniform(), Math.sqrt(2 / 160), Math.sqrt(6 / 160)],
    ["xavierNormal", initializers.xavierNormal(), Math.sqrt(2 / 160), Infinity],
    ["kaimingUniform", initializers.kaimingUniform(), Math.sqrt(2 / 100), Math.sqrt(6 / 100)],
    ["kaimingNormal", initializers.kaimingNormal(), Math.sqrt(2 / 100), Infinity],
  ];

  for (const [name, make, std, bound] of rows)
    it(`${name}: deviation ${std.toFixed(4)} by the fan of one expert, experts differ, the key decides`, () => {
      const x = make(shape, key(name), { dtype: "float64" });
      expect(x.std().itemSync()).to.be.closeTo(std, 0.03 * std); // 24,000 numbers: one deviation of the estimate is 0.5 %
      expect(Math.abs(x.mean().itemSync())).to.be.below(0.03 * std);
      expect(x.abs().max().itemSync()).to.be.at.most(bound);
      const [first, second] = x.split(4, 0).map((expert) => [...expert.dataSync()]);
      expect(first).to.not.deep.equal(second);
      expect([...make(shape, key(name), { dtype: "float64" }).dataSync()]).to.deep.equal([...x.dataSync()]);
      expect([...make(shape, key("other"), { dtype: "float64" }).dataSync()]).to.not.deep.equal([...x.dataSync()]);
    });

  it("want a matrix to know the fan", () => {
    expect(() => initializers.xavierNormal()([3], key(1))).to.throw(
      RangeError,
      "fan-in of [3]: a weight has the axes [..., fanIn, fanOut]",
    );
  });
});
