/**
 * Makes random single changes of the library's sources, one at a time, in a copy of the tree, and runs the tests: first those that
 * are near the changed file, then with --all the others. Prints those that no test noticed, and the share that was noticed.
 *
 *   npm run mutants -- --folder src/moe --count 50 --seed 1
 *
 * A survivor is a hole in the tests, or a change that changes nothing: that is for a reader to decide. Mutants that do not run at
 * all are counted apart. Many tests draw random cases, so two runs of one seed may differ by a mutant.
 */
import { parseArgs } from "node:util";
import { readFileSync } from "node:fs";
import { check, oneOf, whole } from "../src/backend/arguments.ts";
import type { Draw, Outcome, Tried } from "./mutants/laboratory.ts";
import { Laboratory, drawMutants } from "./mutants/laboratory.ts";
import type { Mutant } from "./mutants/sites.ts";
import { mutated, mutationKinds } from "./mutants/sites.ts";
import { copyTree, endWithSignals, share } from "./trees.ts";

const HELP = `npm run mutants -- [options]
  --folder FOLDER   sources to change, a folder or one file (src)
  --count N         how many mutants (50)
  --seed N          the same seed, the same mutants (1)
  --kind KIND       one of ${mutationKinds.join(", ")}; may be given several times (all)
  --all             run all other tests on what the near ones did not notice
  --jobs N          trees that are tried side by side (1)
  --limit N         seconds for one run of the tests; a run that takes longer has noticed (300)
  --list            print the mutants, run nothing`;

interface Settings extends Draw {
  readonly all: boolean;
  readonly jobs: number;
  readonly limit: number;
  readonly list: boolean;
}

function settingsOf(args: readonly string[]): Settings | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      folder: { type: "string", default: "src" },
      count: { type: "string", default: "50" },
      seed: { type: "string", default: "1" },
      kind: { type: "string", multiple: true, default: [...mutationKinds] },
      all: { type: "boolean", default: false },
      jobs: { type: "string", default: "1" },
      limit: { type: "string", default: "300" },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const [count, seed, jobs, limit] = (["count", "seed", "jobs", "limit"] as const).map((name) => {
    const value = Number(values[name]);
    check("mutants", `--${name}`, value, whole(name === "seed" ? 0 : 1));
    return value;
  });
  const folder = values.folder.replace(/^\.\/|\/$/g, "");
  const kinds = values.kind.map((kind) => {
    check("mutants", "--kind", kind, oneOf(...mutationKinds));
    return mutationKinds.find((known) => known === kind) ?? mutationKinds[0];
  });
  return { folder, count, seed, kinds, all: values.all, jobs, limit: 1000 * limit, list: values.list };
}

function shown({ file, line, kind, from, to }: Mutant): string {
  const short = (code: string): string => (code.length > 90 ? `${code.slice(0, 60)} … ${code.slice(-25)}` : code).replace(/\s*\n\s*/g, " ");
  return `${file}:${line} (${kind})  ${short(from)}  ->  ${to === ";" ? "(removed)" : short(to)}`;
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

async function main(settings: Settings): Promise<void> {
  const mutants = drawMutants(settings);
  if (mutants.length === 0) throw new RangeError(`mutants: there is nothing to change in ${settings.folder}`);
  if (settings.list) return void console.log(mutants.map(shown).join("\n"));
  const differences = new Map(mutants.map((mutant) => [mutant, difference(mutant)])); // now: the sources may change meanwhile
  const laboratory = new Laboratory(settings);
  const tried: Tried[] = [];
  const trees = Array.from({ length: Math.min(settings.jobs, mutants.length) }, copyTree);
  await share(trees, mutants, async (tree, mutant) => {
    const one = await laboratory.try(tree, mutant);
    tried.push(one);
    console.log(`${one.outcome.padEnd(9)} ${shown(mutant)}${one.why ? `  [${one.why}]` : ""}`);
  });
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
