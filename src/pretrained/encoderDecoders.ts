/**
 * T5 and the Switch Transformer: the `EncoderDecoder` of a config, and the names of its tensors in a checkpoint. V vocabulary, D width, F hidden
 * width, E experts.
 */
import type { Key } from "../autograd/random.ts";
import { FeedForwardExperts } from "../moe/experts.ts";
import { MoE } from "../moe/moeLayer.ts";
import { SwitchRouter } from "../moe/switchRouter.ts";
import type { StackName } from "../nn/encoderDecoder.ts";
import { EncoderDecoder } from "../nn/encoderDecoder.ts";
import { isGated } from "../nn/feedForward.ts";
import type { Init } from "../nn/module.ts";
import type { EncoderDecoderConfig, SwitchConfig } from "./encoderDecoderConfig.ts";
import type { FloatDType } from "./stored.ts";
import type { Row } from "./table.ts";
import { perExpert, same, transposed } from "./table.ts";

/** A model of the config, weights as `random` draws them. */
export function buildEncoderDecoder(
  config: EncoderDecoderConfig,
  { random, dtype }: { readonly random: Key; readonly dtype: FloatDType },
): EncoderDecoder {
  const { vocabulary, width, headWidth, hidden, heads, layers, buckets, maxDistance, dropout, normEps, kind, tied, startId, sparse } =
    config;
  return new EncoderDecoder({
    vocabulary,
    width,
    headWidth,
    hidden,
    heads,
    layers,
    buckets,
    maxDistance,
    dropout,
    normEps,
    kind,
    tied,
    ...(sparse && { routePadding: sparse.routePadding }),
    feedForward: (stack, layer, init) => (sparse?.sparse[stack].includes(layer) ? sparseLayer(config, sparse, init) : undefined),
    start: startId,
    random,
    dtype,
  });
}

function sparseLayer(
  { width, hidden, kind, dropout }: EncoderDecoderConfig,
  sparse: SwitchConfig,
  { random, dtype = "float32" }: Init,
): MoE {
  const { experts, jitter, balance, zLoss, routerBias, expertCapacity, dropped } = sparse;
  const init = (part: string): Init => ({ random: random.at(part), dtype });
  return new MoE({
    router: new SwitchRouter({ experts, width, jitter, balance, zLoss, bias: routerBias, group: "sequence", ...init("router") }),
    experts: new FeedForwardExperts({ experts, width, hidden, kind, dropout, bias: false, ...init("experts") }),
    dropped,
    ...(expertCapacity === null ? { trainingCapacityFactor: "dropless" } : { expertCapacity }),
  });
}

// Names

/** A bias that T5's first files have and no model uses. */
export const ignoredByEncoderDecoders = /^decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight$/;

/** The tensors of a checkpoint of this family. */
export function encoderDecoderTable(config: EncoderDecoderConfig): Row[] {
  const { vocabulary, width, tied } = config;
  const tables = ["shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", ...(tied ? ["lm_head.weight"] : [])];
  return [
    same("embedding.weight", [vocabulary, width], ...tables),
    ...stackRows(config, "encoder"),
    ...stackRows(config, "decoder"),
    ...(tied ? [] : [transposed("head.weight", width, ["lm_head.weight", vocabulary])]),
  ];
}

function stackRows(config: EncoderDecoderConfig, stack: StackName): Row[] {
  const { width, buckets, heads, layers } = config;
  const bias = `${stack}.block.0.layer.0.SelfAttention.relative_attention_bias.weight`;
  return [
    same(`${stack}.positionBias.weight`, [buckets, heads], bias),
    ...Array.from({ length: layers[stack] }, (_, i) => blockRows(config, stack, i)).flat(),
    same(`${stack}.norm.weight`, [width], `${stack}.final_layer_norm.weight`),
  ];
}

function blockRows(config: EncoderDecoderConfig, stack: StackName, layer: number): Row[] {
  const { width } = config;
  const [ours, theirs] = [`${stack}.blocks.${layer}`, `${stack}.block.${layer}.layer`];
  const cross = [
    same(`${ours}.crossAttentionNorm.weight`, [width], `${theirs}.1.layer_norm.weight`),
    ...attentionRows(config, `${ours}.crossAttention`, `${theirs}.1.EncDecAttention`),
  ];
  const last = `${theirs}.${stack === "decoder" ? 2 : 1}`;
  return [
    same(`${ours}.attentionNorm.weight`, [width], `${theirs}.0.layer_norm.weight`),
    ...attentionRows(config, `${ours}.attention`, `${theirs}.0.SelfAttention`),
    ...(stack === "decoder" ? cross : []),
    same(`${ours}.feedForwardNorm.weight`, [width], `${last}.layer_norm.weight`),
    ...(config.sparse?.sparse[stack].includes(layer)
      ? sparseRows(config, config.sparse, `${ours}.feedForward`, `${last}.mlp`)
      : denseRows(config, `${ours}.feedForward`, `${last}.${config.family === "t5" ? "DenseReluDense" : "mlp"}`)),
  ];
}

function attentionRows({ width, heads, headWidth }: EncoderDecoderConfig, ours: string, theirs: string): Row[] {
  const inner = heads * headWidth;
  return [
    transposed(
      `${ours}.projection.weight`,
      width,
      [`${theirs}.q.weight`, inner],
      [`${theirs}.k.weight`, inner],
      [`${theirs}.v.weight`, inner],
    ),
    transposed(`${ours}.output.weight`, inner, [`${theirs}.o.weight`, width]),
  ];
}

function denseRows({ width, hidden, kind }: EncoderDecoderConfig, ours: string, theirs: string): Row[] {
  const gated = isGated(kind);
  return [
    transposed(`${ours}.hidden.weight`, width, [`${theirs}.${gated ? "wi_0" : "wi"}.weight`, hidden]),
    ...(gated ? [transposed(`${ours}.factor.weight`, width, [`${theirs}.wi_1.weight`, hidden])] : []),
    transposed(`${ours}.output.weight`, hidden, [`${theirs}.wo.weight`, width]),
  ];
}

function sparseRows({ width, hidden }: EncoderDecoderConfig, { experts, routerBias }: SwitchConfig, ours: string, theirs: string): Row[] {
  const router = `${theirs}.router.classifier`;
  return [
    transposed(`${ours}.router.projection.weight`, width, [`${router}.weight`, experts]),
    ...(routerBias ? [same(`${ours}.router.projection.bias`, [experts], `${router}.bias`)] : []),
    perExpert(`${ours}.experts.hidden`, [experts, width, hidden], (e) => `${theirs}.experts.expert_${e}.wi.weight`),
    perExpert(`${ours}.experts.output`, [experts, hidden, width], (e) => `${theirs}.experts.expert_${e}.wo.weight`),
  ];
}
