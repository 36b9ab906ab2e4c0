/**
 * The results that are shipped: docs/paper/results.json, of all claims in full. It holds, seed by seed, the numbers that the page reads,
 * and no others; everything on the page is computed from them again.
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { attempt } from "../train/files.ts";
import { UserError } from "../train/userError.ts";
import type { Claim, Seed } from "./claim.ts";
import { cellOf, judge } from "./judged.ts";
import { seedFrom } from "./plan.ts";
import type { Result } from "./settings.ts";

export const RESULTS = "docs/paper/results.json";

/** Where and when numbers were computed. */
export interface Origin {
  /** Of the sources that computed them. */
  readonly commit: string;
  readonly date: string;
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string; readonly backend: string };
}

export interface ClaimResults {
  readonly number: number;
  /** Of all its runs: a claim is never put together from two versions of the sources. */
  readonly origin: Origin;
  /** Of all its runs, on one thread each; runs that claims share count for each. */
  readonly seconds: number;
  /** By arm, then seed. */
  readonly arms: Readonly<Record<string, readonly Result[]>>;
}

/** The format of the file; raised when what it means changes. */
const FORMAT = 2;

export interface Results {
  readonly format: typeof FORMAT;
  readonly claims: readonly ClaimResults[];
}

/** Here and now. */
export function originOf(backend: string): Origin {
  const [{ model }] = cpus();
  const commit = attempt("the repository", "does not tell its commit", () =>
    execFileSync("git", ["rev-parse", "HEAD"], { encoding: "utf8" }),
  );
  return {
    commit: commit.trim(),
    date: new Date().toISOString().slice(0, 10),
    machine: { cpu: model.trim(), cores: cpus().length, node: process.version, backend },
  };
}

/** The results of a claim, with no more numbers than its page reads. */
export function claimResults(
  claim: Claim,
  seeds: readonly Seed[],
  { origin, seconds }: Pick<ClaimResults, "origin" | "seconds">,
): ClaimResults {
  const read = new Map<Result, Reading>();
  const watched = seeds.map((seed): Seed => (arm) => {
    const result = seed(arm);
    const reading = read.get(result) ?? watch(result);
    read.set(result, reading);
    return reading.watched;
  });
  judge(claim, watched);
  claim.picture?.(watched);
  for (const column of claim.columns) for (const { name } of claim.arms) cellOf(column, name, watched);
  for (const { name, settings } of claim.arms) if (settings(1).program === "timing") for (const seed of watched) timesOf(seed(name));
  const arms = claim.arms.map(
    ({ name }) => [name, seeds.map((seed) => read.get(seed(name))?.kept() ?? { values: {}, courses: {} })] as const,
  );
  return { number: claim.number, origin, seconds: Math.round(seconds), arms: Object.fromEntries(arms) };
}

/** Milliseconds of a step by model, from a run that timed them. */
export const timesOf = ({ values }: Result): [string, number][] => Object.keys(values).map((name) => [name, values[name] ?? NaN]);

interface Reading {
  readonly watched: Result;
  /** What was read, rounded. */
  kept(): Result;
}

function watch(result: Result): Reading {
  const [values, courses] = [new Set<string>(), new Set<string>()];
  const noting = <T extends object>(of: T, names: Set<string>): T =>
    new Proxy(of, { get: (target, name, receiver) => (typeof name === "string" && names.add(name), Reflect.get(target, name, receiver)) });
  return {
    watched: { values: noting(result.values, values), courses: noting(result.courses, courses) },
    kept: () => ({
      values: Object.fromEntries([...values].filter((name) => name in result.values).map((name) => [name, rounded(result.values[name])])),
      courses: Object.fromEntries(
        [...courses].map((name) => [name, result.courses[name].map(([x, y]) => [x, rounded(y)] as [number, number])]),
      ),
    }),
  };
}

const rounded = <X extends number | null>(x: X): X => (x === null ? x : (Number(x.toPrecision(6)) as X));

/** The file as text, a line for each arm. */
export function written(claims: readonly ClaimResults[]): string {
  const lines = claims.map(({ arms, ...claim }) => {
    const rows = Object.entries(arms).map(([name, seeds]) => `      ${JSON.stringify(name)}: ${JSON.stringify(seeds)}`);
    return `    ${JSON.stringify(claim).slice(0, -1)}, "arms": {\n${rows.join(",\n")}\n    }}`;
  });
  return `{\n  "format": ${FORMAT},\n  "claims": [\n${lines.join(",\n")}\n  ]\n}\n`;
}

/** Reads the file. A UserError where it is missing or no such file. */
export function loadResults(path = RESULTS): Results {
  const text = attempt(path, "cannot be read", () => readFileSync(path, "utf8"));
  const value = attempt(path, "is damaged", () => JSON.parse(text) as Results);
  if (value?.format !== FORMAT || !Array.isArray(value.claims))
    throw new UserError(`${path} is no file of results: format ${JSON.stringify(value?.format)}, wanted ${FORMAT}`);
  return value;
}

/** A claim's results seed by seed. Throws a UserError where they are not those of the present claim. */
export function seedsFrom(claim: Claim, { claims }: Results): Seed[] {
  const found = claims.find(({ number }) => number === claim.number);
  const lacking = claim.arms.filter(({ name }) => found?.arms[name]?.length !== claim.seeds).map(({ name }) => name);
  if (!found || lacking.length > 0)
    throw new UserError(
      `${RESULTS}: claim ${claim.number} lacks ${claim.seeds} seeds of ${found ? lacking.join(", ") : "everything"}; run it and ` +
        "publish again",
    );
  return Array.from({ length: claim.seeds }, (_, i) => seedFrom(new Map(claim.arms.map(({ name }) => [name, found.arms[name][i]]))));
}
