/** Everything that can be wrong with a checkpoint or a call: a clear error each, and nothing half-loaded, nothing overwritten. */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { cpuBackend, key, tensor } from "switchyard-moe";
import type { Backend, Tensor } from "switchyard-moe";
import { MoE, FeedForwardExperts, SwitchAttention, SwitchRouter, TopKRouter } from "switchyard-moe/moe";
import type { MoEOptions } from "switchyard-moe/moe";
import { wasm } from "switchyard-moe/backend/wasm";
import { DecoderLanguageModel, EncoderDecoder, MultiHeadAttention } from "switchyard-moe/nn";
import type { EncoderDecoderOptions, Init } from "switchyard-moe/nn";
import { familyOf, loadPretrained, memorySource, savePretrained } from "switchyard-moe/pretrained";
import type { DecoderConfig, EncoderDecoderConfig, LoadOptions } from "switchyard-moe/pretrained";
import { randomCheckpoint } from "./configs.ts";
import { checkpoint } from "./hf.ts";
import { inFolder } from "./inFolder.ts";
import { refusal } from "./reading.ts";
import { ascii } from "./torchWriter.ts";

const switchConfig: EncoderDecoderConfig = {
  family: "switch_transformers",
  vocabulary: 10,
  width: 4,
  headWidth: 2,
  hidden: 3,
  heads: 2,
  layers: { encoder: 2, decoder: 2 },
  buckets: 8,
  maxDistance: 16,
  dropout: 0.1,
  normEps: 1e-6,
  kind: "relu",
  tied: true,
  padId: 0,
  endId: 1,
  startId: 0,
  sparse: { experts: 3, expertCapacity: 64, dropped: "gatedInput", routePadding: true, routerBias: false, jitter: 0.01, balance: 0.001, zLoss: 0.001, sparse: { encoder: [1], decoder: [1] } }, // prettier-ignore
};

const mixtralConfig: DecoderConfig = {
  family: "mixtral",
  vocabulary: 10,
  width: 4,
  layers: 2,
  heads: 2,
  keyValueHeads: 1,
  headWidth: 2,
  hidden: 0,
  expertHidden: 3,
  sharedHidden: 0,
  experts: 3,
  choices: 2,
  renormalised: true,
  sparse: [0, 1],
  bias: false,
  queryKeyNorm: null,
  clip: null,
  window: null,
  theta: 10000,
  normEps: 1e-5,
  dropout: 0,
  tied: false,
  balance: 0.02,
  endId: null,
  context: 64,
};

interface Changes {
  readonly of?: EncoderDecoderConfig | DecoderConfig;
  /** Fields of config.json; undefined takes one away. */
  readonly config?: Record<string, unknown>;
  readonly tensors?: (tensors: Map<string, Tensor>) => void;
  readonly options?: LoadOptions;
  readonly files?: (files: Map<string, Uint8Array>) => void;
}

/** Loads a changed checkpoint. */
async function load({ of = switchConfig, config, tensors, options, files }: Changes = {}): Promise<unknown> {
  const stored = randomCheckpoint(of, "float32");
  tensors?.(stored.tensors);
  const held = await checkpoint({ ...stored.config, ...config }, stored.tensors);
  files?.(held);
  return loadPretrained(memorySource(held), { backend: cpuBackend(), ...options });
}

const zeros = (...shape: number[]): Tensor => tensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), { shape });
const WI = "encoder.block.0.layer.1.mlp.wi.weight";
const mixtral = mixtralConfig;

const refused: Record<string, [changes: Changes, says: RegExp]> = {
  "no config": [{ files: (files) => files.delete("config.json") }, /there is no config\.json in memory; it holds model\.safetensors$/],
  "no weights": [{ files: (files) => files.delete("model.safetensors") }, /there are no weights in memory: want model\.safetensors/],
  "a config that is no JSON": [{ files: (files) => files.set("config.json", ascii("{")) }, /config\.json: is not JSON/],
  "a config that is no text": [{ files: (files) => files.set("config.json", Uint8Array.of(0xff)) }, /config\.json: is not UTF-8/],
  "a config that is a list": [{ files: (files) => files.set("config.json", ascii("[1]")) }, /config\.json: want a JSON object, found \[1\]/],
  "an unknown family": [{ config: { model_type: "gpt2" } }, /config\.json: model_type "gpt2": want one of switch_transformers, t5, mixtral/],
  "no family": [{ config: { model_type: undefined } }, /config\.json: model_type undefined: want one of/],
  "a field that is missing": [{ config: { d_model: undefined } }, /config\.json: d_model is missing: want a whole number from 1/],
  "a field of another kind": [{ config: { d_ff: "3072" } }, /config\.json: d_ff "3072": want a whole number from 1/],
  "a size beyond all models": [{ config: { vocab_size: 1e12 } }, /config\.json: vocab_size 1000000000000: want a whole number from 1 to/],
  "layers without end": [{ config: { num_layers: 1e9 } }, /config\.json: num_layers 1000000000: want a whole number from 1 to 4096/],
  "an activation that is not built": [{ config: { dense_act_fn: "mish" } }, /config\.json: dense_act_fn "mish": want "relu", "gelu"/],
  "a gated Switch": [{ config: { is_gated_act: true } }, /config\.json: is_gated_act true: only false is supported/],
  "an id outside of the vocabulary": [{ config: { pad_token_id: 10 } }, /pad_token_id 10: want an id below vocab_size 10/],
  "distances that the buckets cover alone": [{ config: { relative_attention_max_distance: 4 } }, /relative_attention_max_distance 4: want more than half of the 8/],
  "rotary positions of another kind": [{ of: mixtral, config: { rope_scaling: { type: "yarn" } } }, /rope_scaling \{ type \}: only null is supported/],
  "heads that do not divide": [{ of: mixtral, config: { num_key_value_heads: 3 } }, /num_key_value_heads 3: does not divide num_attention_heads 2/],
  "more choices than experts": [{ of: mixtral, config: { num_experts_per_tok: 4 } }, /num_experts_per_tok 4: more than the 3 experts/],

  "counts that contradict the weights": [{ config: { num_layers: 3, num_experts: 8 } }, /config\.json contradicts the weights: num_layers is 3, the weights have 2; num_experts is 8, the weights have 3/],
  "fewer layers than the weights have": [{ of: mixtral, config: { num_hidden_layers: 1 } }, /num_hidden_layers is 1, the weights have 2/],
  "widths that contradict the weights": [{ config: { d_ff: 5 } }, /the weights do not fit config\.json: "encoder\.block\.0\.layer\.1\.mlp\.wi\.weight" is \[3, 4\], want \[5, 4\]; .*and \d+ more$/],
  "a missing tensor": [{ tensors: (t) => t.delete(WI) }, /the weights do not fit config\.json: "encoder\.block\.0\.layer\.1\.mlp\.wi\.weight" \[3, 4\] is missing$/],
  "an extra tensor": [{ tensors: (t) => t.set("extra", zeros(2)) }, /"extra" \[2\] has no place in this model$/],
  "a transposed tensor": [{ tensors: (t) => t.set(WI, zeros(4, 3)) }, /"encoder.*wi\.weight" is \[4, 3\], want \[3, 4\]$/],
  "integers": [{ tensors: (t) => t.set(WI, zeros(3, 4).cast("int32")) }, /"encoder.*wi\.weight" is int32, want float32, float16, bfloat16 or float64$/],
  "tied weights that differ": [{ tensors: (t) => t.set("lm_head.weight", zeros(10, 4)) }, /"lm_head\.weight" differs from "shared\.weight", although config\.json ties them/],
  "an expert too few": [{ tensors: (t) => t.delete("decoder.block.1.layer.2.mlp.experts.expert_1.wo.weight") }, /expert_1\.wo\.weight" \[4, 3\] is missing$/],
  "semantics of another family": [{ of: mixtral, options: { semantics: { dropped: "zero" } } }, /semantics are of switch_transformers alone, this is mixtral/],
}; // prettier-ignore

describe("loadPretrained refuses", () => {
  it("nothing that is whole", async () => {
    await load();
    await load({ of: mixtralConfig });
  });

  for (const [what, [changes, says]] of Object.entries(refused))
    it(what, async () =>
      expect(await refusal(() => load(changes)))
        .to.match(says)
        .and.match(/^loadPretrained: /),
    );

  it("a dtype that the backend lacks", async () => {
    const backend = Object.create(cpuBackend(), { dtypes: { value: new Set(["float32"]) } }) as Backend;
    expect(await refusal(() => load({ options: { dtype: "float64", backend } }))).to.match(/dtype float64: the cpu backend has float32/);
  });

  it("and frees what it had read by then", async () => {
    const { config, tensors } = randomCheckpoint(switchConfig, "float32");
    const source = memorySource(await checkpoint(config, tensors));
    const twins = memorySource(await checkpoint(config, new Map([...tensors, ["lm_head.weight", zeros(10, 4)]])));
    const backend = await wasm({ threads: 1 });
    const { model } = await loadPretrained(source, { backend });
    const whole = backend.stats().liveBytes;
    for (const parameter of model.state().values()) parameter.dispose();
    const left = backend.stats().liveBytes;
    expect(left, "of a model that was freed").to.be.below(whole / 10);
    expect(await refusal(() => loadPretrained(twins, { backend }))).to.match(/differs from/);
    expect(backend.stats().liveBytes).to.equal(left);
  });

  it("ten tensors at once, and counts the rest", async () => {
    const message = await refusal(() => load({ tensors: (t) => [...t.keys()].slice(0, 25).forEach((name) => t.delete(name)) }));
    expect(message.match(/is missing/g)).to.have.length(10);
    expect(message).to.match(/; and 15 more$/);
  });

  it("damage in the middle of a file, after it has begun to read", async () => {
    const files = (held: Map<string, Uint8Array>): void => void held.set("model.safetensors", held.get("model.safetensors")!.slice(0, -1));
    expect(await refusal(() => load({ files }))).to.match(/^loadPretrained: model\.safetensors: .*truncated/);
  });

  const careless: Record<string, [run: () => Promise<unknown>, says: RegExp]> = {
    "no source": [() => loadPretrained(undefined as never), /^loadPretrained: source undefined: want a folder's path/],
    "an option misspelt": [() => loadPretrained(memorySource(new Map()), { dtyp: "float32" } as never), /^loadPretrained: there is no option dtyp; did you mean dtype\?/],
    "a dtype that is none": [() => loadPretrained(memorySource(new Map()), { dtype: "half" as never }), /^loadPretrained: dtype "half": want "stored", "float32"/],
    "semantics misspelt": [() => load({ options: { semantics: { droped: "zero" } as never } }), /^loadPretrained: semantics: there is no option droped/],
    "a model that is none": [() => savePretrained({} as never, "x"), /familyOf: model \{  \}: want an EncoderDecoder, or a DecoderLanguageModel/],
    "a folder that is none": [() => savePretrained({} as never, 3 as never), /^savePretrained: folder 3: want a string/],
  }; // prettier-ignore
  for (const [what, [run, says]] of Object.entries(careless))
    it(`a careless call: ${what}`, async () => {
      const error = await run().then(() => "it was not refused", (reason: unknown) => (reason instanceof Error ? reason.message : "")); // prettier-ignore
      expect(error).to.match(says);
    });
});

describe("loadPretrained takes", () => {
  it("buffers and biases of old files that nobody uses, and an embedding under any of its names", async () => {
    await load({ tensors: (t) => t.set("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight", zeros(8, 2)) });
    await load({ of: mixtralConfig, tensors: (t) => t.set("model.layers.0.self_attn.rotary_emb.inv_freq", zeros(1)) });
    const moved = (t: Map<string, Tensor>): void => {
      t.set("lm_head.weight", t.get("shared.weight")!);
      t.delete("shared.weight");
    };
    await load({ tensors: moved });
    await load({ tensors: (t) => t.set("encoder.embed_tokens.weight", t.get("shared.weight")!) });
  });

  it("semantics by name: what is published, the paper's, and none", async () => {
    const sparse = async (options: LoadOptions): Promise<unknown[]> => {
      const loaded = (await load({ options })) as { model: EncoderDecoder };
      const layer = loaded.model.encoder.blocks[1].feedForward as MoE;
      return [layer.dropped, layer.expertCapacity, layer.evaluationCapacityFactor, loaded.model.options.routePadding];
    };
    expect(await sparse({})).to.deep.equal(["gatedInput", 64, "dropless", true]);
    const semantics = { dropped: "zero", expertCapacity: 2, routePadding: false } as const;
    expect(await sparse({ semantics })).to.deep.equal(["zero", 2, "dropless", false]);
    expect((await sparse({ semantics: { expertCapacity: "dropless" } }))[1]).to.equal(null);
  });

  it("float16 as float32, bfloat16 as itself, mixtures as float32, and says how far it is", async () => {
    const dtypeOf = async (changes: Changes): Promise<string> =>
      ((await load(changes)) as { model: EncoderDecoder }).model.embedding.weight.dtype;
    const cast = (dtype: "bfloat16") => (t: Map<string, Tensor>) => [...t].forEach(([name, x]) => t.set(name, x.cast(dtype)));
    expect(await dtypeOf({ tensors: cast("bfloat16") })).to.equal("bfloat16");
    expect(await dtypeOf({ tensors: (t) => t.set(WI, t.get(WI)!.cast("bfloat16")) })).to.equal("float32");
    expect(await dtypeOf({ tensors: cast("bfloat16"), options: { dtype: "float32" } })).to.equal("float32");
    const seen: number[] = [];
    let total = 0;
    await load({ options: { onProgress: (read, all) => void (seen.push(read), (total = all)) } });
    expect(seen).to.deep.equal(seen.toSorted((a, b) => a - b));
    expect(seen.at(-1)).to.equal(total);
  });
});

describe("savePretrained", () => {
  const init: Init = { random: key(1) };
  const small = (): EncoderDecoder => new EncoderDecoder({ ...init, vocabulary: 10, width: 4, heads: 2, hidden: 3, layers: 1 });

  it("never replaces a checkpoint unless told to, leaves other files alone, and nothing aside", () =>
    inFolder(async (folder) => {
      writeFileSync(join(folder, "tokenizer.json"), "{}");
      await savePretrained(small(), folder);
      const files = readdirSync(folder).toSorted();
      expect(files).to.deep.equal(["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"]);
      const before = readFileSync(join(folder, "model.safetensors"));
      expect(await refusal(() => savePretrained(small(), folder))).to.match(
        /^savePretrained: .* holds config\.json, generation_config\.json, model\.safetensors already; give the option overwrite/,
      );
      expect(readFileSync(join(folder, "model.safetensors")).equals(before)).to.equal(true);
      await savePretrained(small(), folder, { overwrite: true, shardBytes: 100 });
      expect(readdirSync(folder)).to.include("model.safetensors.index.json").and.not.include("model.safetensors");
      await savePretrained(small(), folder, { overwrite: true });
      expect(readdirSync(folder).toSorted()).to.deep.equal(files);
      await loadPretrained(folder, { backend: cpuBackend() });
    }));

  it("makes the folder, and says where it cannot", () =>
    inFolder(async (folder) => {
      await savePretrained(small(), join(folder, "a", "b"));
      writeFileSync(join(folder, "file"), "");
      expect(await refusal(() => savePretrained(small(), join(folder, "file")))).to.match(
        /^savePretrained: .*file cannot be written: it is a file/,
      );
      mkdirSync(join(folder, "c", ".partial"), { recursive: true });
      writeFileSync(join(folder, "c", ".partial", "model.safetensors"), "half of one");
      await savePretrained(small(), join(folder, "c"));
      expect(readdirSync(join(folder, "c"))).to.not.include(".partial");
    }));

  it("a folder that was interrupted cannot be taken for a whole one: config.json comes last", () =>
    inFolder(async (folder) => {
      await savePretrained(small(), folder);
      const times = ["config.json", "model.safetensors"].map((name) => readdirSync(folder).includes(name));
      expect(times).to.deep.equal([true, true]);
      writeFileSync(join(folder, "half"), readFileSync(join(folder, "config.json")));
      mkdirSync(join(folder, "other"));
      writeFileSync(join(folder, "other", "model.safetensors"), readFileSync(join(folder, "model.safetensors")));
      expect(await refusal(() => loadPretrained(join(folder, "other")))).to.match(
        /there is no config\.json in .*other; it holds model\.safetensors/,
      );
    }));

  const decoder = (changes: object): DecoderLanguageModel =>
    new DecoderLanguageModel({
      ...init,
      vocabulary: 10,
      width: 4,
      layers: 1,
      heads: 2,
      positions: "rotary",
      kind: "swiglu",
      feedForward: (_, at) =>
        new MoE({
          router: new TopKRouter({ experts: 2, choices: 1, width: 4, normalise: "after", ...at }),
          experts: new FeedForwardExperts({ experts: 2, width: 4, hidden: 3, kind: "swiglu", bias: false, ...at }),
        }),
      ...changes,
    });

  it("knows the family of a model made here", () => {
    expect(familyOf(small()).family).to.equal("t5");
    expect(familyOf(decoder({})).family).to.equal("mixtral");
    expect(familyOf(decoder({ queryKeyNorm: "head" })).family).to.equal("qwen3_moe");
    expect(familyOf(decoder({ queryKeyNorm: "width" })).family).to.equal("olmoe");
  });

  const switchLayer = (_: number, at: Init): MoE =>
    new MoE({
      router: new SwitchRouter({ experts: 2, width: 4, ...at }),
      experts: new FeedForwardExperts({ experts: 2, width: 4, hidden: 3, ...at }),
    });
  const switchModel = (layer: Partial<MoEOptions>, changes: Partial<EncoderDecoderOptions> = {}): EncoderDecoder =>
    new EncoderDecoder({
      ...init,
      vocabulary: 10,
      width: 4,
      heads: 2,
      hidden: 3,
      layers: 1,
      feedForward: (_stack, _layer, at) =>
        new MoE({
          router: new SwitchRouter({ experts: 2, width: 4, ...at }),
          experts: new FeedForwardExperts({ experts: 2, width: 4, hidden: 3, bias: false, ...at }),
          ...layer,
        }),
      ...changes,
    });

  it("writes no ids beside the config of a model that was opened", async () => {
    const model = switchModel({});
    const config = familyOf(model) as EncoderDecoderConfig;
    const error = await refusal(() => savePretrained({ family: "switch_transformers", model, config }, "nowhere", { endId: 3 }));
    expect(error).to.match(/savePretrained: endId is for models made here/);
  });

  const odd: Record<string, [model: () => EncoderDecoder | DecoderLanguageModel, says: RegExp]> = {
    "the byte model of the main job": [() => new DecoderLanguageModel({ ...init, vocabulary: 10, width: 4, layers: 1, heads: 2, feedForward: switchLayer }), /positions is "distance", the families have "rotary"; .*a router is no TopKRouter/],
    "a window in OLMoE": [() => decoder({ queryKeyNorm: "width", window: 4 }), /olmoe has no window/],
    "no sparse layer": [() => decoder({ feedForward: undefined }), /no layer is sparse/],
    "a layer norm": [() => decoder({ norm: "layer" }), /norm is "layer", the families have "rms"/],
    "sparse layers at odd places": [() => new EncoderDecoder({ ...init, vocabulary: 10, width: 4, heads: 2, hidden: 3, layers: 4, feedForward: (stack, layer, at) => (layer === 0 && stack === "encoder" ? new MoE({ router: new SwitchRouter({ experts: 2, width: 4, ...at }), experts: new FeedForwardExperts({ experts: 2, width: 4, hidden: 3, bias: false, ...at }) }) : undefined) }), /layers 0 of the encoder are sparse; switch_transformers can only say 1/],
    "a capacity factor in evaluation": [() => switchModel({ evaluationCapacityFactor: 2 }), /experts have a capacity factor in evaluation/],
    "a number of slots for the whole batch": [() => switchModel({ expertCapacity: 4 }), /has not the group of a sequence/],
    "attention that is sparse": [() => switchModel({}, { attention: (_stack, _layer, at) => new SwitchAttention(4, { heads: 2, experts: 2, router: (of) => new SwitchRouter({ experts: 2, width: 4, ...of }), ...at }) }), /the attention of layer 0 is no MultiHeadAttention/],
    "attention of another scale than the model's": [() => switchModel({}, { attention: (_, layer, at) => (layer === 0 ? new MultiHeadAttention(4, { heads: 2, scale: 0.5, bias: false, ...at }) : undefined) }), /the attention of layer 0 has other settings than the model's options/],
    "experts with biases": [() => new EncoderDecoder({ ...init, vocabulary: 10, width: 4, heads: 2, hidden: 3, layers: 1, feedForward: (_, layer, at) => switchLayer(layer, at) }), /feed-forward layers have biases/],
  }; // prettier-ignore
  it("finds one for a model whose attention option leaves all attention as it is", () => {
    expect(familyOf(switchModel({}, { attention: () => undefined }))).to.deep.equal(familyOf(switchModel({})));
  });

  for (const [what, [model, says]] of Object.entries(odd))
    it(`says why there is no family for ${what}`, () => expect(() => familyOf(model())).to.throw(RangeError, says));
});
