/**
 * Lesson 25: the same run on one, two and four ranks. A batch is cut into four shards, each routed by itself with its own capacity. A rank
 * takes some of the shards and holds some of the experts: tokens are sent to the experts by all-to-all, and back. Which rank takes which
 * shard changes no sum if sums are in the order of shards: every loss and every weight is the same to the last bit.
 *
 * An expert has C slots for each shard, whether tokens fill them or not, so what travels is known before a token is routed. The picture
 * shows who sends how many rows to whom, and how many of them are empty: capacity's padding. Fedus et al. 2021, arXiv:2101.03961, sections
 * 2.2 and 5.
 *
 * Expect: 1 to 1 different sets of weights on all numbers of ranks, and a share of empty slots of 0.15 to 0.5.
 */
import { begin, keepPicture, promised, stepsOf } from "./train/lesson.ts";
import { sharedRun } from "./train/ranks.ts";
import type { SharedReport } from "./train/ranks.ts";
import { heatMap } from "./train/svg/index.ts";

await begin("The same run on 1, 2 and 4 ranks");
const order = { steps: stepsOf(12), shards: 4 };
const runs: SharedReport[][] = [];
for (const ranks of [1, 2, 4]) {
  const reports = await sharedRun(ranks, order);
  runs.push(reports);
  const [{ losses, weights, sent }] = reports;
  const bytes = Object.entries(sent).map(([name, n]) => `${name} ${(n / 1000).toFixed(1)} kB`);
  console.log(`${ranks} ${ranks === 1 ? "rank " : "ranks"}: last loss ${losses.at(-1)}, weights ${weights.slice(0, 16)}`);
  console.log(`  rank 0 sent in a step: ${ranks === 1 ? "nothing" : bytes.join(", ")}`);
}
const all = runs.flat().map(({ losses, weights }) => `${weights} ${losses.join()}`);
promised("different sets of weights", new Set(all).size, 1, 1);

const four = runs[2];
const names = four.map((_, r) => `rank ${r}`);
const description =
  "For each of four ranks, the rows that it sends to each rank in one sparse layer and step: those with a token, and the empty ones " +
  "beside them";
const picture = heatMap({
  title: "Rows that each rank sends to each in one sparse layer: with a token, and empty",
  description,
  rows: names,
  columns: names.flatMap((_, r) => [`to ${r}`, "empty"]),
  values: four.map(({ filled, empty }) => filled.flatMap((n, r) => [n, empty[r]])),
  row: "from",
  column: "rows",
  unit: "rows",
});
console.log();
four.forEach(({ filled, empty }, r) =>
  console.log(`rank ${r} sends ${filled.map((n, to) => `${n} + ${empty[to]} empty to ${to}`).join(", ")}`),
);
keepPicture("25-who-sends-whom", picture);
const total = (of: "filled" | "empty"): number => four.flatMap((report) => report[of]).reduce((sum, n) => sum + n, 0);
promised("share of slots that travel empty", total("empty") / (total("empty") + total("filled")), 0.15, 0.5);
