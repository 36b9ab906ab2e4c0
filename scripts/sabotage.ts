/**
 * Breaks the library on purpose, one small lie at a time, in a copy of the tree, and asks the one test file that must notice.
 * A breakage that nobody notices is a hole in the tests; an old text that does not stand exactly once in its file is a list that
 * was not kept. The lists are the arrays that the files of test/sabotage/ export.
 *
 * `node --import=tsx scripts/sabotage.ts [word]` tries those whose file, test or text contains the word.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Sabotage } from "../test/sabotage/sabotage.ts";
import { FreshMocha } from "./fresh/fresh.ts";
import { copyTree, endWithSignals, mocha, patternOf, share, withText } from "./trees.ts";
import type { Verdict } from "./trees.ts";

const LANES = 2;
/** A breakage may send a loop round for ever: that is noticed too. */
const PATIENCE = 150_000;

async function lists(): Promise<Sabotage[]> {
  const folder = resolve("test/sabotage");
  const files = readdirSync(folder).filter((name) => name.endsWith(".ts")).toSorted(); // prettier-ignore
  const modules = await Promise.all(files.map((name) => import(pathToFileURL(join(folder, name)).href)));
  return modules.flatMap((module: Readonly<Record<string, readonly Sabotage[]>>) => Object.values(module).flat());
}

/** Runs a test file in some way. */
type Run = (test: string, titles: readonly (string | undefined)[]) => Promise<Verdict>;

/** A process for each run: slow, and nothing of one run reaches the next. */
const alone =
  (tree: string): Run =>
  (test, titles) => {
    const pattern = patternOf(titles);
    return mocha(tree, [test, ...(pattern === undefined ? [] : ["--grep", pattern])], PATIENCE);
  };

/** What is wrong with one breakage, or undefined: it was caught. */
async function tryOne(tree: string, { file, from, to, test, title }: Sabotage, run: Run): Promise<string | undefined> {
  const times = readFileSync(join(tree, file), "utf8").split(from).length - 1;
  if (times !== 1) return `the text stands ${times} times in the file, not once`;
  const change = (text: string): string => text.replace(from, () => to);
  const { failing, output } = await withText(tree, file, change, () => run(test, [title]));
  return failing > 0 ? undefined : `not noticed:\n${output.trim().split("\n").slice(-12).join("\n")}`;
}

/** Unbroken, the tests that shall notice must pass; else they notice nothing. */
async function control(group: readonly Sabotage[], run: Run): Promise<string | undefined> {
  const [{ test }] = group;
  const { failing, passing, output } = await run(test, group.map(({ title }) => title)); // prettier-ignore
  return failing === 0 && passing > 0 ? undefined : `${test}: fails without any breakage\n${output.trim()}`;
}

/**
 * What is wrong with each breakage of a group, which all belong to one test file. One process tries them all, and then the sources as they are: where
 * that passes, the failures before it came from the breakages. Else, and for what was not caught, a process for each decides.
 */
async function tryGroup(tree: string, fresh: FreshMocha, group: readonly Sabotage[]): Promise<(string | undefined)[]> {
  fresh.renew();
  const quick: Run = (test, titles) => {
    fresh.changed();
    return fresh.run(test, patternOf(titles), PATIENCE);
  };
  const found: (string | undefined)[] = [];
  for (const one of group) found.push(await tryOne(tree, one, quick));
  const apart = (await control(group, quick)) !== undefined;
  const unfit = apart ? await control(group, alone(tree)) : undefined;
  if (unfit !== undefined) return group.map(() => unfit);
  for (const [i, one] of group.entries()) if (apart || found[i] !== undefined) found[i] = await tryOne(tree, one, alone(tree));
  return found;
}

/** Breakages of one test file, at most so many together, so that the lanes end at about the same time. */
function groupsOf(all: readonly Sabotage[], most = 10): Sabotage[][] {
  const groups: Sabotage[][] = [];
  const open = new Map<string, Sabotage[]>();
  for (const one of all) {
    const group = open.get(one.test);
    if (group && group.length < most) group.push(one);
    else groups.push(open.set(one.test, [one]).get(one.test) ?? []);
  }
  return groups;
}

async function main(word = ""): Promise<void> {
  const started = performance.now();
  const all = (await lists()).filter((one) => JSON.stringify(one).includes(word));
  const failures: string[] = [];
  const trees = Array.from({ length: LANES }, copyTree);
  const processes = new Map(trees.map((tree) => [tree, new FreshMocha(tree)]));
  await share(trees, groupsOf(all), async (tree, group) => {
    const fresh = processes.get(tree) ?? new FreshMocha(tree);
    for (const [i, wrong] of (await tryGroup(tree, fresh, group)).entries()) {
      const { what, file, from, to, test } = group[i];
      console.log(`${wrong === undefined ? "caught" : "MISSED"}  ${what} (${file})`);
      if (wrong !== undefined) failures.push(`${what}: ${file}: ${from} -> ${to}, to be caught by ${test}: ${wrong}`);
    }
  });
  for (const fresh of processes.values()) fresh.end();
  console.log(
    `\n${all.length - failures.length} of ${all.length} breakages caught in ${((performance.now() - started) / 1000).toFixed(0)} s`,
  );
  if (failures.length > 0) console.error(`\n${failures.join("\n\n")}`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}

endWithSignals();
await main(process.argv[2]);
