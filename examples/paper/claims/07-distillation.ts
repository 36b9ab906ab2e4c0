import { spans } from "../arms.ts";
import { bitsOfEither, column, gained, meanOf, perplexity, saved, value } from "../claim.ts";
import type { Arm, Claim, Seed } from "../claim.ts";
import type { TrainSettings } from "../settings.ts";
import { filling, trained } from "../settings.ts";

const sizes = [8, 32];
const dense = { model: { router: "dense" } } as const;
/** One of the small models. */
type Small = typeof trained;
const taught = (small: Small, experts: number) => small({ model: { router: "switch", experts }, training: { steps: 600 } });

interface Recipe {
  readonly copy: boolean;
  readonly hard: number;
  readonly soft: number;
}

const student =
  (small: Small, experts: number, { copy, hard, soft }: Recipe) =>
  (seed: number): TrainSettings => {
    const from = taught(small, experts)(seed);
    return small(dense, {
      ...(copy && { begin: { from, parts: "shared" } }),
      ...(soft > 0 && { teacher: { from, hard, soft } }),
    })(seed);
  };
const whole: Recipe = { copy: true, hard: 0.75, soft: 0.25 };

/**
 * The dense model, teachers of several sizes, what each part of the recipe makes of the first one's knowledge, and the whole recipe of
 * each.
 */
const recipesOf = (small: Small, sizes: readonly number[]): Arm[] => [
  { name: "dense", settings: small(dense) },
  ...sizes.map((experts) => ({ name: `teacher of ${experts}`, settings: taught(small, experts) })),
  { name: "distilled", settings: student(small, sizes[0], { copy: false, hard: 0, soft: 1 }) },
  { name: "shared weights", settings: student(small, sizes[0], { copy: true, hard: 1, soft: 0 }) },
  { name: "distilled, shared weights", settings: student(small, sizes[0], { copy: true, hard: 0, soft: 1 }) },
  ...sizes.map((experts) => ({ name: `whole recipe, of ${experts}`, settings: student(small, experts, whole) })),
];

/** What a student has of the gain of its teacher over the dense model, means over seeds. */
const kept = (seeds: readonly Seed[], arm: string, experts: number): number =>
  meanOf(seeds, saved("bits", "dense", arm)) / meanOf(seeds, saved("bits", "dense", `teacher of ${experts}`));

export const claim: Claim = {
  number: 7,
  title: "Distillation: what each part of the recipe keeps, and from teachers of several sizes",
  source: "Fedus et al. 2021, arXiv:2101.03961, section 4.2, tables 6 to 8",
  published: [
    "negative log perplexity: T5-Base −1.636; teacher −1.444; distilled −1.631 (keeps 3 %); with the teacher's shared weights −1.598 " +
      "(20 %); and 0.75 labels, 0.25 teacher −1.580 (29 %); shared weights without distillation −1.639",
    "kept, by parameters of the teacher: 1.1B 37 %; 2.0B 32 %; 3.8B 30 %; 7.4B 27 %; 14.7B 28 %; compressed by 82 to 99 %",
  ],
  setting:
    "The small models, one that fills in spans as in the paper and one that predicts bytes. Teachers of 8 and 32 experts, where " +
    "spans are filled in of 8 alone, learn for 600 steps; the dense model and all students, " +
    "which have its shape, for 400, on batches of the same text.",
  limits:
    "The teacher's gain is of experts and of longer training together: experts alone are worth a few hundredths of a bit here, too " +
    "little to measure a share of. " +
    "So shares are not comparable with the paper's, only the order of the recipes is. In the encoder-decoder a teacher of 600 steps " +
    "may not be ahead of the dense model at all (claim 5), so no share is taken there.",
  seeds: 5,
  arms: [...recipesOf(filling, [8]).map((arm) => ({ ...arm, name: spans(arm.name) })), ...recipesOf(trained, sizes)],
  columns: [perplexity, bitsOfEither, column("parameters, thousands", "parameters", 0, 1e-3)],
  comparisons: [
    {
      name: "filling spans, the whole recipe gains over dense",
      unit: "nats per token",
      published: { direction: 1, text: "+0.056 nats, 29 % of the gain" },
      expected: "same direction",
      why:
        "As in the causal model, which was run before: the student begins with embeddings and attention that have learned for 600 " +
        "steps.",
      digits: 4,
      of: gained("nats", spans("dense"), spans("whole recipe, of 8")),
    },
    {
      name: "filling spans, distillation alone gains over dense",
      unit: "nats per token",
      published: { direction: 1, text: "+0.005 nats, 3 %" },
      expected: "same direction",
      why: "In the causal model it gained 0.049 nats: a teacher's probabilities say more of a place than the one token that stands there.",
      of: gained("nats", spans("dense"), spans("distilled")),
    },
    {
      name: "filling spans, shared weights without distillation gain over dense",
      unit: "nats per token",
      published: { direction: 0, margin: 0.02, text: "−0.003 nats: no gain" },
      expected: "opposite",
      why: "In a short training a head start is a gain.",
      of: gained("nats", spans("dense"), spans("shared weights")),
    },
    {
      name: "filling spans, mixing in labels gains over the teacher alone, both with shared weights",
      unit: "nats per token",
      published: { direction: 1, text: "+0.018 nats" },
      expected: "same direction",
      why: "The student with shared weights has nearly caught up with its teacher, and only the labels know more.",
      of: gained("nats", spans("distilled, shared weights"), spans("whole recipe, of 8")),
    },
    {
      name: "predicting bytes, the whole recipe saves over dense",
      unit: "bits per byte",
      published: { direction: 1, text: "+0.056 nats, 29 % of the gain" },
      expected: "same direction",
      why: "The student begins with embeddings and attention that have learned for 600 steps.",
      of: saved("bits", "dense", "whole recipe, of 8"),
    },
    {
      name: "predicting bytes, share of the teacher's gain that the whole recipe keeps",
      unit: "share",
      published: { direction: 1, text: "0.29" },
      expected: "same direction",
      why: "The same.",
      digits: 2,
      over: (seeds) => kept(seeds, "whole recipe, of 8", 8),
    },
    {
      name: "predicting bytes, distillation alone saves over dense",
      unit: "bits per byte",
      published: { direction: 1, text: "+0.005 nats, 3 %" },
      expected: "not resolvable at this size",
      why: "A teacher of 600 steps knows little that the labels do not say.",
      of: saved("bits", "dense", "distilled"),
    },
    {
      name: "predicting bytes, shared weights without distillation save over dense",
      unit: "bits per byte",
      published: { direction: 0, margin: 0.02, text: "−0.003 nats: no gain" },
      expected: "opposite",
      why: "In a short training a head start is a gain; the paper's models trained so long that it was forgotten.",
      of: saved("bits", "dense", "shared weights"),
    },
    {
      name: "predicting bytes, mixing in labels saves over the teacher alone, both with shared weights",
      unit: "bits per byte",
      published: { direction: 1, text: "+0.018 nats" },
      expected: "same direction",
      why: "The labels are the text itself; the teacher's probabilities are those of a model that has 2 bits to go.",
      of: saved("bits", "distilled, shared weights", "whole recipe, of 8"),
    },
    {
      name: "predicting bytes, a smaller share is kept of a teacher of 32 experts than of one of 8",
      unit: "share",
      published: { direction: 1, text: "37 % falls to 28 %" },
      expected: "not resolvable at this size",
      why: "The gains of the two teachers are nearly equal.",
      digits: 2,
      over: (seeds) => kept(seeds, "whole recipe, of 8", 8) - kept(seeds, "whole recipe, of 32", 32),
    },
    {
      name: "predicting bytes, parameters that the student of 32 experts is spared",
      unit: "share",
      published: { direction: 1, text: "82 to 99 %" },
      expected: "same direction",
      why: "Counted, not measured.",
      digits: 2,
      of: (seed) => 1 - value(seed("whole recipe, of 32"), "parameters") / value(seed("teacher of 32"), "parameters"),
    },
  ],
};
