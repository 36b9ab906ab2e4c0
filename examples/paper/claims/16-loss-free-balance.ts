import type { VariedModel } from "../../train/variant.ts";
import { bits, column, dropped, language, maxVio, saved } from "../claim.ts";
import type { Claim } from "../claim.ts";
import { trained } from "../settings.ts";

const by = (model: Partial<VariedModel>) => trained({ model, training: { steps: 200 } });
const withLoss = (alpha: number) => by({ router: "top-k", alpha, variant: { choices: 1 } });
const free = (biasRate: number) => by({ router: "loss-free", variant: { biasRate } });

export const claim: Claim = {
  number: 16,
  title: "Loss-free balance against the balance loss",
  source: "Wang et al. 2024, arXiv:2408.15664 (values as quoted from its first version)",
  published: [
    "perplexity and MaxVio, 1B: loss 9.56, 0.72; loss-free 9.50, 0.04; 3B: 7.97, 0.52 against 7.92, 0.04",
    "step of the bias 0.001: 9.50, 0.044",
  ],
  setting: "The small model, top-1 without noise, 200 steps. MaxVio of all bytes of the last quarter together, before capacity.",
  limits:
    "A bias that moves by 0.001 a step can move by 0.2 in the whole training; so a step of 0.01 is run too, and the paper's loss " +
    "weight of 0.001 beside Switch's 0.01.",
  seeds: 5,
  arms: [
    { name: "neither", settings: withLoss(0) },
    { name: "loss 0.001", settings: withLoss(0.001) },
    { name: "loss 0.01", settings: withLoss(0.01) },
    { name: "loss-free, step 0.001", settings: free(0.001) },
    { name: "loss-free, step 0.01", settings: free(0.01) },
  ],
  columns: [bits, maxVio, column("MaxVio of a batch", "maxVioBatch", 2), dropped, language],
  comparisons: [
    {
      name: "loss-free (0.01) lowers MaxVio, against the loss at 0.001",
      unit: "MaxVio",
      published: { direction: 1, text: "0.72 to 0.04" },
      expected: "same direction",
      why: "The bias acts on the choice itself, every step, whatever the loss is doing.",
      digits: 2,
      of: saved("maxVio", "loss 0.001", "loss-free, step 0.01"),
    },
    {
      name: "loss-free (0.01) lowers MaxVio, against the loss at 0.01",
      unit: "MaxVio",
      published: { direction: 1, text: "0.72 to 0.04" },
      expected: "same direction",
      why: "The same, but a stronger loss is already near even.",
      digits: 2,
      of: saved("maxVio", "loss 0.01", "loss-free, step 0.01"),
    },
    {
      name: "loss-free (0.001) lowers MaxVio, against neither",
      unit: "MaxVio",
      published: { direction: 1, text: "not measured" },
      expected: "same direction",
      why: "0.2 is a fifth of the way that probabilities can move.",
      digits: 2,
      of: saved("maxVio", "neither", "loss-free, step 0.001"),
    },
    {
      name: "loss-free (0.01) saves over the loss at 0.01",
      unit: "bits per byte",
      published: { direction: 1, text: "ln(9.56 / 9.50) = 0.006 nats" },
      expected: "not resolvable at this size",
      why: "0.006 nats.",
      of: saved("bits", "loss 0.01", "loss-free, step 0.01"),
    },
  ],
};
