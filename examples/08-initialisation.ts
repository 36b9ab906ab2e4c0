/**
 * Lesson 8: initialisation scale. Weights are drawn from a truncated normal of deviation sqrt(s / fan-in); the paper recommends s = 0.1
 * instead of 1.0, so deviations shrink by sqrt(10) = 3.16. Fedus et al. 2021, section 2.4, table 3.
 *
 * Expect: both start at 8.2 to 8.6 bits, above log2(256) = 8, since the scale is that of the blocks and the head is drawn alike. The
 * smaller one is 0.1 to 0.3 bits ahead after 80 steps, some ten times what seeds differ. The paper's instability at 1.0 does not show:
 * models this small do not diverge. Over more seeds: claim 3 of docs/paper.md.
 */
import { begin, keepPicture, promised, recentBits, short, stepsOf, trainLesson } from "./train/lesson.ts";
import { bars } from "./train/svg/index.ts";
import { loadDeclaration } from "./train/text.ts";

await begin("Initialisation scale 1.0 against 0.1, over seeds");
const corpus = loadDeclaration("scripts");
const seeds = short ? [1] : [1, 2, 3];
const rows = [];
for (const initScale of [1, 0.1]) {
  const results = [];
  for (const seed of seeds) {
    const { reports } = await trainLesson(corpus, { steps: stepsOf(80), seed, initScale });
    const [first, last] = [reports[0].loss / Math.LN2, recentBits(reports)];
    results.push({ first, last });
    console.log(`scale ${initScale}, seed ${seed}: first step ${first.toFixed(2)}, last quarter ${last.toFixed(3)} bits per byte`);
  }
  const last = results.map((result) => result.last);
  const mean = last.reduce((sum, bits) => sum + bits, 0) / last.length;
  const spread = Math.sqrt(last.reduce((sum, bits) => sum + (bits - mean) ** 2, 0) / last.length);
  console.log(`scale ${initScale}: mean ${mean.toFixed(3)}, deviation over ${seeds.length} seeds ${spread.toFixed(3)}\n`);
  promised("the first loss, in bits", results[0].first, 8.2, 8.6);
  rows.push({ name: `scale ${initScale}`, value: mean, low: Math.min(...last), high: Math.max(...last) });
}
promised("scale 0.1 is ahead by", rows[0].value - rows[1].value, 0.1, 0.3);
keepPicture(
  "08-initialisation",
  bars({ title: "Loss after 80 steps by initialisation scale", description: "Mean and range over seeds", bars: rows, x: "bits per byte" }),
);
