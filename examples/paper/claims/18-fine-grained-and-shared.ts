import type { VariedModel } from "../../train/variant.ts";
import { bits, column, dropped, language, saved } from "../claim.ts";
import type { Claim } from "../claim.ts";
import { trained } from "../settings.ts";

const hidden = 128;
const by = (variant: VariedModel["variant"]) => trained({ model: { router: "top-k", hidden, ...(variant && { variant }) } });

export const claim: Claim = {
  number: 18,
  title: "Fine-grained and shared experts at equal compute",
  source: "Dai et al. 2024, arXiv:2401.06066 (DeepSeekMoE)",
  published: [
    "A model of 2B with fine-grained and shared experts equals GShard of 1.5 times its expert parameters and compute; each of the " +
      "two changes helps (figure 3, no numbers kept here).",
  ],
  setting:
    "The small model with a hidden width of 128 shared out among the experts of a byte: 2 of 8; 8 of 32, a quarter as wide; and 7 of " +
    "32 beside one that all " +
    "bytes visit. Compute is equal but for the routers; parameters too, but for the shared expert.",
  limits:
    "Experts of 16 hidden units are smaller than any that was published. Combinations of experts need bytes to be told apart by; 205 " +
    "thousand are few.",
  seeds: 5,
  arms: [
    { name: "dense", settings: trained({ model: { router: "dense", hidden } }) },
    { name: "2 of 8", settings: by(undefined) },
    { name: "8 of 32", settings: by({ choices: 8, finer: 4 }) },
    { name: "7 of 32 and a shared one", settings: by({ choices: 7, finer: 4, shared: true }) },
  ],
  columns: [bits, column("training", "training"), column("parameters, thousands", "parameters", 0, 1e-3), dropped, language],
  comparisons: [
    {
      name: "fine-grained and shared experts save over 2 of 8",
      unit: "bits per byte",
      published: { direction: 1, text: "equal to 1.5 times the experts" },
      expected: "not resolvable at this size",
      why: "Gates of eight choices are small at first, which slows the experts; the shared one makes up for some of it.",
      of: saved("bits", "2 of 8", "7 of 32 and a shared one"),
    },
    {
      name: "8 of 32 save over 2 of 8",
      unit: "bits per byte",
      published: { direction: 1, text: "finer is better" },
      expected: "not resolvable at this size",
      why: "The same.",
      of: saved("bits", "2 of 8", "8 of 32"),
    },
    {
      name: "a shared expert saves, among 32",
      unit: "bits per byte",
      published: { direction: 1, text: "shared is better" },
      expected: "same direction",
      why: "What all bytes need is learned at once, by an expert with a gate of 1.",
      of: saved("bits", "8 of 32", "7 of 32 and a shared one"),
    },
    {
      name: "2 of 8 save over dense",
      unit: "bits per byte",
      published: { direction: 1, text: "the base of all" },
      expected: "same direction",
      why: "As in claim 1.",
      of: saved("bits", "dense", "2 of 8"),
    },
  ],
};
