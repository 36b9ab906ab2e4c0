import type { VariedModel } from "../../train/variant.ts";
import { bits, column, dropped, saved } from "../claim.ts";
import type { Claim } from "../claim.ts";
import { trained } from "../settings.ts";

const by = (model: Partial<VariedModel>) =>
  trained({ text: "moby-dick", model: { router: "switch", jitter: 0, ...model }, training: { steps: 300 } });

export const claim: Claim = {
  number: 9,
  title: "Exploration: argmax, sampling, input dropout, input jitter",
  source: "Fedus et al. 2021, arXiv:2101.03961, appendix C, table 11; contradicted by Zoph et al. 2022, arXiv:2202.08906",
  published: [
    "negative log perplexity: argmax −1.471; sampled from the softmax −1.570; input dropout −1.480; input jitter −1.468",
    "ST-MoE: jitter −1.777 against −1.755 without it: harmful",
  ],
  setting:
    "The small model on Moby-Dick, 300 steps. Jitter multiplies the router's input by numbers from 0.99 to 1.01; dropout drops a tenth of it.",
  limits: "Differences of 0.003 nats, which parted jitter from argmax, would need hundreds of seeds.",
  seeds: 5,
  arms: [
    { name: "argmax", settings: by({}) },
    { name: "sampling", settings: by({ variant: { temperature: 1 } }) },
    { name: "input dropout", settings: by({ variant: { inputDropout: 0.1 } }) },
    { name: "input jitter", settings: by({ jitter: 0.01 }) },
  ],
  columns: [bits, column("training", "training"), dropped],
  comparisons: [
    {
      name: "argmax saves over sampling",
      unit: "bits per byte",
      published: { direction: 1, text: "+0.099 nats" },
      expected: "same direction",
      why: "A byte that goes to an expert at random teaches all of them the same.",
      of: saved("bits", "sampling", "argmax"),
    },
    {
      name: "argmax saves over input dropout",
      unit: "bits per byte",
      published: { direction: 1, text: "+0.009 nats" },
      expected: "not resolvable at this size",
      why: "The effect is smaller than what seeds differ by.",
      of: saved("bits", "input dropout", "argmax"),
    },
    {
      name: "input jitter saves over argmax",
      unit: "bits per byte",
      published: { direction: 1, text: "+0.003 nats (Switch); −0.022 (ST-MoE)" },
      expected: "not resolvable at this size",
      why: "A hundredth of noise changes few choices.",
      of: saved("bits", "argmax", "input jitter"),
    },
  ],
};
