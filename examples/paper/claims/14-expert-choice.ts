import type { RouterName } from "../../train/routerNames.ts";
import { column, saved, stepsToBoth } from "../claim.ts";
import type { Claim, Seed } from "../claim.ts";
import { trained } from "../settings.ts";

const at = (router: RouterName) =>
  trained({ model: { architecture: "encoder-decoder", layers: 2, router, variant: { sparseStack: "encoder" } }, training: { steps: 150 } });

/** Share of another router's steps that Expert Choice is spared on the way to a smoothed training loss that both reach. */
const spared = (router: string) => (seed: Seed) => {
  const [own, other] = stepsToBoth(seed("expert choice"), seed(router));
  return 1 - own / other;
};

export const claim: Claim = {
  number: 14,
  title: "Expert Choice against top-1 and top-2, in the encoder",
  source: "Zhou et al. 2022, arXiv:2202.09368",
  published: [
    "steps to a quality: less than half of those of Switch top-1 and GShard top-2; each step some 20 % faster",
    "23 % of the tokens get 3 or 4 experts, 3 % more than 4; capped at 2 experts a token, quality falls by 0.8 points of 84",
    "early in training, token choice is over capacity for 20 to 40 % of the tokens",
  ],
  setting:
    "An encoder-decoder of the small width on spans of eight scripts, 150 steps, sparse in the encoder alone: Expert Choice looks at " +
    "later tokens, which a decoder " +
    "must not. Compute is equal: with two experts for a token on average, each has half the hidden width.",
  limits:
    "The paper's comparison is after hundreds of thousands of steps and at 100 million parameters. In 150 steps the decoder and the " +
    "embeddings learn most of what is learned.",
  seeds: 5,
  arms: [
    { name: "switch", settings: at("switch") },
    { name: "top-2", settings: at("gshard") },
    { name: "expert choice", settings: at("expert-choice") },
    { name: "expert choice, at most 2", settings: at("expert-choice-capped") },
  ],
  columns: [
    column("bits per token", "bits"),
    column("MaxVio", "maxVioBatch", 2),
    column("without an expert in 20 steps, %", "droppedEarly", 1, 100),
    column("with 3 or 4 experts, %", "servedBy3or4", 1, 100),
    column("with more, %", "servedByMore", 1, 100),
  ],
  comparisons: [
    {
      name: "share of the steps that Expert Choice is spared, against Switch",
      unit: "share of the steps",
      published: { direction: 1, text: "more than 0.5" },
      expected: "not resolvable at this size",
      why: "The encoder's experts are a small part of what is learned in 150 steps.",
      digits: 2,
      of: spared("switch"),
    },
    {
      name: "share of the steps that Expert Choice is spared, against top-2",
      unit: "share of the steps",
      published: { direction: 1, text: "more than 0.5" },
      expected: "not resolvable at this size",
      why: "The same.",
      digits: 2,
      of: spared("top-2"),
    },
    {
      name: "Expert Choice saves over top-2 on held-out spans",
      unit: "bits per token",
      published: { direction: 1, text: "84.0 against fewer points, average of tasks" },
      expected: "not resolvable at this size",
      why: "The same.",
      of: saved("bits", "top-2", "expert choice"),
    },
    {
      name: "Expert Choice lowers MaxVio, against Switch",
      unit: "MaxVio",
      published: { direction: 1, text: "even by construction" },
      expected: "same direction",
      why: "Each expert takes as many tokens as it has slots.",
      digits: 2,
      of: saved("maxVioBatch", "switch", "expert choice"),
    },
    {
      name: "at most two experts a token cost quality",
      unit: "bits per token",
      published: { direction: 1, text: "0.8 points" },
      expected: "not resolvable at this size",
      why: "Few tokens have more than two.",
      of: saved("bits", "expert choice, at most 2", "expert choice"),
    },
    {
      name: "early in training Switch drops more than a fifth",
      unit: "share of the tokens, less 0.2",
      published: { direction: 1, text: "20 to 40 %" },
      expected: "same direction",
      why: "23 % in the causal model of the seeds that the size was chosen on.",
      of: (seed) => (seed("switch").values["droppedEarly"] ?? NaN) - 0.2,
    },
  ],
};
