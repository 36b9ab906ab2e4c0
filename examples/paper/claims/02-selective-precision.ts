import { armsInBoth, changesOf, spans } from "../arms.ts";
import { bitsOfEither, column, gained, perplexity, saved, value } from "../claim.ts";
import type { Claim, Seed } from "../claim.ts";
import { trained } from "../settings.ts";

const training = { steps: 300 };
const precisions = {
  float32: { router: "switch" },
  selective: { router: "switch", precision: "bfloat16" },
  bfloat16: { router: "switch", precision: "bfloat16", variant: { routerPrecision: "tokens" } },
} as const;
const float32 = trained({ model: precisions.float32, training });

const more = (part: string) => (seed: Seed) => value(seed("rounding"), `everywhere.${part}`) - value(seed("rounding"), `selective.${part}`);

export const claim: Claim = {
  number: 2,
  title: "Selective precision: bfloat16 with a float32 router",
  source: "Fedus et al. 2021, arXiv:2101.03961, section 2.4, table 2",
  published: [
    "negative log perplexity early in training, 32 experts: float32 −1.718; bfloat16 −3.780 (diverged); selective −1.716",
    "examples per second: float32 1160; bfloat16 1390; selective 1390",
  ],
  setting:
    "The small models, one that fills in spans as in the paper and one that predicts bytes, 300 steps, activations in bfloat16, " +
    "parameters and optimiser in float32. Beside training, each trained float32 model of bytes routes the same " +
    "held-out text in all three precisions, and what changes is counted.",
  limits:
    "Models this small do not diverge in bfloat16. bfloat16 is emulated here, each operation rounded once, so it is slower than " +
    "float32 and no speed is " +
    "compared. The nearest thing that can be seen is the cause: how many tokens change their expert, and how wrong the router's mean " +
    "probabilities become.",
  seeds: 5,
  arms: [
    ...armsInBoth(changesOf(precisions, { training })),
    { name: "rounding", settings: (seed) => ({ program: "precision", seed, from: float32(seed) }) },
  ],
  columns: [perplexity, bitsOfEither, column("training", "training")],
  comparisons: [
    {
      name: "filling spans, selective gains over bfloat16 everywhere",
      unit: "nats per token",
      published: { direction: 1, text: "+2.06 nats: bfloat16 diverged" },
      expected: "not resolvable at this size",
      why: "One block in each stack and eight experts do not diverge; rounding is a small noise among that of the batches.",
      of: gained("nats", spans("bfloat16"), spans("selective")),
    },
    {
      name: "filling spans, selective gains over float32",
      unit: "nats per token",
      published: { direction: 0, margin: 0.02, text: "+0.002 nats" },
      expected: "same direction",
      why: "With float32 parameters nothing is lost between steps.",
      of: gained("nats", spans("float32"), spans("selective")),
    },
    {
      name: "predicting bytes, selective saves over bfloat16 everywhere",
      unit: "bits per byte",
      published: { direction: 1, text: "+2.06 nats: bfloat16 diverged" },
      expected: "not resolvable at this size",
      why: "Two blocks and eight experts do not diverge; rounding is a small noise among that of the batches.",
      of: saved("bits", "bfloat16", "selective"),
    },
    {
      name: "predicting bytes, selective loses against float32",
      unit: "bits per byte",
      published: { direction: 0, margin: 0.02, text: "−0.002 nats" },
      expected: "same direction",
      why: "With float32 parameters nothing is lost between steps.",
      of: saved("bits", "selective", "float32"),
    },
    {
      name: "bfloat16 everywhere sends more tokens to another expert than float32 does, beyond what selective does",
      unit: "share of tokens",
      published: { direction: 1, text: "the cause that the paper names: the router's exponentials" },
      expected: "same direction",
      why: "Logits of 8 bits tie and swap where two experts are close.",
      digits: 4,
      of: more("flips"),
    },
    {
      name: "its mean probability of an expert is further from float32's, beyond selective",
      unit: "share of 1 / E",
      published: { direction: 1, text: "not measured; P_i of the balance loss" },
      expected: "same direction",
      why: "Probabilities rounded to 8 bits.",
      digits: 4,
      of: more("importance"),
    },
    {
      name: "it leaves more tokens with a tie of their two best experts",
      unit: "share of tokens",
      published: { direction: 1, text: "not measured" },
      expected: "same direction",
      why: "In float32 two probabilities are never equal.",
      digits: 4,
      of: more("ties"),
    },
  ],
};
