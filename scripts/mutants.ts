/**
 * Makes random single changes of the library's sources, one at a time, in a copy of the tree, and runs the tests: first those that
 * are near the changed file, then with --all the others. Prints those that no test noticed, and the share that was noticed.
 *
 *   npm run mutants -- --folder src/moe --count 50 --seed 1
 *
 * A survivor is a gap in the tests, or a change without effect: a reader decides which. Mutants that do not run at
 * all are counted apart. Many tests draw random cases, so two runs of one seed may differ by a mutant.
 */
import { readFileSync } from "node:fs";
import type { Outcome, Tried } from "./mutants/laboratory.ts";
import { Laboratory, drawMutants } from "./mutants/laboratory.ts";
import type { Settings } from "./mutants/settings.ts";
import { HELP, settingsOf } from "./mutants/settings.ts";
import type { Mutant } from "./mutants/sites.ts";
import { mutated } from "./mutants/sites.ts";
import { endWithSignals, share } from "./trees.ts";

/** Mutants that are tried between two controls. */
const BATCH = 6;

function shown({ file, line, kind, from, to }: Mutant): string {
  const short = (code: string): string => (code.length > 90 ? `${code.slice(0, 60)} … ${code.slice(-25)}` : code).replace(/\s*\n\s*/g, " ");
  return `${file}:${line} (${kind})  ${short(from)}  ->  ${to === ";" ? "(removed)" : short(to)}`;
}

function tell({ outcome, mutant, why, seconds }: Tried): void {
  console.log(`${outcome.padEnd(9)} ${shown(mutant)}${why ? `  [${why}]` : ""}  ${seconds.toFixed(1)} s`);
}

/** As a diff shows it: the lines that the mutant touches, before and after. */
function difference(mutant: Mutant): string {
  const text = readFileSync(mutant.file, "utf8");
  const begin = text.lastIndexOf("\n", mutant.start - 1) + 1;
  const rest = text.slice(mutant.end).search(/\n|$/);
  const old = text.slice(begin, mutant.end + rest);
  const now = mutated(text, mutant).slice(begin, mutant.start + mutant.to.length + rest);
  const lines = (sign: string, code: string): string => code.split("\n").map((line) => `    ${sign} ${line}`).join("\n"); // prettier-ignore
  return `  ${mutant.file}:${mutant.line} (${mutant.kind})\n${lines("-", old)}\n${lines("+", now)}`;
}

function report(tried: readonly Tried[], differences: ReadonlyMap<Mutant, string>): void {
  const of = (outcome: Outcome): Tried[] => tried.filter((one) => one.outcome === outcome);
  const [killed, survived, invalid] = [of("killed"), of("survived"), of("invalid")];
  if (survived.length > 0) console.log(`\nNobody noticed:\n${survived.map(({ mutant }) => differences.get(mutant)).join("\n")}`);
  const valid = killed.length + survived.length;
  const share = valid === 0 ? "no mutant ran" : `${((100 * killed.length) / valid).toFixed(1)} % noticed`;
  console.log(`\n${killed.length} of ${valid} killed (${share}), ${survived.length} survived, ${invalid.length} invalid`);
}

/** Mutants of one file after each other: the same tests notice them, and are tried once with the sources as they are. */
function batchesOf(mutants: readonly Mutant[]): Mutant[][] {
  const sorted = mutants.toSorted((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.start - b.start));
  return Array.from({ length: Math.ceil(sorted.length / BATCH) }, (_, i) => sorted.slice(BATCH * i, BATCH * (i + 1)));
}

async function main(settings: Settings): Promise<void> {
  const mutants = drawMutants(settings);
  if (mutants.length === 0) throw new RangeError(`mutants: there is nothing to change in ${settings.folder}`);
  if (settings.list) return void console.log(mutants.map(shown).join("\n"));
  const differences = new Map(mutants.map((mutant) => [mutant, difference(mutant)])); // now: the sources may change meanwhile
  const tried: Tried[] = [];
  const batches = batchesOf(mutants);
  const laboratories = Array.from({ length: Math.min(settings.jobs, batches.length) }, () => new Laboratory(settings, tell));
  await share(laboratories, batches, async (laboratory, batch) => {
    tried.push(...(await laboratory.try(batch)));
  });
  for (const laboratory of laboratories) laboratory.end();
  report(tried, differences);
}

endWithSignals();
try {
  const settings = settingsOf(process.argv.slice(2));
  if (settings) await main(settings);
  else console.log(HELP);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
