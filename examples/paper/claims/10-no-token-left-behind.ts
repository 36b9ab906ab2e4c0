import { armsInBoth, changesOf, spans } from "../arms.ts";
import { bitsOfEither, dropped, gained, perplexity, saved } from "../claim.ts";
import type { Claim } from "../claim.ts";

const at = (router: "switch" | "no-token-left-behind") => ({ router, capacityFactor: 1 });

export const claim: Claim = {
  number: 10,
  title: "No-Token-Left-Behind brings nothing",
  source: "Fedus et al. 2021, arXiv:2101.03961, appendix B",
  published: ["No table: tokens that found no slot are sent to their next best expert; no empirical benefit was seen."],
  setting:
    "The small models on Moby-Dick, one that fills in spans as in the paper and one that predicts bytes, 300 steps, at capacity " +
    "factor 1, where most is dropped. With rerouting a token may try its four best experts.",
  limits: "A benefit below 0.02 nats per token or bits per byte would not be seen with these seeds, nor matter.",
  seeds: 5,
  arms: armsInBoth(
    changesOf({ switch: at("switch"), rerouted: at("no-token-left-behind") }, { text: "moby-dick", training: { steps: 300 } }),
  ),
  columns: [perplexity, bitsOfEither, dropped],
  comparisons: [
    {
      name: "filling spans, rerouting gains",
      unit: "nats per token",
      published: { direction: 0, margin: 0.02, text: "no benefit" },
      expected: "not resolvable at this size",
      why:
        "The difference is expected inside the margin, but in claim 1 the intervals of two forms of Switch at five seeds were about " +
        "as wide as the margin, and the causal model, run " +
        "before, did not fit into it.",
      of: gained("nats", spans("switch"), spans("rerouted")),
    },
    {
      name: "filling spans, rerouting lowers the share of tokens dropped",
      unit: "share of the tokens",
      published: { direction: 1, text: "the purpose of the method" },
      expected: "same direction",
      why: "It is what rerouting does, and in the causal model it did.",
      of: saved("dropped", spans("switch"), spans("rerouted")),
    },
    {
      name: "predicting bytes, rerouting saves",
      unit: "bits per byte",
      published: { direction: 0, margin: 0.02, text: "no benefit" },
      expected: "same direction",
      why: "What is dropped is a few per cent of the bytes, and the residual carries them.",
      of: saved("bits", "switch", "rerouted"),
    },
    {
      name: "predicting bytes, rerouting lowers the share of bytes dropped",
      unit: "share of the bytes",
      published: { direction: 1, text: "the purpose of the method" },
      expected: "same direction",
      why: "It is what rerouting does: with four tries, nearly every byte finds one of the slots that others leave empty.",
      of: saved("dropped", "switch", "rerouted"),
    },
  ],
};
