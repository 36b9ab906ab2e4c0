/** What was typed behind `npm run paper --`: numbers of claims, and options. */
import { parseArgs } from "node:util";
import { describeOptions, flag, integer, readOptions, text } from "../train/commandLine.ts";
import type { Reader } from "../train/commandLine.ts";
import { UserError } from "../train/userError.ts";
import type { Extent } from "./plan.ts";

const options = (read: Reader) => ({
  all: read("all", flag, false, "run every claim"),
  quick: read("quick", flag, false, "a tenth of the steps"),
  steps: read("steps", integer(0), 0, "at most so many steps of each run, to see that it works; 0: all"),
  seeds: read("seeds", integer(0), 0, "at most so many seeds, at least 2; 0: all"),
  jobs: read("jobs", integer(1), 2, "runs at once, each on one thread"),
  cache: read("cache", text("FOLDER"), "runs/paper", "where results are kept"),
  publish: read(
    "publish",
    flag,
    false,
    "write docs/paper/results.json, docs/paper.md and its pictures from the results of the claims named, or of all, run in full",
  ),
  page: read("page", flag, false, "write docs/paper.md and its pictures from docs/paper/results.json alone"),
});

export type PaperOptions = ReturnType<typeof options>;

export const help = (): string =>
  [
    "npm run paper [-- CLAIM ... [options]]",
    "",
    "Without a claim it lists them, with their state and cost. Results are kept: a run is never done twice, and Ctrl-C loses only " +
      "the runs in progress.",
    "",
    ...describeOptions(options),
  ].join("\n");

/**
 * Numbers of claims as they were typed, and the options; null: help was asked for. Throws a UserError, one line, for what it does not
 * understand.
 */
export function parsed(argv: readonly string[]): { readonly asked: readonly string[]; readonly options: PaperOptions } | null {
  if (argv.includes("--help") || argv.includes("-h")) return null;
  const positions = positionals(argv);
  const asked = argv.filter((_, i) => positions.has(i));
  const given = readOptions("paper", options, argv.filter((_, i) => !positions.has(i))); // prettier-ignore
  const { all, page } = given;
  if (asked.length > 0 && (all || page)) throw new UserError(`paper: ${asked.join(" ")} and --${all ? "all" : "page"}: one or the other`);
  return { asked, options: given };
}

/** Where arguments stand that belong to no option. */
function positionals(argv: readonly string[]): Set<number> {
  const names: string[] = [];
  const flags: string[] = [];
  options((name, kind, value) => {
    (kind.placeholder === "" ? flags : names).push(name);
    return value;
  });
  const known = Object.fromEntries([
    ...names.map((name) => [name, { type: "string" as const }]),
    ...flags.map((name) => [name, { type: "boolean" as const }]),
  ]);
  const { tokens } = parseArgs({ args: [...argv], strict: false, tokens: true, allowPositionals: true, options: known });
  return new Set(tokens.flatMap((token) => (token.kind === "positional" ? [token.index] : [])));
}

/** How much of each run is asked for. */
export function extentOf({ quick, steps, seeds }: Pick<PaperOptions, "quick" | "steps" | "seeds">): Extent {
  const tenth = (n: number): number => (quick ? Math.max(2, Math.ceil(n / 10)) : n);
  return {
    steps: (n) => Math.min(tenth(n), steps || Infinity),
    seeds: (n) => (seeds === 0 ? n : Math.max(2, Math.min(n, seeds))),
  };
}
