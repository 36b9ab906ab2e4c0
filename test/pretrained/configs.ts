/** Random small configs of every family, as plain data, and checkpoints that fit them: names and shapes come from the table, numbers from a key. */
import fc from "fast-check";
import { concat, cpuBackend, key, random } from "switchyard-moe";
import type { DType, Tensor } from "switchyard-moe";
import type { DecoderConfig, EncoderDecoderConfig, ModelConfig } from "switchyard-moe/pretrained";
import { sparseLayers } from "../../src/pretrained/encoderDecoderConfig.ts";
import { formatOf, tableOf } from "../../src/pretrained/familyOf.ts";

const small = fc.integer({ min: 1, max: 3 });
const share = fc.constantFrom(0, 0.1);
const coefficient = fc.constantFrom(0, 0.001, 0.02);

const common = { vocabulary: fc.integer({ min: 8, max: 12 }), heads: small, dropout: share, normEps: fc.constantFrom(1e-6, 1e-5), tied: fc.boolean() }; // prettier-ignore

const encoderDecoders = fc.record({
  ...common,
  width: fc.integer({ min: 1, max: 6 }),
  headWidth: small,
  hidden: fc.integer({ min: 1, max: 5 }),
  layers: fc.record({ encoder: small, decoder: small }),
  buckets: fc.constantFrom(8, 32),
  maxDistance: fc.constantFrom(20, 128),
  padId: fc.constantFrom(0, 3),
  endId: fc.constantFrom(1, 2),
  startId: fc.constantFrom(0, 3),
});

const t5: fc.Arbitrary<EncoderDecoderConfig> = fc
  .tuple(encoderDecoders, fc.constantFrom("relu", "gelu", "geluTanh", "silu", "reglu", "gegluTanh", "swiglu"))
  .map(([config, kind]) => ({ family: "t5", ...config, kind, sparse: null }));

const switchTransformers: fc.Arbitrary<EncoderDecoderConfig> = fc
  .tuple(
    encoderDecoders,
    fc.constantFrom("relu", "gelu", "geluTanh", "silu"),
    fc.record({
      experts: fc.integer({ min: 1, max: 12 }),
      expertCapacity: fc.constantFrom(null, 1, 64),
      dropped: fc.constantFrom("zero", "gatedInput"),
      routePadding: fc.boolean(),
      routerBias: fc.boolean(),
      jitter: fc.constantFrom(0, 0.01),
      balance: coefficient,
      zLoss: coefficient,
    }),
    fc.nat(99),
    fc.nat(99),
  )
  .map(([config, kind, sparse, e, d]) => {
    const placed = (layers: number, count: number): number[] => sparseLayers(layers, count % (layers + 1));
    const places = { encoder: placed(config.layers.encoder, e), decoder: placed(config.layers.decoder, d) };
    // A model without any sparse layer is a T5; the last one of the encoder makes it a Switch.
    if (places.encoder.length + places.decoder.length === 0) places.encoder = sparseLayers(config.layers.encoder, config.layers.encoder);
    return { family: "switch_transformers", ...config, kind, sparse: { ...sparse, sparse: places } };
  });

const decoders = fc
  .record({
    ...common,
    groups: small,
    perGroup: fc.integer({ min: 1, max: 2 }),
    layers: small,
    half: small,
    expertHidden: fc.integer({ min: 1, max: 5 }),
    experts: fc.integer({ min: 1, max: 12 }),
    choices: fc.nat(99),
    theta: fc.constantFrom(10000, 1e6),
    balance: coefficient,
    endId: fc.constantFrom(null, 2),
    context: fc.constantFrom(64, 4096),
  })
  .map(({ groups, perGroup, half, choices, ...config }) => ({
    ...config,
    heads: groups * perGroup,
    keyValueHeads: groups,
    headWidth: 2 * half,
    width: groups * perGroup * 2 * half,
    choices: 1 + (choices % config.experts),
  }));

const allOf = (layers: number): number[] => Array.from({ length: layers }, (_, i) => i);
const plain = { hidden: 0, sharedHidden: 0, queryKeyNorm: null, clip: null, window: null, bias: false } as const;

const mixtral: fc.Arbitrary<DecoderConfig> = fc
  .tuple(decoders, fc.constantFrom(null, 4), fc.boolean())
  .map(([config, window, wide]) => ({ ...plain, ...config, ...(wide && { width: config.width + 2 }), family: "mixtral", window, renormalised: true, sparse: allOf(config.layers) })); // prettier-ignore

const olmoe: fc.Arbitrary<DecoderConfig> = fc
  .tuple(decoders, fc.boolean(), fc.boolean(), fc.constantFrom(null, 8))
  .map(([config, bias, renormalised, clip]) => ({ ...plain, ...config, family: "olmoe", queryKeyNorm: "width", bias, renormalised, clip, sparse: allOf(config.layers) })); // prettier-ignore

/** At least the last layer is sparse. */
const someOf = (layers: number, dense: readonly boolean[]): number[] => allOf(layers).filter((i) => i === layers - 1 || !dense[i]);
const denseLayers = fc.array(fc.boolean(), { minLength: 3, maxLength: 3 });
const hiddenOf = (sparse: readonly number[], layers: number): number => (sparse.length < layers ? 5 : 0);

const qwen2: fc.Arbitrary<DecoderConfig> = fc
  .tuple(decoders, denseLayers, fc.boolean(), fc.boolean(), small)
  .map(([config, dense, bias, renormalised, sharedHidden]) => {
    const sparse = someOf(config.layers, dense);
    return { ...plain, ...config, family: "qwen2_moe", hidden: hiddenOf(sparse, config.layers), sparse, sharedHidden, renormalised, bias: bias && "inputs" }; // prettier-ignore
  });

const qwen3: fc.Arbitrary<DecoderConfig> = fc
  .tuple(decoders, denseLayers, fc.boolean(), fc.boolean(), fc.boolean())
  .map(([config, dense, bias, renormalised, wide]) => {
    const sparse = someOf(config.layers, dense);
    return { ...plain, ...config, ...(wide && { width: config.width + 2 }), family: "qwen3_moe", hidden: hiddenOf(sparse, config.layers), sparse, queryKeyNorm: "head", renormalised, bias }; // prettier-ignore
  });

export const configs: Readonly<Record<ModelConfig["family"], fc.Arbitrary<ModelConfig>>> = {
  switch_transformers: switchTransformers,
  t5,
  mixtral,
  olmoe,
  qwen2_moe: qwen2,
  qwen3_moe: qwen3,
};

/** config.json and tensors of a checkpoint of the config: each of Hugging Face's names with numbers of its own. */
export function randomCheckpoint(
  config: ModelConfig,
  dtype: DType,
  seed = 1,
): { config: Record<string, unknown>; tensors: Map<string, Tensor> } {
  const tensors = new Map<string, Tensor>();
  for (const { parts } of tableOf(config))
    for (const { names, shape } of parts)
      tensors.set(
        names[0],
        random.normal(shape, key(seed).at(names[0]), { dtype: "float64", std: 0.3, backend: cpuBackend() }).cast(dtype),
      );
  return { config: formatOf(config), tensors };
}

/** The same checkpoint with the experts of each layer in one tensor, as transformers 5 has them. Made by its own arithmetic, not by the table. */
export function fused(tensors: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  const out = new Map(tensors);
  const layers = new Set([...tensors.keys()].flatMap((name) => /^(model\.layers\.\d+)\..*\.experts\.0\./.exec(name)?.[1] ?? []));
  for (const layer of layers) {
    const own = [...tensors].filter(([name]) => name.startsWith(`${layer}.`) && /\.experts\.\d+\./.test(name));
    const find = (expert: number, ...parts: string[]): Tensor =>
      own.find(([name]) => parts.some((part) => name.endsWith(`.experts.${expert}.${part}.weight`)))![1];
    const count = 1 + Math.max(...own.map(([name]) => Number(/\.experts\.(\d+)\./.exec(name)?.[1])));
    const each = allOf(count);
    const gateUp = each.map((e) => [find(e, "gate_proj", "w1"), find(e, "up_proj", "w3")]).map(([gate, up]) => concat([gate, up], 0));
    for (const [name] of own) out.delete(name);
    out.set(`${layer}.mlp.experts.gate_up_proj`, concat(gateUp.map((x) => x.unsqueeze(0)), 0)); // prettier-ignore
    out.set(`${layer}.mlp.experts.down_proj`, concat(each.map((e) => find(e, "down_proj", "w2").unsqueeze(0)), 0)); // prettier-ignore
    const router = out.get(`${layer}.block_sparse_moe.gate.weight`);
    if (router) {
      out.delete(`${layer}.block_sparse_moe.gate.weight`);
      out.set(`${layer}.mlp.gate.weight`, router);
    }
  }
  return out;
}
