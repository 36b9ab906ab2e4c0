/**
 * Lesson 4: the same Transformer with Switch layers: eight experts in place of one feed-forward layer, and each byte goes to one of them.
 * The computation per byte is the same, the number of parameters is larger. Fedus et al. 2021, arXiv:2101.03961.
 *
 * Expect: the sparse model is behind for a hundred steps or so; at equal steps it ends 0.01 to 0.08 bits ahead in training and -0.01 to
 * 0.07 ahead on held-out text (three seeds; more steps part them better). At equal seconds it is behind or even, because routing takes
 * time: a step takes up to a third longer. Both comparisons are printed, whatever their result. Over more seeds, with intervals: claims 1,
 * 5 and 6 of docs/paper.md.
 */
import { summary } from "switchyard-moe/nn";
import { begin, keepPicture, meanBits, promised, recentBits, score, short, stepsOf, trainLesson } from "./train/lesson.ts";
import type { LessonRun } from "./train/lesson.ts";
import { curve } from "./train/svg/index.ts";
import { loadDeclaration } from "./train/text.ts";

await begin("Dense against Switch at equal compute per byte");
const corpus = loadDeclaration("scripts");
const steps = stepsOf(250);
const dense = await trainLesson(corpus, { router: "dense", steps });
const sparse = await trainLesson(corpus, { router: "switch", steps });

/** Prints what a run has cost and reached; answers with its bits per byte on held-out text. */
async function describe(name: string, run: LessonRun): Promise<number> {
  const { parameters, active, flops } = summary(run.trainer.model, { length: 64 });
  const { bits } = await score(run, corpus);
  const seconds = run.seconds[run.seconds.length - 1];
  const count = (n: number): string => n.toLocaleString("en-US").padStart(8);
  const size = `${count(parameters)} parameters, ${count(active)} active, ${count(flops)} FLOPs per byte`;
  const loss = `training ${recentBits(run.reports).toFixed(3)}, held out ${bits.toFixed(3)} bits per byte after ${seconds.toFixed(1)} s`;
  console.log(`${name.padEnd(7)} ${size}: ${loss}`);
  return bits;
}
const heldOut = { dense: await describe("dense", dense), sparse: await describe("switch", sparse) };

/** The smoothed training loss that a run had reached after so many seconds. */
function reached(run: LessonRun, limit: number): number {
  return recentBits(run.reports.slice(0, Math.max(1, run.seconds.filter((seconds) => seconds <= limit).length)));
}
const limit = Math.min(...[dense, sparse].map((run) => run.seconds[run.seconds.length - 1]));
console.log(
  `\nat equal steps: dense ${recentBits(dense.reports).toFixed(3)}, switch ${recentBits(sparse.reports).toFixed(3)} bits per byte in ` +
    "training",
);
promised("Switch is ahead in training by", recentBits(dense.reports) - recentBits(sparse.reports), 0.01, 0.08);
promised("Switch is ahead on held-out text by", heldOut.dense - heldOut.sparse, -0.01, 0.07);
console.log(
  `at equal seconds (${limit.toFixed(1)} s): dense ${reached(dense, limit).toFixed(3)}, switch ${reached(sparse, limit).toFixed(3)}`,
);
const { load, dropped } = sparse.reports[sparse.reports.length - 1];
console.log(`last step: bytes per expert ${load.join(" ")}, dropped ${(100 * dropped).toFixed(1)} %\n`);

/** Means of ten steps, from the fiftieth on: before, both fall so far that nothing else could be seen. */
const smooth = ({ reports }: LessonRun): [number, number][] =>
  reports
    .filter(({ step }) => step % 10 === 0 && (step >= 50 || short))
    .map(({ step }) => [step, meanBits(reports.slice(step - 10, step))]);
keepPicture(
  "04-switch",
  curve({
    title: "Dense against Switch at equal compute per byte",
    description: "Training loss by step, means of ten steps",
    series: [
      { name: "dense", points: smooth(dense) },
      { name: "switch", points: smooth(sparse) },
    ],
    x: "step",
    y: "bits per byte",
  }),
);
