/**
 * Lesson 20: every router on the same text, seeds and batches, at equal compute per byte, in a model of one layer: what it costs, what it
 * drops, how even it is, and how much an expert's number tells of the language. Writes runs/lessons/20-routers.html with the curves
 * overlaid and the trade of balance against specialisation: a point per alpha and scope of the balance loss.
 *
 * Expect: in bits no router is ahead of the dense twin by more than seeds differ, because a model this small, after so few steps, has
 * little use for more parameters; Expert Choice and balanced assignment are behind. What routers do can be seen nevertheless. Experts that
 * choose are loaded evenly, a hash drops 10 to 18 %; Soft MoE's experts and a hash's know half a bit of the language at most, learnt
 * choices one and more. And balance pulls against specialisation where the loss counts per sequence: at alpha 0.1 an expert tells an eighth
 * of a bit of the language, over the batch about one. Models marked * see the future. Their losses are not lower here, which does not prove
 * that they do not use it: see the coins of lesson 13. About a minute.
 */
import { writeAtomically } from "./train/files.ts";
import { begin, keepPicture, meanBits, outcomeOf, promised, short, stepsOf, trainLesson } from "./train/lesson.ts";
import type { LessonOptions, LessonRun, Outcome } from "./train/lesson.ts";
import { noSingleRun, reportHtml } from "./train/report.ts";
import { routerNames } from "./train/routerNames.ts";
import type { RouterName } from "./train/routerNames.ts";
import { caution } from "./train/routers.ts";
import { curve, scatter } from "./train/svg/index.ts";
import type { Point, Series, Spot } from "./train/svg/index.ts";
import { loadDeclaration } from "./train/text.ts";

await begin("Every router at equal compute per byte");
const corpus = loadDeclaration("scripts");
const seeds = short ? [1] : [1, 2];
const model = { width: 32, heads: 2, hidden: 128, layers: 1, batch: 16, lr: 0.01, steps: stepsOf(120) };

interface Result {
  readonly name: string;
  /** Of each seed. */
  readonly outcomes: readonly Outcome[];
  /** Training loss of the first seed. */
  readonly points: readonly Point[];
  readonly caution: string | null;
}

/** What only a router has; a dense model has none. */
const routed =
  (of: (one: Outcome) => number) =>
  (one: Outcome): number =>
    one.information ? of(one) : NaN;

/** What is measured of a run, and how it is written. */
const measures: Record<string, readonly [(one: Outcome) => number, (x: number) => string]> = {
  "held out, bits per byte": [(one) => one.bits, (x) => x.toFixed(3)],
  dropped: [routed((one) => 100 * one.dropped), (x) => `${x.toFixed(1)} %`],
  "load entropy": [routed((one) => one.entropy), (x) => x.toFixed(3)],
  MaxVio: [routed((one) => one.violation), (x) => x.toFixed(2)],
  "I(expert; language)": [(one) => one.information?.known ?? NaN, (x) => x.toFixed(2)],
  "ms per step": [(one) => one.milliseconds, (x) => x.toFixed(0)],
};
const columns = ["router", ...Object.keys(measures), "range of bits"];

function mean({ outcomes }: Result, measure: keyof typeof measures): number {
  return outcomes.reduce((sum, one) => sum + measures[measure][0](one), 0) / outcomes.length;
}

function row(result: Result): string[] {
  const bits = result.outcomes.map((one) => one.bits);
  const name = result.caution?.includes("neither") ? `${result.name} *` : result.name;
  return [
    name,
    ...Object.entries(measures).map(([measure, [, text]]) => text(mean(result, measure)).replace(/NaN.*/, "-")),
    `${Math.min(...bits).toFixed(3)} to ${Math.max(...bits).toFixed(3)}`,
  ];
}

/** The small model with a few things changed, once for each seed. */
async function train(name: string, options: Partial<LessonOptions>): Promise<Result> {
  const outcomes: Outcome[] = [];
  const runs: LessonRun[] = [];
  for (const seed of seeds) {
    const run = await trainLesson(corpus, { ...model, ...options, seed });
    runs.push(run);
    outcomes.push(await outcomeOf(run, corpus, 64));
  }
  const [{ reports, trainer }] = runs;
  const points = reports
    .filter(({ step }) => step > 20 && step % 5 === 0)
    .map(({ step }): Point => [step, meanBits(reports.slice(step - 5, step))]);
  const result = { name, outcomes, points, caution: caution(trainer.model) };
  console.log(row(result).join(" | "));
  return result;
}

console.log(columns.join(" | "));
const results: Result[] = [];
for (const router of ["dense", ...routerNames] as const) results.push(await train(router, { router }));
const scopes: Record<"batch" | "sequence", Result[]> = { batch: [], sequence: [] };
for (const balanceScope of ["batch", "sequence"] as const)
  for (const alpha of balanceScope === "batch" ? [0, 0.01, 0.1] : [0.01, 0.1])
    scopes[balanceScope].push(await train(`alpha ${alpha}, ${balanceScope}`, { alpha, balanceScope }));

const hash = results.find(({ name }) => name === "hash");
if (hash) promised("% of bytes that hash routing drops", mean(hash, "dropped"), 10, 18);

const families: Record<string, readonly RouterName[]> = {
  "One expert for each byte": ["switch", "no-token-left-behind", "dropless", "loss-free", "hash", "balanced"],
  "Several experts for each byte": ["dense-softmax", "noisy-top-k", "top-k", "gshard", "mixtral", "deepseek"],
  "Experts choose, slots mix: these know the future": ["expert-choice", "expert-choice-capped", "soft"],
};
const [{ points: dense }] = results;
/** Bits above the dense twin's on the same batches: the batches' own ups and downs fall out. */
const above = ({ name, points }: Result): Series => ({ name, points: points.map(([step, bits], i) => [step, bits - dense[i][1]]) });
const spot = (result: Result): Spot => ({ name: result.name, x: mean(result, "MaxVio"), y: mean(result, "I(expert; language)") });
const groups = [
  { name: "Switch, loss over the batch", spots: scopes.batch.map(spot) },
  { name: "Switch, per sequence", spots: scopes.sequence.map(spot) },
  { name: "other routers", spots: results.filter(({ name }) => name !== "dense" && name !== "switch").map(spot) },
];
const trade = "To the right loads are uneven, at the top an expert's number tells the language of a byte.";
const scattered = scatter({
  title: "Balance against specialisation",
  description: trade,
  groups,
  x: "MaxVio",
  y: "I(expert; language), bits",
});
const curves = Object.entries(families).map(([title, names]) => ({
  text: "Training loss above the dense twin's on the same batches, means of five steps from step 25 on.",
  drawing: curve({
    title,
    description: "Training loss by step, less that of the dense twin",
    series: names.flatMap((name) => results.filter((one) => one.name === name).map(above)),
    x: "step",
    y: "bits per byte above dense",
  }),
}));
writeAtomically(
  "runs/lessons/20-routers.html",
  reportHtml({
    ...noSingleRun,
    title: "Every router at equal compute per byte",
    lead: `${routerNames.length} routers, ${seeds.length} seeds, ${model.steps} steps on ${corpus.classes.length} languages.`,
    command: "npm run example 20",
    settings: { ...model, seeds: seeds.join(", "), text: corpus.source },
    comparisons: [...curves, { text: trade, drawing: scattered }],
    summary: "See the summary that npm start -- --router NAME prints.",
    tables: [
      { caption: "Means over seeds; load, MaxVio and drops of the last twenty steps", columns, rows: results.map(row) },
      { caption: "Switch by alpha and scope of the balance loss", columns, rows: [...scopes.batch, ...scopes.sequence].map(row) },
    ],
    notes: [
      ...new Set(results.flatMap((one) => one.caution ?? [])),
      "deepseek has four times as many experts, each a quarter as wide: their numbers can tell up to log2 4 = 2 bits more.",
      "One split of the text carries about 0.12 bits of chance, and so few steps tell little of many: read the bits for what differs " +
        "by more.",
    ],
  }),
);
keepPicture("20-trade", scattered);
console.log("report: runs/lessons/20-routers.html; * knows the future, see lesson 13");
