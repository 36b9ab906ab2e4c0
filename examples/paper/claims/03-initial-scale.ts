import { armsInBoth, spans } from "../arms.ts";
import { bitsOfEither, column, gained, perplexity, saved, value } from "../claim.ts";
import type { Claim, Seed } from "../claim.ts";

const changed = (initScale: number) => ({ text: "moby-dick", model: { router: "switch", initScale }, training: { steps: 150 } }) as const;

function deviation(seeds: readonly Seed[], arm: string): number {
  const all = seeds.map((seed) => value(seed(arm), "bits"));
  const mean = all.reduce((sum, x) => sum + x, 0) / all.length;
  return Math.sqrt(all.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (all.length - 1));
}

export const claim: Claim = {
  number: 3,
  title: "Initial scale 0.1 instead of 1.0",
  source: "Fedus et al. 2021, arXiv:2101.03961, section 2.4, table 3",
  published: [
    "negative log perplexity after 3,500 steps, 32 experts, 3 seeds: scale 0.1 −2.72, deviation 0.01; scale 1.0 −3.60, deviation 0.68",
  ],
  setting:
    "The small models on Moby-Dick, one that fills in spans as in the paper and one that predicts bytes, 150 steps: early in " +
    "training, as in the paper. The scale is that of all weights in the blocks and of the router.",
  limits:
    "The instability at scale 1.0 belongs to deep and wide models; with two blocks, or one in each stack, it is not expected, so the " +
    "spread over seeds is not either.",
  seeds: 5,
  arms: armsInBoth({ "scale 1.0": changed(1), "scale 0.1": changed(0.1) }),
  columns: [perplexity, bitsOfEither, column("training", "training"), column("largest gradient norm", "gradNormMost", 2)],
  comparisons: [
    {
      name: "filling spans, scale 0.1 gains",
      unit: "nats per token",
      published: { direction: 1, text: "+0.88 nats" },
      expected: "same direction",
      why:
        "As in the causal model of the seeds that the size was chosen on: embeddings start small, and smaller weights let them be " +
        "heard.",
      of: gained("nats", spans("scale 1.0"), spans("scale 0.1")),
    },
    {
      name: "filling spans, log2 of the deviation over seeds, 1.0 against 0.1",
      unit: "log2 of a ratio",
      published: { direction: 1, text: "log2(0.68 / 0.01) = 6.1" },
      expected: "not resolvable at this size",
      why: "Nothing is unstable here; a few seeds tell deviations apart only when one is a multiple of the other.",
      digits: 2,
      over: (seeds) => Math.log2(deviation(seeds, spans("scale 1.0")) / deviation(seeds, spans("scale 0.1"))),
    },
    {
      name: "predicting bytes, scale 0.1 saves",
      unit: "bits per byte",
      published: { direction: 1, text: "+0.88 nats" },
      expected: "same direction",
      why: "Smaller weights let the embeddings, which start small, be heard; 2 tenths of a bit after 80 steps of a larger model.",
      of: saved("bits", "scale 1.0", "scale 0.1"),
    },
    {
      name: "predicting bytes, log2 of the deviation over seeds, 1.0 against 0.1",
      unit: "log2 of a ratio",
      published: { direction: 1, text: "log2(0.68 / 0.01) = 6.1" },
      expected: "not resolvable at this size",
      why: "Nothing is unstable here; a few seeds tell deviations apart only when one is a multiple of the other.",
      digits: 2,
      over: (seeds) => Math.log2(deviation(seeds, "scale 1.0") / deviation(seeds, "scale 0.1")),
    },
  ],
};
