import { curve } from "../../train/svg/index.ts";
import { bits, column, dropped, meanOf, saved, value } from "../claim.ts";
import type { Claim, Seed } from "../claim.ts";
import { timed, trained } from "../settings.ts";

const factors = [0.5, 1, 1.25, 2];
const models = {
  ...Object.fromEntries(factors.map((capacityFactor) => [`factor ${capacityFactor}`, { router: "switch", capacityFactor } as const])),
  dropless: { router: "dropless" } as const,
};

const longer = (arm: string, than: string) => (seed: Seed) => value(seed("timing"), arm) / value(seed("timing"), than) - 1;

export const claim: Claim = {
  number: 12,
  title: "Capacity factor: drops, quality, cost",
  source: "Fedus et al. 2021, arXiv:2101.03961, section 2.2, figure 3, table 1",
  published: [
    "Switch at factors 2, 1.25, 1: −1.554, −1.553, −1.561 after 100,000 steps; 860, 910, 1000 examples per second",
    "dropped typically below 1 %",
  ],
  setting:
    "The small model at factors 0.5 to 2 in training, and without a limit. In evaluation nothing is dropped. Step times: 24 rounds " +
    "in turn, in one process. " +
    "Three of the factors are in claim 1 too, in the paper's encoder-decoder.",
  limits:
    "A batch of 512 bytes fills its queues unevenly: a factor of 1.25 has 80 slots for 64 bytes on average, and chance alone " +
    "overflows some. This library does not " +
    "compute empty slots on a CPU, so a factor costs what it seats.",
  seeds: 5,
  arms: [
    ...Object.entries(models).map(([name, model]) => ({ name, settings: trained({ model }) })),
    { name: "timing", settings: timed(models, 24) },
  ],
  columns: [bits, column("training", "training"), dropped, column("dropped in 20 steps, %", "droppedEarly", 1, 100)],
  comparisons: [
    {
      name: "factor 2 saves over factor 1",
      unit: "bits per byte",
      published: { direction: 0, margin: 0.02, text: "+0.007 nats: nearly flat" },
      expected: "not resolvable at this size",
      why: "The difference is expected inside the margin, but so few seeds may not fit their interval into it.",
      of: saved("bits", "factor 1", "factor 2"),
    },
    {
      name: "factor 1 saves over factor 0.5",
      unit: "bits per byte",
      published: { direction: 1, text: "not measured; drops cost quality" },
      expected: "same direction",
      why: "At 0.5 half of the bytes are dropped by construction, and evaluation drops none: the model is used as it was not trained.",
      of: saved("bits", "factor 0.5", "factor 1"),
    },
    {
      name: "factor 2 drops less than factor 1",
      unit: "share of the bytes",
      published: { direction: 1, text: "figure 3" },
      expected: "same direction",
      why: "It is what the factor is for.",
      of: saved("dropped", "factor 1", "factor 2"),
    },
    {
      name: "factor 1.25 drops less than 1 %",
      unit: "share of the bytes, 1 % less what is dropped",
      published: { direction: 1, text: "typically below 1 %" },
      expected: "opposite",
      why: "About 2 % on the seeds that the size was chosen on.",
      of: (seed) => 0.01 - value(seed("factor 1.25"), "dropped"),
    },
    {
      name: "a step at factor 2 takes longer than one at 1",
      unit: "ratio less 1",
      published: { direction: 1, text: "1000 / 860 examples per second: 0.16" },
      expected: "not resolvable at this size",
      why: "Empty slots are not computed, only cleared.",
      digits: 2,
      of: longer("factor 2", "factor 1"),
    },
  ],
  picture: (seeds) => {
    const of = (name: string, scale: number) =>
      factors.map((factor): [number, number] => [factor, scale * meanOf(seeds, (seed) => value(seed(`factor ${factor}`), name))]);
    const description = "Share of the bytes that found no slot, by capacity factor: in the first 20 steps and in the last quarter";
    const series = [
      { name: "first 20 steps", points: of("droppedEarly", 100) },
      { name: "last quarter", points: of("dropped", 100) },
    ];
    return {
      svg: curve({ title: "Dropped bytes by capacity factor", description, series, x: "capacity factor", y: "% dropped" }),
      description,
    };
  },
};
