/**
 * Mixtral, OLMoE, Qwen2-MoE and Qwen3-MoE: the `DecoderLanguageModel` of a config, and the names of its tensors in a checkpoint. V vocabulary, D
 * width, F hidden width, E experts.
 */
import type { Key } from "../autograd/random.ts";
import { FeedForwardExperts } from "../moe/experts.ts";
import { MoE } from "../moe/moeLayer.ts";
import { TopKRouter } from "../moe/topKRouter.ts";
import { DenseFeedForward } from "../nn/feedForward.ts";
import type { FeedForward } from "../nn/feedForward.ts";
import { DecoderLanguageModel } from "../nn/languageModel.ts";
import { Linear } from "../nn/linear.ts";
import type { Init, Module } from "../nn/module.ts";
import { allLayers } from "./decoderConfig.ts";
import type { DecoderConfig } from "./decoderConfig.ts";
import type { FloatDType } from "./stored.ts";
import type { Row } from "./table.ts";
import { fusedExperts, joinedVectors, perExpert, same, transposed } from "./table.ts";

/** A model of the config, weights as `random` draws them. */
export function buildDecoder(
  config: DecoderConfig,
  { random, dtype }: { readonly random: Key; readonly dtype: FloatDType },
): DecoderLanguageModel {
  const { vocabulary, width, layers, heads, keyValueHeads, headWidth, hidden, window, theta, normEps, queryKeyNorm, clip, dropout, tied } =
    config;
  return new DecoderLanguageModel({
    vocabulary,
    width,
    layers,
    heads,
    keyValueHeads,
    headWidth,
    window,
    theta,
    normEps,
    queryKeyNorm,
    clip,
    dropout,
    tied,
    ...(hidden > 0 && { hidden }),
    positions: "rotary",
    norm: "rms",
    kind: "swiglu",
    attentionBias: config.bias,
    feedForward: (layer, init) => (config.sparse.includes(layer) ? sparseLayer(config, init) : undefined),
    random,
    dtype,
  });
}

function sparseLayer(
  { width, experts, choices, expertHidden, sharedHidden, renormalised, balance }: DecoderConfig,
  { random, dtype = "float32" }: Init,
): FeedForward & Module {
  const init = (part: string): Init => ({ random: random.at(part), dtype });
  const dense = { kind: "swiglu", bias: false } as const;
  return new MoE({
    router: new TopKRouter({ experts, width, choices, balance, normalise: renormalised ? "after" : "before", ...init("router") }),
    experts: new FeedForwardExperts({ experts, width, hidden: expertHidden, ...dense, ...init("experts") }),
    ...(sharedHidden > 0 && {
      shared: new DenseFeedForward(width, sharedHidden, { ...dense, ...init("shared") }),
      sharedGate: new Linear(width, 1, { bias: false, ...init("sharedGate") }),
    }),
    trainingCapacityFactor: "dropless",
  });
}

// Names

/** Buffers of earlier versions of transformers, which hold nothing that was learnt. */
export const ignoredByDecoders = /\.rotary_emb\.inv_freq$/;

/** The tensors of a checkpoint of this family. */
export function decoderTable(config: DecoderConfig): Row[] {
  const { vocabulary, width, layers, tied } = config;
  const embedding = ["model.embed_tokens.weight", ...(tied ? ["lm_head.weight"] : [])];
  return [
    same("embedding.weight", [vocabulary, width], ...embedding),
    ...allLayers(layers).flatMap((i) => layerRows(config, i)),
    same("norm.weight", [width], "model.norm.weight"),
    ...(tied ? [] : [transposed("head.weight", width, ["lm_head.weight", vocabulary])]),
  ];
}

function layerRows(config: DecoderConfig, layer: number): Row[] {
  const { width } = config;
  const [ours, theirs] = [`blocks.${layer}`, `model.layers.${layer}`];
  return [
    same(`${ours}.attentionNorm.weight`, [width], `${theirs}.input_layernorm.weight`),
    ...attentionRows(config, `${ours}.attention`, `${theirs}.self_attn`),
    same(`${ours}.feedForwardNorm.weight`, [width], `${theirs}.post_attention_layernorm.weight`),
    ...(config.sparse.includes(layer)
      ? sparseRows(config, ours, theirs)
      : gatedRows(`${ours}.feedForward`, `${theirs}.mlp`, width, config.hidden)),
  ];
}

function attentionRows({ width, heads, keyValueHeads, headWidth, bias, queryKeyNorm }: DecoderConfig, ours: string, theirs: string): Row[] {
  const [queries, groups] = [heads * headWidth, keyValueHeads * headWidth];
  const inputs = (what: string) => [[`${theirs}.q_proj.${what}`, queries], [`${theirs}.k_proj.${what}`, groups], [`${theirs}.v_proj.${what}`, groups]] as const; // prettier-ignore
  const norms = queryKeyNorm === "head" ? [headWidth, headWidth] : [queries, groups];
  return [
    transposed(`${ours}.projection.weight`, width, ...inputs("weight")),
    ...(bias ? [joinedVectors(`${ours}.projection.bias`, ...inputs("bias"))] : []),
    ...(queryKeyNorm ? [same(`${ours}.queryNorm.weight`, [norms[0]], `${theirs}.q_norm.weight`), same(`${ours}.keyNorm.weight`, [norms[1]], `${theirs}.k_norm.weight`)] : []), // prettier-ignore
    transposed(`${ours}.output.weight`, queries, [`${theirs}.o_proj.weight`, width]),
    ...(bias === true ? [same(`${ours}.output.bias`, [width], `${theirs}.o_proj.bias`)] : []),
  ];
}

function gatedRows(ours: string, theirs: string, width: number, hidden: number): Row[] {
  return [
    transposed(`${ours}.hidden.weight`, width, [`${theirs}.gate_proj.weight`, hidden]),
    transposed(`${ours}.factor.weight`, width, [`${theirs}.up_proj.weight`, hidden]),
    transposed(`${ours}.output.weight`, hidden, [`${theirs}.down_proj.weight`, width]),
  ];
}

/** What the families call the parts of a sparse layer: gate, up and down of an expert. */
const sparseNames = {
  mixtral: { mlp: "block_sparse_moe", parts: ["w1", "w3", "w2"] },
  others: { mlp: "mlp", parts: ["gate_proj", "up_proj", "down_proj"] },
} as const;

function sparseRows(config: DecoderConfig, layer: string, theirLayer: string): Row[] {
  const { family, width, experts, expertHidden: F, sharedHidden } = config;
  const { mlp, parts } = family === "mixtral" ? sparseNames.mixtral : sparseNames.others;
  const [ours, theirs] = [`${layer}.feedForward`, `${theirLayer}.${mlp}`];
  // transformers 5 has Mixtral's sparse layer under the others' name, in memory and sometimes on disk.
  const either = (name: string): string[] => [...new Set([`${theirs}.${name}`, `${theirLayer}.mlp.${name}`])];
  const each = (parameter: string, part: string, from: number, to: number): Row =>
    perExpert(`${ours}.experts.${parameter}`, [experts, from, to], (e) => `${theirs}.experts.${e}.${part}.weight`);
  const gateUp = either("experts.gate_up_proj");
  const half = (from: number, to: number) => [fusedExperts(gateUp, [experts, 2 * F, width], [from, to])];
  return [
    transposed(`${ours}.router.projection.weight`, width, [either("gate.weight"), experts]),
    { ...each("hidden", parts[0], width, F), fused: half(0, F) }, // the gate's half comes first
    { ...each("factor", parts[1], width, F), fused: half(F, 2 * F) },
    { ...each("output", parts[2], F, width), fused: [fusedExperts(either("experts.down_proj"), [experts, width, F])] },
    ...(sharedHidden > 0 ? sharedRows(ours, theirs, width, sharedHidden) : []),
  ];
}

function sharedRows(ours: string, theirs: string, width: number, hidden: number): Row[] {
  return [
    ...gatedRows(`${ours}.shared`, `${theirs}.shared_expert`, width, hidden),
    transposed(`${ours}.sharedGate.weight`, width, [`${theirs}.shared_expert_gate.weight`, 1]),
  ];
}
