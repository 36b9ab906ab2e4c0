import { bits, dropped, language, maxVio, column, gained, saved } from "../claim.ts";
import type { Claim } from "../claim.ts";
import { trained } from "../settings.ts";

const at = (alpha: number, balanceScope: "batch" | "sequence") => trained({ model: { router: "switch", alpha, balanceScope } });

export const claim: Claim = {
  number: 17,
  title: "Balance over the whole batch against balance within each part of it",
  source: "Qiu et al. 2025, arXiv:2501.11873",
  published: [
    "No numbers kept here: with f over the global batch experts specialise and quality rises; within micro-batches each expert must " +
      "serve every domain.",
  ],
  setting:
    "The small model, alpha 0.01 and 0.1. A batch has sixteen sequences, two of each script; the loss is taken over the batch, or " +
    "over each sequence and averaged: the " +
    "smallest micro-batch, of one domain.",
  limits:
    "Domains are scripts, whose bytes hardly overlap: an extreme of what the paper's domains are. Quality differences of a hundredth " +
    "of a bit are not seen.",
  seeds: 5,
  arms: [
    { name: "batch, 0.01", settings: at(0.01, "batch") },
    { name: "sequence, 0.01", settings: at(0.01, "sequence") },
    { name: "batch, 0.1", settings: at(0.1, "batch") },
    { name: "sequence, 0.1", settings: at(0.1, "sequence") },
  ],
  columns: [bits, language, column("given the byte", "infoLanguageGivenByte"), maxVio, dropped],
  comparisons: [
    {
      name: "the expert tells more of the language with balance over the batch, alpha 0.01",
      unit: "bits of I(expert; language)",
      published: { direction: 1, text: "experts specialise" },
      expected: "same direction",
      why: "Within a sequence of one script an even load uses all experts for it.",
      digits: 2,
      of: gained("infoLanguage", "sequence, 0.01", "batch, 0.01"),
    },
    {
      name: "the same at alpha 0.1",
      unit: "bits of I(expert; language)",
      published: { direction: 1, text: "experts specialise" },
      expected: "same direction",
      why: "The same, stronger.",
      digits: 2,
      of: gained("infoLanguage", "sequence, 0.1", "batch, 0.1"),
    },
    {
      name: "balance over the batch saves, alpha 0.01",
      unit: "bits per byte",
      published: { direction: 1, text: "quality rises" },
      expected: "not resolvable at this size",
      why: "At 0.01 the loss is weak beside the cross-entropy of the first hundreds of steps.",
      of: saved("bits", "sequence, 0.01", "batch, 0.01"),
    },
    {
      name: "balance over the batch saves, alpha 0.1",
      unit: "bits per byte",
      published: { direction: 1, text: "quality rises" },
      expected: "same direction",
      why: "Every script shares every expert, so that eight experts are little more than one.",
      of: saved("bits", "sequence, 0.1", "batch, 0.1"),
    },
  ],
};
