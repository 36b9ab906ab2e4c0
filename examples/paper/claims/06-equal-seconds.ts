import { bits, column, saved, value } from "../claim.ts";
import type { Claim, Seed } from "../claim.ts";
import { timed, trained } from "../settings.ts";

const dense = { router: "dense" } as const;
const sparse = { router: "switch" } as const;
/** 3.5 times the FLOPs of the small dense model. */
const large = { router: "dense", width: 64, hidden: 176 } as const;

const denseSteps = [400, 600];
const largeSteps = [400, 160];
const name = (model: string, steps: number): string => `${model}, ${steps} steps`;

/** Bits that a model would have reached in the seconds that 400 steps of Switch take: between its runs by straight lines over log steps. */
function atSwitchSeconds(seed: Seed, model: "dense" | "large", all: readonly number[]): number {
  const { dense: denseTime, switch: switchTime, large: largeTime } = seed("timing").values;
  const steps = (400 * (switchTime ?? NaN)) / ((model === "dense" ? denseTime : largeTime) ?? NaN);
  const points = all.toSorted((a, b) => a - b).map((n) => [Math.log(n), value(seed(name(model, n)), "bits")] as const);
  const right = Math.max(1, points.findIndex(([x], i) => x >= Math.log(steps) || i === points.length - 1)); // prettier-ignore
  const [[x0, y0], [x1, y1]] = [points[right - 1], points[right]];
  return y0 + ((y1 - y0) * (Math.log(steps) - x0)) / (x1 - x0);
}

export const claim: Claim = {
  number: 6,
  title: "Equal seconds, and a dense model of 3.5 times the FLOPs",
  source: "Fedus et al. 2021, arXiv:2101.03961, figures 5 and 6, table 9",
  published: [
    "Switch-Base with 64 experts reaches T5-Base's quality in a seventh of the time (figure 5), and T5-Large's 2.5 times sooner (figure 6)",
    "negative log perplexity after 250,000 steps: T5-Base −1.599, T5-Large −1.402, Switch-Base −1.370",
  ],
  setting:
    "The small model with 8 experts, 400 steps. Dense models of 400 and 600 steps, and dense models of 3.5 times the FLOPs per byte " +
    "(width 64) of 400 and " +
    "160, each with its whole schedule. How many steps they have time for comes from medians of 40 rounds of steps taken in turn in " +
    "one process; their quality " +
    "there is read between their runs. All predict bytes: in the paper's encoder-decoder experts gain nothing in so short a training " +
    "(claim 1), so there would be no gain to weigh against seconds.",
  limits:
    "A step of a model this small is mostly launches, not products: 3.5 times the FLOPs cost far less than 3.5 times the seconds, " +
    "which favours the large dense " +
    "model, and routing costs a larger share than on an accelerator, which favours the small one. In FLOPs alone Switch and dense " +
    "are equal.",
  seeds: 5,
  arms: [
    { name: "switch", settings: trained({ model: sparse }) },
    ...denseSteps.map((steps) => ({ name: name("dense", steps), settings: trained({ model: dense, training: { steps } }) })),
    ...largeSteps.map((steps) => ({ name: name("large", steps), settings: trained({ model: large, training: { steps } }) })),
    { name: "timing", settings: timed({ dense, switch: sparse, large }, 40) },
  ],
  columns: [bits, column("training", "training"), column("FLOPs per byte, thousands", "flops", 0, 1e-3)],
  comparisons: [
    {
      name: "Switch saves over dense at equal seconds",
      unit: "bits per byte",
      published: { direction: 1, text: "a seventh of the time to equal quality" },
      expected: "opposite",
      why: "A step of Switch takes a third longer here, and a third more steps are worth more than eight experts.",
      of: (seed) => atSwitchSeconds(seed, "dense", denseSteps) - value(seed("switch"), "bits"),
    },
    {
      name: "Switch saves over the large dense model at equal seconds",
      unit: "bits per byte",
      published: { direction: 1, text: "2.5 times sooner than T5-Large" },
      expected: "opposite",
      why: "The large model's FLOPs are cheap on this machine, and width is worth more than experts in a short training.",
      of: (seed) => atSwitchSeconds(seed, "large", largeSteps) - value(seed("switch"), "bits"),
    },
    {
      name: "Switch saves over the large dense model at equal steps",
      unit: "bits per byte",
      published: { direction: 1, text: "+0.032 nats (table 9)" },
      expected: "opposite",
      why: "The same.",
      of: saved("bits", "large, 400 steps", "switch"),
    },
    {
      name: "Switch saves over dense at equal steps, and equal FLOPs",
      unit: "bits per byte",
      published: { direction: 1, text: "+0.229 nats (table 9)" },
      expected: "same direction",
      why: "The size was chosen so that it shows.",
      of: saved("bits", "dense, 400 steps", "switch"),
    },
  ],
};
