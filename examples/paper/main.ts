/**
 * The claims of the Switch paper and its relatives, re-run at a small size: `npm run paper` lists them, `npm run paper -- 3 5` runs some,
 * `npm run paper -- --help` names the options.
 */
import { writeAtomically } from "../train/files.ts";
import { formatSeconds } from "../train/progress.ts";
import { listenForStop } from "../train/stopping.ts";
import { UserError } from "../train/userError.ts";
import { Cache } from "./cache.ts";
import type { Claim } from "./claim.ts";
import { allClaims, chosen } from "./claims.ts";
import { extentOf, help, parsed } from "./command.ts";
import type { PaperOptions } from "./command.ts";
import { judge } from "./judged.ts";
import { pageFiles } from "./page.ts";
import type { Extent } from "./plan.ts";
import { full, reader, resultsOf, runsOf, stateOf } from "./plan.ts";
import { programOf } from "./program.ts";
import type { Program } from "./program.ts";
import { RESULTS, claimResults, loadResults, originOf, written } from "./results.ts";
import type { ClaimResults, Results } from "./results.ts";
import { work } from "./runner.ts";
import { interval, verdictWords } from "./words.ts";

/** Results as far as they are kept, and where. */
interface Place {
  readonly cache: Cache;
  readonly programs: ReadonlyMap<string, Program>;
  readonly tell: (note: string) => void;
  readonly read: ReturnType<typeof reader>;
}

async function main(argv: readonly string[]): Promise<void> {
  const command = parsed(argv);
  if (command === null) return console.log(help());
  const { asked, options } = command;
  const claims = await allClaims();
  if (options.page) return writePage(claims, loadResults());
  const wanted = options.all ? claims : chosen(claims, asked);
  const place = await placeFor(options);
  if (options.publish) return publish(claims, wanted, place);
  if (wanted.length === 0) return list(claims, place);
  await runClaims(wanted, extentOf(options), options.jobs, place);
}

async function placeFor({ cache: folder }: PaperOptions): Promise<Place> {
  const names = ["train", "timing", "precision"] as const;
  const programs = new Map(await Promise.all(names.map(async (name) => [name, await programOf(name)] as const)));
  const cache = new Cache(folder);
  const tell = (note: string): void => console.error(`note: ${note}`);
  for (const program of programs.values()) cache.tidy(program);
  const others = cache.others([...programs.values()]);
  if (others) tell(others);
  return { cache, programs, tell, read: reader(cache, programs, tell) };
}

function list(claims: readonly Claim[], { read }: Place): void {
  console.log("claim  runs kept  thread time  left     what");
  for (const claim of claims) {
    const runs = runsOf([claim], full);
    const { done, seconds, left } = stateOf(runs, read);
    const state = `${done}/${runs.length}`.padStart(9);
    console.log(
      `${String(claim.number).padStart(5)}  ${state}  ${formatSeconds(seconds).padStart(11)}  ${formatSeconds(left).padEnd(7)}  ` +
        `${claim.title}`,
    );
    const seeds = resultsOf(claim, full, read);
    if (!seeds) continue;
    const [first] = judge(claim, seeds);
    console.log(`${" ".repeat(39)}${first.comparison.name} ${interval(first)} ${first.comparison.unit}: ${verdictWords(first)}`);
  }
  console.log("\nnpm run paper -- 3 5 runs some, --all all, --quick a tenth of each; --help names the options");
}

async function runClaims(claims: readonly Claim[], extent: Extent, lanes: number, place: Place): Promise<void> {
  const stop = listenForStop();
  try {
    const ending = await work(runsOf(claims, extent), { ...place, lanes, screen: process.stdout, interrupted: stop.asked });
    if (ending === "interrupted") {
      process.exitCode = stop.code();
      return console.log("interrupted; what is done is kept, and the same command goes on");
    }
  } finally {
    stop.end();
  }
  for (const claim of claims) report(claim, extent, place);
}

function report(claim: Claim, extent: Extent, { read }: Place): void {
  const seeds = resultsOf(claim, extent, read);
  if (!seeds) throw new UserError(`claim ${claim.number}: results vanished while others were computed; the same command does them again`);
  console.log(`\n${claim.number}. ${claim.title} (${seeds.length} seeds)`);
  for (const one of judge(claim, seeds)) {
    const { comparison, without } = one;
    const left = without > 0 ? `; ${without} seeds without a number` : "";
    console.log(`  ${comparison.name}: ${interval(one)} ${comparison.unit}: ${verdictWords(one)}, expected: ${comparison.expected}${left}`);
  }
}

/**
 * The results of some claims, run in full, in place of those that are shipped; none named: of all. And the page. A UserError where some are
 * missing.
 */
function publish(claims: readonly Claim[], wanted: readonly Claim[], { read }: Place): void {
  const renewed = new Map((wanted.length > 0 ? wanted : claims).map((claim) => [claim.number, found(claim, read)]));
  const shipped = renewed.size < claims.length ? loadResults().claims : [];
  const kept = claims.flatMap(({ number }) => renewed.get(number) ?? shipped.filter((one) => one.number === number));
  writeAtomically(RESULTS, written(kept));
  console.log(RESULTS);
  writePage(claims, loadResults());
}

function found(claim: Claim, read: Place["read"]): ClaimResults {
  const seeds = resultsOf(claim, full, read);
  const runs = runsOf([claim], full).flatMap(({ settings }) => read(settings) ?? []);
  if (!seeds || runs.length === 0)
    throw new UserError(`--publish: claim ${claim.number} has not been run in full: npm run paper -- ${claim.number}`);
  return claimResults(claim, seeds, { origin: originOf(runs[0].backend), seconds: runs.reduce((sum, { seconds }) => sum + seconds, 0) });
}

function writePage(claims: readonly Claim[], results: Results): void {
  for (const [path, text] of pageFiles(claims, results)) {
    writeAtomically(path, text);
    console.log(path);
  }
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UserError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
