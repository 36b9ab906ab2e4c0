/**
 * Lesson 20: every router on the same text, seeds and batches, at equal compute per byte. What it costs, what it drops, how even it
 * is, and how much an expert's number tells of the language. Writes runs/lessons/20-routers.html with the curves overlaid and the trade
 * of balance against specialisation: a point per alpha and scope of the balance loss.
 *
 * Expect: most learnt routers within a few hundredths of a bit of each other and ahead of the dense twin; dense softmax and noisy top-k
 * behind, whose experts are thin or start blind. So early a hash is ahead of them all: it has nothing to learn. Balance and
 * specialisation pull against each other where the loss counts per sequence: at alpha 0.1 an expert tells a tenth of a bit of the
 * language, over the batch a whole one. Losses marked * know the future. On text this short of steps they are not low even so, and
 * that is no proof of honesty: lesson 13 has the coins. Some minutes; more steps part the routers better.
 */
import { key } from "switchyard-moe";
import { loadEntropy, maxViolation } from "switchyard-moe/moe";
import { writeAtomically } from "./train/checkpoint.ts";
import { specialisation } from "./train/information.ts";
import { begin, keepPicture, meanBits, score, short, stepsOf, trainLesson } from "./train/lesson.ts";
import type { LessonOptions } from "./train/lesson.ts";
import { reportHtml } from "./train/report.ts";
import { caution, routerNames } from "./train/routers.ts";
import type { RouterName } from "./train/routers.ts";
import { curve, scatter } from "./train/svg/index.ts";
import type { Point, Series, Spot, SpotGroup } from "./train/svg/index.ts";
import { loadDeclaration } from "./train/text.ts";

await begin("Every router at equal compute per byte");
const corpus = loadDeclaration("scripts");
const seeds = short ? [1] : [1, 2];
const steps = stepsOf(80); // three hundred or more part the routers better, and take as much longer

interface Result {
  readonly bits: number;
  readonly dropped: number;
  readonly entropy: number;
  readonly violation: number;
  readonly information: number;
  readonly milliseconds: number;
  readonly course: readonly Point[];
  readonly caution: string | null;
}

/** One training run, and what its last layer's experts know about the language. */
async function result(options: LessonOptions): Promise<Result> {
  const run = await trainLesson(corpus, options);
  const last = run.reports.slice(-20);
  const load = last[0].load.map((_, e) => last.reduce((sum, report) => sum + report.load[e], 0));
  const { bits, observed } = await score(run, corpus, 96);
  const random = key(1).at("shuffle");
  const layer = observed[observed.length - 1]; // none in a dense model
  const information = layer ? specialisation(layer, (i) => random.number(i)).expertLanguage : 0;
  const gaps = run.seconds.map((second, i) => second - (run.seconds[i - 1] ?? 0)).toSorted((a, b) => a - b);
  return {
    bits,
    dropped: mean(last.map(({ dropped }) => dropped)),
    entropy: loadEntropy(load),
    violation: maxViolation(load),
    information,
    milliseconds: 1000 * gaps[gaps.length >> 1],
    course: run.reports
      .filter(({ step }) => step > 20 && step % 5 === 0)
      .map(({ step }) => [step, meanBits(run.reports.slice(step - 5, step))]),
    caution: caution(run.trainer.model),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

const text = (x: number, digits = 3): string => x.toFixed(digits);

const columns = ["router", "held out, bits per byte", "range", "dropped", "load entropy", "MaxVio", "I(expert; language)", "ms per step"];
const rows: string[][] = [];
const courses = new Map<string, Series>();
const spots: Spot[] = [];
const cautions = new Set<string>();
console.log(columns.join(" | "));
for (const router of ["dense", ...routerNames] as const) {
  const results: Result[] = [];
  for (const seed of seeds) results.push(await result({ router, steps, seed }));
  const over = (of: (one: Result) => number): number => mean(results.map(of));
  const bits = results.map((one) => one.bits);
  const [{ caution: warning, course }] = results;
  if (warning) cautions.add(warning);
  const name = warning?.includes("neither") ? `${router} *` : router;
  const routed = router === "dense" ? ["-", "-", "-", "-"] : [`${text(100 * over((one) => one.dropped), 1)} %`, text(over((one) => one.entropy)), text(over((one) => one.violation), 2), text(over((one) => one.information))]; // prettier-ignore
  rows.push([name, text(mean(bits)), `${text(Math.min(...bits))} to ${text(Math.max(...bits))}`, ...routed, text(over((one) => one.milliseconds), 0)]); // prettier-ignore
  console.log(rows[rows.length - 1].join(" | "));
  courses.set(router, { name: router, points: course });
  if (router !== "dense" && router !== "switch")
    spots.push({ name: router, x: over((one) => one.violation), y: over((one) => one.information) });
}

console.log("\nSwitch by alpha and scope of the balance loss: MaxVio, I(expert; language), bits per byte");
const byScope = { batch: [] as Spot[], sequence: [] as Spot[] };
for (const balanceScope of ["batch", "sequence"] as const)
  for (const alpha of balanceScope === "batch" ? [0, 0.01, 0.1] : [0.01, 0.1]) {
    const one = await result({ router: "switch", steps, alpha, balanceScope });
    byScope[balanceScope].push({ name: `alpha ${alpha}, ${balanceScope}`, x: one.violation, y: one.information });
    console.log(
      `  alpha ${String(alpha).padEnd(4)} per ${balanceScope.padEnd(8)}  ${text(one.violation, 2)}  ${text(one.information)}  ${text(one.bits)}`,
    );
  }

const families: Record<string, readonly (RouterName | "dense")[]> = {
  "One expert for each byte": ["dense", "switch", "no-token-left-behind", "dropless", "loss-free", "hash", "balanced"],
  "Several experts for each byte": ["dense", "dense-softmax", "noisy-top-k", "top-k", "gshard", "mixtral", "deepseek"],
  "Experts choose, slots mix: these know the future": ["dense", "expert-choice", "expert-choice-capped", "soft"],
};
const groups: SpotGroup[] = [{ name: "Switch, loss over the batch", spots: byScope.batch }, { name: "Switch, per sequence", spots: byScope.sequence }, { name: "other routers", spots }]; // prettier-ignore
const trade = "To the right loads are uneven, at the top an expert's number tells the language of a byte.";
const comparisons = [
  ...Object.entries(families).map(([title, names]) => ({ text: "Training loss from step 25 on, means of five steps.", drawing: curve({ title, description: "Training loss by step, beside the dense twin", series: names.flatMap((name) => courses.get(name) ?? []), x: "step", y: "bits per byte" }) })), // prettier-ignore
  { text: trade, drawing: scatter({ title: "Balance against specialisation", description: trade, groups, x: "MaxVio", y: "I(expert; language), bits" }) }, // prettier-ignore
];
const notes = [...cautions, "deepseek has four times as many experts, each a quarter as wide: their numbers can tell up to log2 4 = 2 bits more.", "One split of the text carries about 0.12 bits of chance, and so few steps tell little of many: read the table for what differs by more."]; // prettier-ignore
writeAtomically(
  "runs/lessons/20-routers.html",
  reportHtml({
    title: "Every router at equal compute per byte",
    lead: `${routerNames.length} routers, ${seeds.length} seeds, ${steps} steps on ${corpus.classes.length} languages.`,
    facts: [],
    command: "npm run example 20",
    settings: { steps, seeds: seeds.join(", "), text: corpus.source },
    training: [],
    validation: [],
    baselines: [],
    load: [],
    comparisons,
    passages: [],
    samples: [],
    summary: "See the summary that npm start -- --router NAME prints.",
    tables: [
      { caption: "Means over seeds; load, MaxVio and drops of the last twenty steps, information of the last layer", columns, rows },
    ],
    notes,
  }),
);
keepPicture("20-trade", comparisons[comparisons.length - 1].drawing);
console.log("report: runs/lessons/20-routers.html; * knows the future, see lesson 13");
