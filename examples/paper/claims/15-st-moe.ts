import type { VariedModel } from "../../train/variant.ts";
import { armsInBoth, spans } from "../arms.ts";
import { bitsOfEither, column, gained, perplexity, saved, value } from "../claim.ts";
import type { Claim } from "../claim.ts";
import type { Change } from "../settings.ts";
import { trained } from "../settings.ts";

const geglu = { kind: "geglu" } as const;
const by = (model: Partial<VariedModel>, more: Pick<Change, "normScale"> = {}): Change => ({
  text: "moby-dick",
  model: { router: "switch", jitter: 0, variant: geglu, ...model },
  training: { steps: 200 },
  ...more,
});
const changes = {
  baseline: by({}),
  "no GEGLU": by({ hidden: 96, variant: {} }),
  "no RMS scale": by({}, { normScale: "held" }),
  "jitter 0.01": by({ jitter: 0.01 }),
  "dropout 0.1": by({ dropout: 0.1, expertDropout: 0.1 }),
  "z-loss 0.001": by({ zLoss: 0.001 }),
};

export const claim: Claim = {
  number: 15,
  title: "z-loss; what gating, RMS scale, jitter and dropout each do; entropy of routing in encoder and decoder",
  source: "Zoph et al. 2022, arXiv:2202.08906 (ST-MoE); values as two notes on the paper give them",
  published: [
    "quality, stable runs: baseline −1.755, 4 of 6; no GEGLU −1.849; no RMS scale −2.020; jitter −1.777; dropout 0.1 −1.822; z-loss " +
      "−1.741; all 3 of 3 but the baseline",
    "entropy of routing in nats (even: 3.47): encoder 2.2 falling to 1.2; decoder 3.4 in all layers",
  ],
  setting:
    "The small models on Moby-Dick, 200 steps, one that fills in spans as in the paper and one that predicts bytes, their experts " +
    "GEGLU as the paper's; without gates they are wider (96 instead of " +
    "64), so that FLOPs are equal. Top-1 instead of the paper's top-2, since jitter belongs to the Switch router. Entropies in an " +
    "encoder-decoder of two blocks in each stack, on spans of eight " +
    "scripts, 150 steps, of the expert given the byte.",
  limits:
    "Instability, the paper's subject, does not appear in two blocks: that a run is stable shows nothing here. What remains is the " +
    "price of each remedy, and what z-loss does to logits.",
  seeds: 5,
  arms: [
    ...armsInBoth(changes),
    {
      name: "encoder-decoder",
      settings: trained({ model: { architecture: "encoder-decoder", layers: 2, router: "switch" }, training: { steps: 150 } }),
    },
  ],
  columns: [
    perplexity,
    bitsOfEither,
    column("log-sum-exp of the logits", "logSumExp", 2),
    column("largest gradient norm", "gradNormMost", 2),
    column("diverged", "diverged", 0),
    column("entropy given the byte, nats", "entropyGivenByte", 2),
  ],
  comparisons: [
    {
      name: "filling spans, z-loss gains over the baseline",
      unit: "nats per token",
      published: { direction: 1, text: "+0.014 nats" },
      expected: "not resolvable at this size",
      why: "In the causal model, which was run before, it was worth 0.006 bits, too little to be told from nothing.",
      of: gained("nats", spans("baseline"), spans("z-loss 0.001")),
    },
    {
      name: "filling spans, z-loss makes the router's logits smaller",
      unit: "log-sum-exp",
      published: { direction: 1, text: "what it is" },
      expected: "same direction",
      why: "It is the square of what is measured.",
      digits: 2,
      of: saved("logSumExp", spans("baseline"), spans("z-loss 0.001")),
    },
    {
      name: "filling spans, GEGLU gains over no gates at equal FLOPs",
      unit: "nats per token",
      published: { direction: 1, text: "+0.094 nats" },
      expected: "not resolvable at this size",
      why: "What the feed-forward layer is like hardly matters in so short a training of the encoder-decoder (claim 5).",
      of: gained("nats", spans("no GEGLU"), spans("baseline")),
    },
    {
      name: "filling spans, the RMS scale gains over none",
      unit: "nats per token",
      published: { direction: 1, text: "+0.265 nats" },
      expected: "same direction",
      why: "As in the causal model, where it was worth 0.013 bits: the last norm of the decoder stands before a head of its own.",
      of: gained("nats", spans("no RMS scale"), spans("baseline")),
    },
    {
      name: "filling spans, jitter gains over none",
      unit: "nats per token",
      published: { direction: -1, text: "−0.022 nats; +0.003 in Switch's table 11" },
      expected: "not resolvable at this size",
      why: "As in claim 9.",
      of: gained("nats", spans("baseline"), spans("jitter 0.01")),
    },
    {
      name: "filling spans, dropout 0.1 gains over none",
      unit: "nats per token",
      published: { direction: -1, text: "−0.067 nats" },
      expected: "same direction",
      why: "400 thousand bytes, each seen about once: there is nothing to over-fit, and T5 drops in more places.",
      of: gained("nats", spans("baseline"), spans("dropout 0.1")),
    },
    {
      name: "predicting bytes, z-loss saves over the baseline",
      unit: "bits per byte",
      published: { direction: 1, text: "+0.014 nats" },
      expected: "not resolvable at this size",
      why: "0.014 nats are below what so few seeds tell apart.",
      of: saved("bits", "baseline", "z-loss 0.001"),
    },
    {
      name: "predicting bytes, z-loss makes the router's logits smaller",
      unit: "log-sum-exp",
      published: { direction: 1, text: "what it is" },
      expected: "same direction",
      why: "It is the square of what is measured.",
      digits: 2,
      of: saved("logSumExp", "baseline", "z-loss 0.001"),
    },
    {
      name: "predicting bytes, GEGLU saves over no gates at equal FLOPs",
      unit: "bits per byte",
      published: { direction: 1, text: "+0.094 nats" },
      expected: "not resolvable at this size",
      why: "In a short training the wider layer without gates learns as fast.",
      of: saved("bits", "no GEGLU", "baseline"),
    },
    {
      name: "predicting bytes, the RMS scale saves over none",
      unit: "bits per byte",
      published: { direction: 1, text: "+0.265 nats" },
      expected: "not resolvable at this size",
      why: "The next matrix can learn the scale; only the last norm stands before a head of its own.",
      of: saved("bits", "no RMS scale", "baseline"),
    },
    {
      name: "predicting bytes, jitter saves over none",
      unit: "bits per byte",
      published: { direction: -1, text: "−0.022 nats; +0.003 in Switch's table 11" },
      expected: "not resolvable at this size",
      why: "As in claim 9.",
      of: saved("bits", "baseline", "jitter 0.01"),
    },
    {
      name: "predicting bytes, dropout 0.1 saves over none",
      unit: "bits per byte",
      published: { direction: -1, text: "−0.067 nats" },
      expected: "same direction",
      why: "102 thousand bytes, each seen about once: there is nothing to over-fit.",
      of: saved("bits", "baseline", "dropout 0.1"),
    },
    {
      name: "entropy of routing is higher in the decoder than in the encoder",
      unit: "nats",
      published: { direction: 1, text: "3.4 against 1.2 to 2.2" },
      expected: "not resolvable at this size",
      why: "The decoder reads the spans of 32 bytes, some eight tokens, and its router sees mostly the byte itself, as the encoder's does.",
      digits: 2,
      of: (seed) => value(seed("encoder-decoder"), "decoder.entropyGivenByte") - value(seed("encoder-decoder"), "encoder.entropyGivenByte"),
    },
  ],
};
