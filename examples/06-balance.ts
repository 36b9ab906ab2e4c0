/**
 * Lesson 6: the load-balancing loss, alpha E sum f P, at alpha 0, 0.01 and 0.1, and with f and P taken per sequence instead of over the
 * batch. Fedus et al. 2021, arXiv:2101.03961, eq. 4-6.
 *
 * Expect: with a larger alpha a more even load and fewer drops. At this size even alpha 0 does not collapse; it ends 0.02 to 0.2 bits
 * behind 0.1. Over the batch an even load costs no specialisation: an expert's number tells 0.6 to 1.5 bits of the language, and seeds
 * differ more in that than alphas. Per sequence it tells 0.05 to 0.5 bits, at 0.01 already, because each language alone has to use all
 * experts. Over more seeds, with intervals, and with a set-up that does collapse: claims 11 and 17 of docs/paper.md.
 */
import { expertShares } from "./train/information.ts";
import { begin, keepPicture, outcomeOf, promised, recentBits, stepsOf, trainLesson } from "./train/lesson.ts";
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

/** What a setting came to: training bits, I(expert; language), and the share of each language's bytes at each expert, in per cent. */
interface Found {
  readonly name: string;
  readonly bits: number;
  readonly known: number;
  readonly shares: readonly (readonly number[])[];
}

console.log("                    bits   dropped  entropy  MaxVio  I(expert; language), last layer");
const found: Found[] = [];
for (const { name, ...change } of settings) {
  const run = await trainLesson(corpus, { steps: stepsOf(150), ...change });
  const { dropped, entropy, violation, information } = await outcomeOf(run, corpus);
  if (!information) throw new TypeError("a sparse model");
  const { known, shuffled, layer } = information;
  const bits = recentBits(run.reports);
  console.log(
    `${name.padEnd(18)}  ${bits.toFixed(3)}  ${(100 * dropped).toFixed(1).padStart(5)} %  ${entropy.toFixed(4)}   ` +
      `${violation.toFixed(2)}    ${known.toFixed(3)} (shuffled ${shuffled.toFixed(3)})`,
  );
  found.push({ name, bits, known, shares: expertShares(layer).map((row) => row.map((share) => 100 * share)) });
}
const [none, weak, strong, perSequence] = found;
promised("alpha 0 behind alpha 0.1, bits per byte", none.bits - strong.bits, 0.02, 0.2);
promised("I(expert; language) at alpha 0.01 over the batch", weak.known, 0.6, 1.5);
promised("I(expert; language) per sequence", perSequence.known, 0.05, 0.5);

// One scale for all four, so that a shade means the same everywhere.
const most = Math.max(...found.flatMap(({ shares }) => shares.flat()));
for (const { name, shares } of found)
  keepPicture(
    `06-balance-${name.replaceAll(" ", "-")}`,
    heatMap({
      title: `Who goes where, ${name}`,
      description: "Share of each language's bytes that each expert of the last layer takes",
      rows: corpus.classes.map((text) => text.name),
      columns: shares[0].map((_, e) => String(e)),
      values: shares,
      row: "language",
      column: "expert",
      unit: "% of the language's bytes",
      most,
    }),
  );
