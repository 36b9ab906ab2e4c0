/** docs/paper.md and its pictures, from the claims and the results that are shipped. */
import { formatSeconds } from "../train/progress.ts";
import { intervals } from "../train/svg/index.ts";
import type { Claim, Seed } from "./claim.ts";
import { cellOf, holding, judge } from "./judged.ts";
import type { Judged } from "./judged.ts";
import { readings } from "./readings.ts";
import { seedsFrom, timesOf } from "./results.ts";
import type { ClaimResults, Results } from "./results.ts";
import { verdicts } from "./statistics.ts";
import { interval, shown, verdictWords } from "./words.ts";

export const PAGE = "docs/paper.md";
const PICTURES = "docs/pictures";

/** A claim with everything that is shown of it. */
interface Section {
  readonly claim: Claim;
  readonly results: ClaimResults;
  readonly seeds: readonly Seed[];
  readonly judged: readonly Judged[];
}

/** The files of the page, by path. */
export function pageFiles(claims: readonly Claim[], results: Results): Map<string, string> {
  const sections = claims.map((claim): Section => {
    const seeds = seedsFrom(claim, results);
    const own = results.claims.find(({ number }) => number === claim.number);
    if (!own) throw new RangeError(`claim ${claim.number} has no results`);
    return { claim, results: own, seeds, judged: judge(claim, seeds) };
  });
  const holds = holding(sections.flatMap(({ judged }) => judged));
  const pictures = sections.flatMap((section) => picturesOf(section).map(({ path, svg }): [string, string] => [path, `${svg}\n`]));
  return new Map([
    [PAGE, [head(sections, holds), ...sections.map((section) => sectionOf(section, holds))].join("\n\n") + "\n"],
    ...pictures,
  ]);
}

/** Each with a capital and a full stop. */
const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
const sentences = (texts: readonly string[]): string => texts.map(sentence).join(" ");

const two = (n: number): string => String(n).padStart(2, "0");
const row = (...cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
const table = (columns: readonly string[], rows: readonly (readonly string[])[]): string =>
  [row(...columns), `|${columns.map(() => "---").join("|")}|`, ...rows.map((cells) => row(...cells))].join("\n");

/** Where a heading leads, as GitHub makes it. */
export const anchorOf = ({ number, title }: Claim): string =>
  `${number}-${title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\- ]/gu, "")
    .replaceAll(" ", "-")}`;

function head(sections: readonly Section[], holds: ReadonlySet<Judged>): string {
  const all = sections.flatMap(({ judged }) => judged);
  const main = sections.map(({ judged: [first] }) => first);
  const count = (of: readonly Judged[], verdict: string): number => of.filter((one) => one.verdict === verdict).length;
  const hits = (of: readonly Judged[]): number => of.filter(({ verdict, comparison }) => verdict === comparison.expected).length;
  const seconds = sections.reduce((sum, { results }) => sum + results.seconds, 0);
  return `# The papers' claims, re-run

${sections.length} claims of the Switch paper and its relatives, at a size that two cores manage. Before a claim was run, its file in
\`examples/paper/claims\` ([what a claim is](../examples/paper/claim.ts)) said what was published, which verdict was expected at this size
and why, and what so small a model cannot show. What came out is below, misses with the same room as hits. This page and its pictures are
made from \`docs/paper/results.json\`.

\`\`\`sh
npm run paper              # lists the claims, with their state and cost
npm run paper -- 3 5       # runs some; Ctrl-C loses only the runs in progress
npm run paper -- --all --quick
\`\`\`

**How to read the verdicts.** All sides of a claim see the same batches with the same seed, and what is averaged is their difference, seed
by seed. The interval is 95 % of Student's t over seeds; where there is no number for each seed (a ratio of means, of deviations) it is a
percentile bootstrap over seeds, marked b. *Same direction*: the interval lies on the side that was published, or, where no difference was
published, within the margin that the claim names. *Opposite*: it lies on the other side. Else *not resolvable at this size*, with the
seeds that would resolve a difference as large as the one found in four of five trials. Signs are turned so that a positive number is what
the sentence says.

**Many comparisons.** There are ${all.length}. At 95 %, one in twenty that has no effect behind it is resolved by chance. Those whose
difference from 0 holds for all of them together (Holm's correction, 5 %) are marked •: ${holds.size} of ${all.length}.

**Sizes.** Most claims share one model: two blocks of width 32, a hidden width of 64, 8 experts, batches of 512 bytes, 400 steps; the text
is the Universal Declaration of Human Rights in eight scripts, or Moby-Dick. The size was chosen on seeds that no claim counts, as the
smallest on which Switch was ahead of dense. What the Switch paper has in an encoder-decoder that fills in spans is run in a small one as
well, and stands first: one block in each stack, batches of 2,048 bytes, of which some 500 tokens are predicted, scored in the paper's
measure. The papers' models are ten thousand to a million times larger and see a million times more text: a verdict says what this size
shows, not whether the paper is right.

**Outcome.** Of the ${sections.length} claims (each by its first comparison):
${verdicts.map((verdict) => `${count(main, verdict)} ${verdict}`).join(", ")}; ${hits(main)} as expected. Of all ${all.length}
comparisons: ${verdicts.map((verdict) => `${count(all, verdict)} ${verdict}`).join(", ")}; ${hits(all)} as expected.

${origins(sections)} ${formatSeconds(seconds)} of run time in all, beside other work (a run that claims share counts for each of them).

${table(
  ["claim", "first comparison", "ours (95 %)", "verdict", "expected"],
  sections.map(({ claim, judged: [first] }) => [
    `[${claim.number}. ${claim.title}](#${anchorOf(claim)})`,
    first.comparison.name,
    `${marked(first, holds)} ${first.comparison.unit}`,
    verdictWords(first),
    first.comparison.expected,
  ]),
)}`;
}

/** A sentence for each place and time at which claims were computed. */
function origins(sections: readonly Section[]): string {
  const groups = new Map<string, Section[]>();
  for (const section of sections) {
    const name = JSON.stringify(section.results.origin);
    groups.set(name, [...(groups.get(name) ?? []), section]);
  }
  return [...groups.values()]
    .map((group) => {
      const { commit, date, machine } = group[0].results.origin;
      const whose = groups.size === 1 ? "" : `Claim${group.length === 1 ? "" : "s"} ${listed(group.map(({ claim }) => claim.number))}: `;
      const node = machine.node.replace("v", "");
      return (
        `${whose}${whose ? "computed" : "Computed"} on ${date} from commit \`${commit.slice(0, 12)}\` on ${machine.cpu}, ` +
        `${machine.cores} cores, Node ${node}, ${machine.backend} for each run.`
      );
    })
    .join("\n");
}

/** 1 to 3, 5, 6 */
function listed(numbers: readonly number[]): string {
  const runs: [number, number][] = [];
  for (const n of numbers) {
    const last = runs[runs.length - 1];
    if (last && last[1] === n - 1) last[1] = n;
    else runs.push([n, n]);
  }
  return runs.map(([first, last]) => (last - first < 2 ? [...new Set([first, last])].join(", ") : `${first} to ${last}`)).join(", ");
}

const marked = (one: Judged, holds: ReadonlySet<Judged>): string =>
  `${interval(one)}${one.interval === "bootstrap" ? " b" : ""}${holds.has(one) ? " •" : ""}`;

function sectionOf(section: Section, holds: ReadonlySet<Judged>): string {
  const { claim, results, seeds, judged } = section;
  const reading = readings[claim.number];
  const pictures = picturesOf(section).map(({ path, hint }) => `![${hint}](${path.replace("docs/", "")})`);
  return [
    `## ${claim.number}. ${claim.title}`,
    `${claim.source}. Run it again: \`npm run paper -- ${claim.number}\` (${seeds.length} seeds, ${formatSeconds(results.seconds)} ` +
      "of run time).",
    `**Published.** ${sentences(claim.published)}`,
    `**Here.** ${claim.setting}`,
    `**Said before.** ${claim.limits}`,
    ...(reading ? [`**What came out.** ${reading}`] : []),
    ...pictures,
    table(
      ["comparison", "published", "ours (95 %)", "verdict", "expected, and why"],
      judged.map((one) => [
        one.comparison.name + (one.without > 0 ? ` (${one.without} seeds without a number left out)` : ""),
        one.comparison.published.text,
        `${marked(one, holds)} ${one.comparison.unit}`,
        verdictWords(one),
        `${one.comparison.expected}. ${one.comparison.why}`,
      ]),
    ),
    armsTable(claim, seeds),
    ...timings(claim, seeds),
  ].join("\n\n");
}

function armsTable({ arms, columns }: Claim, seeds: readonly Seed[]): string {
  const trained = arms.filter(({ settings }) => settings(1).program === "train");
  return table(
    ["mean ± deviation over seeds", ...columns.map(({ name }) => name)],
    trained.map(({ name, note }) => [
      note ? `${name} (${note})` : name,
      ...columns.map((column) => {
        const { mean, deviation } = cellOf(column, name, seeds);
        if (!Number.isFinite(mean)) return "-";
        const spread = deviation.toFixed(column.digits);
        return Number(spread) === 0 ? mean.toFixed(column.digits) : `${mean.toFixed(column.digits)} ± ${spread}`;
      }),
    ]),
  );
}

/** Medians of the step times, the middle of the seeds' medians. */
function timings({ arms }: Claim, seeds: readonly Seed[]): string[] {
  return arms
    .filter(({ settings }) => settings(1).program === "timing")
    .map(({ name }) => {
      const middle = (model: string): number =>
        seeds.map((seed) => seed(name).values[model] ?? NaN).toSorted((a, b) => a - b)[seeds.length >> 1];
      const models = timesOf(seeds[0](name)).map(([model]) => `${model} ${middle(model).toFixed(1)}`);
      return (
        `Milliseconds of a step, the middle of the seeds' medians, on a machine with other work: ${models.join(", ")}. Ratios are of ` +
        "one process each."
      );
    });
}

interface Drawn {
  readonly path: string;
  readonly svg: string;
  /** What is to be seen, in short; the drawing itself says more. */
  readonly hint: string;
}

function picturesOf({ claim, seeds, judged }: Section): Drawn[] {
  const own = claim.picture?.(seeds);
  const description =
    `Intervals of the comparisons of claim ${claim.number}: ` +
    `${judged.map((one) => `${one.comparison.name} ${interval(one)}`).join("; ")}`;
  const rows = judged.map((one) => {
    const { comparison, estimate } = one;
    const { published } = comparison;
    const turn = published.direction === -1 ? -1 : 1;
    const [low, high] = [estimate.low * turn, estimate.high * turn].toSorted((a, b) => a - b);
    return {
      name: `${comparison.name}: ${shown(estimate.mean, comparison.digits ?? 3)} ${comparison.unit}`,
      value: estimate.mean * turn,
      low,
      high,
      text: interval(one),
      ...(published.direction === 0 && { margin: published.margin }),
    };
  });
  const forest = intervals({ title: claim.title, description, rows, left: "opposite", right: "as published" });
  return [
    { path: `${PICTURES}/paper-${two(claim.number)}.svg`, svg: forest, hint: "The intervals of the comparisons, each around 0" },
    ...(own ? [{ path: `${PICTURES}/paper-${two(claim.number)}-more.svg`, svg: own.svg, hint: own.description }] : []),
  ];
}
