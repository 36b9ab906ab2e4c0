import { armsInBoth, changesOf, spans } from "../arms.ts";
import { bitsOfEither, column, dropped, gained, perplexity, saved } from "../claim.ts";
import type { Claim } from "../claim.ts";

const plain = { router: "switch", jitter: 0 } as const;
const policies = {
  argmax: plain,
  sampling: { ...plain, variant: { temperature: 1 } },
  "input dropout": { ...plain, variant: { inputDropout: 0.1 } },
  "input jitter": { ...plain, jitter: 0.01 },
};

export const claim: Claim = {
  number: 9,
  title: "Exploration: argmax, sampling, input dropout, input jitter",
  source: "Fedus et al. 2021, arXiv:2101.03961, appendix C, table 11; contradicted by Zoph et al. 2022, arXiv:2202.08906",
  published: [
    "negative log perplexity: argmax −1.471; sampled from the softmax −1.570; input dropout −1.480; input jitter −1.468",
    "ST-MoE: jitter −1.777 against −1.755 without it: harmful",
  ],
  setting:
    "The small models on Moby-Dick, one that fills in spans as in the paper and one that predicts bytes, 300 steps. Jitter " +
    "multiplies the router's input by numbers from 0.99 to 1.01; dropout drops a tenth of it.",
  limits: "Differences of 0.003 nats, which parted jitter from argmax, would need hundreds of seeds.",
  seeds: 5,
  arms: armsInBoth(changesOf(policies, { text: "moby-dick", training: { steps: 300 } })),
  columns: [perplexity, bitsOfEither, column("training", "training"), dropped],
  comparisons: [
    {
      name: "filling spans, argmax gains over sampling",
      unit: "nats per token",
      published: { direction: 1, text: "+0.099 nats" },
      expected: "same direction",
      why:
        "In the causal model, which was run before, sampling cost 0.067 bits. Here experts bring nothing to lose, but two stacks " +
        "pass their tokens through experts that were drawn " +
        "and, when scored, through those that were not.",
      of: gained("nats", spans("sampling"), spans("argmax")),
    },
    {
      name: "filling spans, argmax gains over input dropout",
      unit: "nats per token",
      published: { direction: 1, text: "+0.009 nats" },
      expected: "not resolvable at this size",
      why: "The effect is smaller than what seeds differ by.",
      of: gained("nats", spans("input dropout"), spans("argmax")),
    },
    {
      name: "filling spans, input jitter gains over argmax",
      unit: "nats per token",
      published: { direction: 1, text: "+0.003 nats (Switch); −0.022 (ST-MoE)" },
      expected: "not resolvable at this size",
      why: "A hundredth of noise changes few choices.",
      of: gained("nats", spans("argmax"), spans("input jitter")),
    },
    {
      name: "predicting bytes, argmax saves over sampling",
      unit: "bits per byte",
      published: { direction: 1, text: "+0.099 nats" },
      expected: "same direction",
      why: "A byte that goes to an expert at random teaches all of them the same.",
      of: saved("bits", "sampling", "argmax"),
    },
    {
      name: "predicting bytes, argmax saves over input dropout",
      unit: "bits per byte",
      published: { direction: 1, text: "+0.009 nats" },
      expected: "not resolvable at this size",
      why: "The effect is smaller than what seeds differ by.",
      of: saved("bits", "input dropout", "argmax"),
    },
    {
      name: "predicting bytes, input jitter saves over argmax",
      unit: "bits per byte",
      published: { direction: 1, text: "+0.003 nats (Switch); −0.022 (ST-MoE)" },
      expected: "not resolvable at this size",
      why: "A hundredth of noise changes few choices.",
      of: saved("bits", "argmax", "input jitter"),
    },
  ],
};
