/**
 * The claims of the Switch paper and its relatives, re-run at a small size: `npm run paper` lists them, `npm run paper -- 3 5` runs some,
 * `npm run paper -- --help` names the options.
 */
import { parseArgs } from "node:util";
import { describeOptions, flag, integer, readOptions, text } from "../train/commandLine.ts";
import type { Reader } from "../train/commandLine.ts";
import { formatSeconds } from "../train/progress.ts";
import { listenForStop } from "../train/stopping.ts";
import { UserError } from "../train/userError.ts";
import { Cache } from "./cache.ts";
import type { Claim } from "./claim.ts";
import { allClaims, chosen } from "./claims.ts";
import { judge } from "./judged.ts";
import type { Extent } from "./plan.ts";
import { full, reader, resultsOf, runsOf, stateOf } from "./plan.ts";
import { programOf } from "./program.ts";
import type { Program } from "./program.ts";
import { work } from "./runner.ts";
import { interval, verdictWords } from "./words.ts";

const options = (read: Reader) => ({
  all: read("all", flag, false, "run every claim"),
  quick: read("quick", flag, false, "a tenth of the steps"),
  steps: read("steps", integer(0), 0, "at most so many steps of each run, to see that it works; 0: all"),
  seeds: read("seeds", integer(0), 0, "at most so many seeds, at least 2; 0: all"),
  jobs: read("jobs", integer(1), 2, "runs at once, each on one thread"),
  cache: read("cache", text("FOLDER"), "runs/paper", "where results are kept"),
});

type Options = ReturnType<typeof options>;

const USAGE = `npm run paper [-- CLAIM ... [options]]

Without a claim it lists them, with their state and cost. Results are kept: a run is never done twice, and Ctrl-C loses only the runs in progress.`;

/** Numbers of claims, and the options. */
function parse(argv: readonly string[]): { asked: string[]; options: Options } | "help" {
  if (argv.includes("--help") || argv.includes("-h")) return "help";
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    tokens: true,
    allowPositionals: true,
    options: {
      all: { type: "boolean" },
      quick: { type: "boolean" },
      steps: { type: "string" },
      seeds: { type: "string" },
      jobs: { type: "string" },
      cache: { type: "string" },
    },
  });
  const positional = new Set(tokens.flatMap((token) => (token.kind === "positional" ? [token.index] : [])));
  return {
    asked: argv.filter((_, i) => positional.has(i)),
    options: readOptions("paper", options, argv.filter((_, i) => !positional.has(i))), // prettier-ignore
  };
}

function extentOf({ quick, steps, seeds }: Options): Extent {
  const tenth = (n: number): number => (quick ? Math.max(2, Math.ceil(n / 10)) : n);
  return {
    steps: (n) => Math.min(tenth(n), steps || Infinity),
    seeds: (n) => (seeds === 0 ? n : Math.max(2, Math.min(n, seeds))),
  };
}

async function main(argv: readonly string[]): Promise<void> {
  const parsed = parse(argv);
  if (parsed === "help") return console.log([USAGE, ...describeOptions(options)].join("\n"));
  const { asked, options: given } = parsed;
  const claims = await allClaims();
  const wanted = given.all ? claims : chosen(claims, asked);
  const programs = new Map(
    await Promise.all((["train", "timing", "precision"] as const).map(async (name) => [name, await programOf(name)] as const)),
  );
  const cache = new Cache(given.cache);
  const tell = (note: string): void => console.error(`note: ${note}`);
  for (const program of programs.values()) cache.tidy(program);
  const others = cache.others([...programs.values()]);
  if (others) tell(others);
  if (wanted.length === 0) return list(claims, cache, programs, tell);
  await runClaims(wanted, extentOf(given), given, { cache, programs, tell });
}

interface Place {
  readonly cache: Cache;
  readonly programs: ReadonlyMap<string, Program>;
  readonly tell: (note: string) => void;
}

function list(claims: readonly Claim[], cache: Cache, programs: Place["programs"], tell: Place["tell"]): void {
  const read = reader(cache, programs, tell);
  console.log("claim  runs kept  thread time  left     what");
  for (const claim of claims) {
    const runs = runsOf([claim], full);
    const { done, seconds, left } = stateOf(runs, read);
    const state = `${done}/${runs.length}`.padStart(9);
    console.log(
      `${String(claim.number).padStart(5)}  ${state}  ${formatSeconds(seconds).padStart(11)}  ${formatSeconds(left).padEnd(7)}  ${claim.title}`,
    );
    const seeds = resultsOf(claim, full, read);
    if (!seeds) continue;
    const [first] = judge(claim, seeds);
    console.log(`${" ".repeat(39)}${first.comparison.name} ${interval(first)} ${first.comparison.unit}: ${verdictWords(first)}`);
  }
  console.log("\nnpm run paper -- 3 5 runs some, --all all, --quick a tenth of each; --help names the options");
}

async function runClaims(claims: readonly Claim[], extent: Extent, { jobs }: Options, { cache, programs, tell }: Place): Promise<void> {
  const stop = listenForStop();
  try {
    const plan = runsOf(claims, extent);
    const ending = await work(plan, { cache, programs, lanes: jobs, screen: process.stdout, interrupted: stop.asked, tell });
    if (ending === "interrupted") {
      process.exitCode = stop.code();
      return console.log("interrupted; what is done is kept, and the same command goes on");
    }
    const read = reader(cache, programs, tell);
    for (const claim of claims) report(claim, extent, read);
  } finally {
    stop.end();
  }
}

function report(claim: Claim, extent: Extent, read: ReturnType<typeof reader>): void {
  const seeds = resultsOf(claim, extent, read);
  if (!seeds) throw new UserError(`claim ${claim.number}: results vanished while others were computed; the same command does them again`);
  console.log(`\n${claim.number}. ${claim.title} (${seeds.length} seeds)`);
  for (const one of judge(claim, seeds)) {
    const { comparison, without } = one;
    const left = without > 0 ? `; ${without} seeds without a number` : "";
    console.log(`  ${comparison.name}: ${interval(one)} ${comparison.unit}: ${verdictWords(one)}, expected: ${comparison.expected}${left}`);
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
