import { curve } from "../../train/svg/index.ts";
import { bits, column, dropped, meanOf, saved, value } from "../claim.ts";
import type { Claim, Seed } from "../claim.ts";
import { trained } from "../settings.ts";

const counts = [2, 4, 8, 16, 32, 64];
const arms = [
  { name: "dense", settings: trained({ model: { router: "dense" } }) },
  ...counts.map((experts) => ({ name: `${experts} experts`, settings: trained({ model: { experts, router: "dropless" } }) })),
];

/** Slope of held-out bits over log2 of the number of experts, by least squares; dense counts as one expert. */
function slope(seed: Seed): number {
  const points = arms.map(({ name }, i) => [i, value(seed(name), "bits")] as const);
  const middle = (arms.length - 1) / 2;
  const [products, squares] = [(x: number, y: number) => (x - middle) * y, (x: number) => (x - middle) ** 2];
  return points.reduce((sum, [x, y]) => sum + products(x, y), 0) / points.reduce((sum, [x]) => sum + squares(x), 0);
}

export const claim: Claim = {
  number: 5,
  title: "More experts at equal FLOPs: better, with diminishing returns",
  source: "Fedus et al. 2021, arXiv:2101.03961, figure 4, table 7 (first row), appendix D",
  published: [
    "negative log perplexity: dense −1.636; 16 experts −1.505; 32 −1.474; 64 −1.444; 128 −1.432; 256 −1.427",
    "2, 4 and 8 experts help already (appendix D, a drawing)",
  ],
  setting:
    "The small model with 2 to 64 experts, dropless: at 64 experts a queue would have ten slots, and chance alone would overflow it. FLOPs per byte " +
    "are equal but for the router's product.",
  limits:
    "The text has about 90 thousand bytes, and an expert of 64 sees a 64th of the 205 thousand that are trained on: the end of the curve belongs to a shortage of " +
    "bytes, which the paper did not have.",
  seeds: 5,
  arms,
  columns: [bits, column("training", "training"), column("parameters, thousands", "parameters", 0, 1e-3), dropped],
  comparisons: [
    {
      name: "each doubling of the experts saves",
      unit: "bits per byte",
      published: { direction: 1, text: "monotone: about 0.03 nats per doubling" },
      expected: "same direction",
      why: "A hidden width of 64 is narrow for eight scripts, and experts share them out.",
      of: (seed) => -slope(seed),
    },
    {
      name: "2 experts save over dense",
      unit: "bits per byte",
      published: { direction: 1, text: "gains with 2 experts already" },
      expected: "not resolvable at this size",
      why: "The gate halves what an expert says at the start, and two experts add little.",
      of: saved("bits", "dense", "2 experts"),
    },
    {
      name: "8 experts save over dense",
      unit: "bits per byte",
      published: { direction: 1, text: "gains with 8 experts" },
      expected: "same direction",
      why: "Eight scripts, eight experts.",
      of: saved("bits", "dense", "8 experts"),
    },
    {
      name: "64 experts save over 8",
      unit: "bits per byte",
      published: { direction: 1, text: "+0.061 nats from 16 to 64" },
      expected: "not resolvable at this size",
      why: "Each of 64 experts sees some 3,200 bytes; what it could learn from more is not there.",
      of: saved("bits", "8 experts", "64 experts"),
    },
    {
      name: "three doublings to 8 save more than the next three",
      unit: "bits per byte",
      published: { direction: 1, text: "63 % of the gain by 16 of 256 experts" },
      expected: "same direction",
      why: "Diminishing returns come early where the text is small.",
      of: (seed) => saved("bits", "dense", "8 experts")(seed) - saved("bits", "8 experts", "64 experts")(seed),
    },
  ],
  picture: (seeds) => {
    const points = (name: string) => arms.map(({ name: arm }, i): [number, number] => [i, meanOf(seeds, (seed) => value(seed(arm), name))]);
    const description = "Held-out and training bits per byte by the number of experts; dense counts as one";
    const series = [
      { name: "held out", points: points("bits") },
      { name: "training", points: points("training") },
    ];
    return {
      svg: curve({ title: "More experts at equal FLOPs", description, series, x: "log2 of the number of experts", y: "bits per byte" }),
      description,
    };
  },
};
