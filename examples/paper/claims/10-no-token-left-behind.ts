import { bits, dropped, saved } from "../claim.ts";
import type { Claim } from "../claim.ts";
import { trained } from "../settings.ts";

const at = (router: "switch" | "no-token-left-behind") =>
  trained({ text: "moby-dick", model: { router, capacityFactor: 1 }, training: { steps: 300 } });

export const claim: Claim = {
  number: 10,
  title: "No-Token-Left-Behind brings nothing",
  source: "Fedus et al. 2021, arXiv:2101.03961, appendix B",
  published: ["No table: tokens that found no slot are sent to their next best expert; no empirical benefit was seen."],
  setting:
    "The small model on Moby-Dick, 300 steps, at capacity factor 1, where most is dropped. With rerouting a token may try its four best experts.",
  limits: "A benefit below 0.02 bits per byte would not be seen with these seeds, nor matter.",
  seeds: 5,
  arms: [
    { name: "switch", settings: at("switch") },
    { name: "rerouted", settings: at("no-token-left-behind") },
  ],
  columns: [bits, dropped],
  comparisons: [
    {
      name: "rerouting saves",
      unit: "bits per byte",
      published: { direction: 0, margin: 0.02, text: "no benefit" },
      expected: "same direction",
      why: "What is dropped is a few per cent of the bytes, and the residual carries them.",
      of: saved("bits", "switch", "rerouted"),
    },
    {
      name: "rerouting lowers the share of bytes dropped",
      unit: "share of the bytes",
      published: { direction: 1, text: "the purpose of the method" },
      expected: "same direction",
      why: "It is what rerouting does: with four tries, nearly every byte finds one of the slots that others leave empty.",
      of: saved("dropped", "switch", "rerouted"),
    },
  ],
};
