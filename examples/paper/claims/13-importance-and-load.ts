import { bits, column, saved } from "../claim.ts";
import type { Claim } from "../claim.ts";
import { trained } from "../settings.ts";

const weights = [[0, 0], [0.2, 0], [0, 0.2], [0.1, 0.1], [0.01, 0.01], [1, 1]] as const; // prettier-ignore
const name = (importance: number, load: number): string => `${importance}, ${load}`;

export const claim: Claim = {
  number: 13,
  title: "Importance and load losses",
  source: "Shazeer et al. 2017, arXiv:1701.06538, table 6",
  published: [
    "weights of importance and load: perplexity, CV(importance), CV(load), largest over mean load",
    "0, 0: 39.8, 3.04, 3.01, 17.80; 0.2, 0: 35.6, 0.06, 0.17, 1.47; 0, 0.2: 35.7, 0.22, 0.04, 1.15",
    "0.1, 0.1: 35.6, 0.06, 0.05, 1.14; 0.01, 0.01: 35.7, 0.48, 0.11, 1.37; 1, 1: 35.7, 0.03, 0.02, 1.07",
  ],
  setting:
    "The small model with noisy top-2 gating over 8 experts of half the hidden width, 200 steps. Coefficients of variation on " +
    "held-out text, without noise, means over layers.",
  limits: "8 experts instead of 256: without a loss the most loaded can have at most 4 times the mean, not 18.",
  seeds: 5,
  arms: weights.map(([importance, load]) => ({
    name: name(importance, load),
    note: "importance, load",
    settings: trained({ model: { router: "noisy-top-k", variant: { importance, load } }, training: { steps: 200 } }),
  })),
  columns: [bits, column("CV(importance)", "cvImportance", 2), column("CV(load)", "cvLoad", 2), column("largest / mean", "maxOverMean", 2)],
  comparisons: [
    {
      name: "both losses at 0.1 lower CV(load), against none",
      unit: "CV",
      published: { direction: 1, text: "3.01 to 0.05" },
      expected: "same direction",
      why: "Very reproducible at any size: it is what the losses are.",
      digits: 2,
      of: saved("cvLoad", name(0, 0), name(0.1, 0.1)),
    },
    {
      name: "both losses at 0.1 save over none",
      unit: "bits per byte",
      published: { direction: 1, text: "ln(39.8 / 35.6) = 0.11 nats" },
      expected: "same direction",
      why: "Without them a few experts take most bytes, and capacity drops them.",
      of: saved("bits", name(0, 0), name(0.1, 0.1)),
    },
    {
      name: "the load loss alone evens the largest load more than the importance loss alone",
      unit: "largest over mean",
      published: { direction: 1, text: "1.47 against 1.15" },
      expected: "same direction",
      why: "It counts bytes, the other weighs them.",
      digits: 2,
      of: saved("maxOverMean", name(0.2, 0), name(0, 0.2)),
    },
    {
      name: "the importance loss alone evens importance more than the load loss alone",
      unit: "CV",
      published: { direction: 1, text: "0.22 against 0.06" },
      expected: "same direction",
      why: "It is what it measures.",
      digits: 2,
      of: saved("cvImportance", name(0, 0.2), name(0.2, 0)),
    },
    {
      name: "weights of 1 even importance more than weights of 0.01",
      unit: "CV",
      published: { direction: 1, text: "0.48 to 0.03" },
      expected: "same direction",
      why: "A hundred times the weight.",
      digits: 2,
      of: saved("cvImportance", name(0.01, 0.01), name(1, 1)),
    },
  ],
};
