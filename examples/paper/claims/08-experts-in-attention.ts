import { armsInBoth, changesOf, spans } from "../arms.ts";
import { bitsOfEither, column, dropped, gained, perplexity, saved, value } from "../claim.ts";
import type { Claim, Seed } from "../claim.ts";
import { timed } from "../settings.ts";

const models = {
  "feed-forward": { router: "switch" },
  attention: { router: "switch", variant: { sparsePlaces: "attention" } },
  both: { router: "switch", variant: { sparsePlaces: "both" } },
} as const;

const longer = (arm: string) => (seed: Seed) => value(seed("timing"), arm) / value(seed("timing"), "feed-forward") - 1;

export const claim: Claim = {
  number: 8,
  title: "Experts in attention",
  source: "Fedus et al. 2021, arXiv:2101.03961, appendix A, table 10",
  published: [
    "negative log perplexity after 100,000 steps, float32: experts in feed-forward −1.548; in attention −1.524; in both −1.513",
    "after 16 hours: −1.614, −1.606, −1.607; examples per second: 1480, 1330, 1240; in bfloat16 the last two diverge",
  ],
  setting:
    "The small models, one that fills in spans as in the paper and one that predicts bytes, 400 steps, with 8 experts in the " +
    "feed-forward place, in attention (queries; keys and " +
    "values), or in both. In the encoder-decoder the attention of each stack to itself has experts, that of the decoder to the " +
    "encoder has none. Step times are of the causal model: 24 " +
    "rounds in turn, in one process.",
  limits:
    "Attention over 32 bytes, or over the few tokens of their spans, has little to decide. Divergence in bfloat16 is not tried: " +
    "models this small do not diverge.",
  seeds: 5,
  arms: [...armsInBoth(changesOf({ dense: { router: "dense" }, ...models })), { name: "timing", settings: timed(models, 24) }],
  columns: [perplexity, bitsOfEither, column("training", "training"), column("parameters, thousands", "parameters", 0, 1e-3), dropped],
  comparisons: [
    {
      name: "filling spans, experts in both gain over feed-forward alone, at equal steps",
      unit: "nats per token",
      published: { direction: 1, text: "+0.035 nats" },
      expected: "opposite",
      why:
        "In the causal model, which was run before, experts in both places cost 0.066 bits: three routers must learn in each block. " +
        "Here there are two blocks of them too, and no more " +
        "steps.",
      of: gained("nats", spans("feed-forward"), spans("both")),
    },
    {
      name: "filling spans, experts in attention alone gain over feed-forward alone, at equal steps",
      unit: "nats per token",
      published: { direction: 1, text: "+0.024 nats" },
      expected: "opposite",
      why: "In the causal model it cost 0.106 bits, and left the model behind the dense one.",
      of: gained("nats", spans("feed-forward"), spans("attention")),
    },
    {
      name: "predicting bytes, experts in both save over feed-forward alone, at equal steps",
      unit: "bits per byte",
      published: { direction: 1, text: "+0.035 nats" },
      expected: "not resolvable at this size",
      why: "Three routers must learn before attention can; a dropped byte has no key, which others miss.",
      of: saved("bits", "feed-forward", "both"),
    },
    {
      name: "predicting bytes, experts in attention alone save over feed-forward alone, at equal steps",
      unit: "bits per byte",
      published: { direction: 1, text: "+0.024 nats" },
      expected: "opposite",
      why: "What is short at this size is the width of the feed-forward layer.",
      of: saved("bits", "feed-forward", "attention"),
    },
    {
      name: "a step with experts in both takes longer",
      unit: "ratio less 1",
      published: { direction: 1, text: "1480 / 1240 examples per second: 0.19" },
      expected: "same direction",
      why: "Two more routings in each block.",
      digits: 2,
      of: longer("both"),
    },
    {
      name: "a step with experts in attention alone takes longer",
      unit: "ratio less 1",
      published: { direction: 1, text: "1480 / 1330 examples per second: 0.11" },
      expected: "same direction",
      why: "Two routings in each block instead of one.",
      digits: 2,
      of: longer("attention"),
    },
  ],
};
