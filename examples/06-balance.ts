/**
 * Lesson 6: the load-balancing loss, alpha E sum f P, at alpha 0, 0.01 and 0.1, and with f and P taken per sequence instead of over the
 * batch. Fedus et al. 2021, arXiv:2101.03961, eq. 4-6.
 *
 * Expect: more alpha, evener load and fewer drops. At this size even alpha 0 does not collapse; it ends a few hundredths of a bit behind
 * 0.1. Over the batch an even load costs no specialisation: an expert's number tells 0.7 to 1.3 bits of the language, and seeds differ
 * more in that than alphas. Per sequence it tells a quarter of a bit, at 0.01 already, because each language alone has to use all experts.
 */
import { expertShares } from "./train/information.ts";
import { begin, keepPicture, outcomeOf, recentBits, stepsOf, trainLesson } from "./train/lesson.ts";
import { heatMap } from "./train/svg/index.ts";
import { loadDeclaration } from "./train/text.ts";

await begin("Balance against specialisation");
const corpus = loadDeclaration("scripts");
const settings = [
  { name: "alpha 0", alpha: 0, balanceScope: "batch" },
  { name: "alpha 0.01", alpha: 0.01, balanceScope: "batch" },
  { name: "alpha 0.1", alpha: 0.1, balanceScope: "batch" },
  { name: "0.01 per sequence", alpha: 0.01, balanceScope: "sequence" },
] as const;

console.log("                    bits   dropped  entropy  MaxVio  I(expert; language), last layer");
for (const { name, ...change } of settings) {
  const run = await trainLesson(corpus, { steps: stepsOf(150), ...change });
  const { dropped, entropy, violation, information } = await outcomeOf(run, corpus);
  if (!information) throw new TypeError("a sparse model");
  const { known, shuffled, layer } = information;
  console.log(
    `${name.padEnd(18)}  ${recentBits(run.reports).toFixed(3)}  ${(100 * dropped).toFixed(1).padStart(5)} %  ${entropy.toFixed(4)}   ${violation.toFixed(2)}    ${known.toFixed(3)} (shuffled ${shuffled.toFixed(3)})`,
  );
  const shares = expertShares(layer).map((row) => row.map((share) => 100 * share));
  const experts = shares[0].map((_, e) => String(e));
  keepPicture(`06-balance-${name.replaceAll(" ", "-")}`, heatMap({ title: `Who goes where, ${name}`, description: "Share of each language's bytes that each expert of the last layer takes", rows: corpus.classes.map((text) => text.name), columns: experts, values: shares, row: "language", column: "expert", unit: "% of the language's bytes" })); // prettier-ignore
}
