/**
 * Breaks the library on purpose, one small lie at a time, in a copy of the tree, and asks the one test file that must notice.
 * A breakage that nobody notices is a hole in the tests; an old text that does not stand exactly once in its file is a list that
 * was not kept. The lists are the arrays that the files of test/sabotage/ export.
 *
 * `node --import=tsx scripts/sabotage.ts [--of 5] [word]` tries those whose file, test or text contains the word; with `--of 5` a fifth
 * of the test files with all their breakages, drawn by the sources: a change of them draws anew, and the same sources draw the same.
 */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
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

/** Why a breakage cannot be tried, or undefined. */
function unfit({ file, from }: Sabotage): string | undefined {
  const times = readFileSync(file, "utf8").split(from).length - 1;
  return times === 1 ? undefined : `the text stands ${times} times in the file, not once`;
}

/** What is wrong with one breakage, or undefined: it was caught. */
async function tryOne(tree: string, { file, from, to, test, title }: Sabotage, run: Run): Promise<string | undefined> {
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
  const unsound = apart ? await control(group, alone(tree)) : undefined;
  if (unsound !== undefined) return group.map(() => unsound);
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

/** One of `of` parts of the groups; which one, the text of all their sources and tests decides. */
function drawn(groups: readonly Sabotage[][], of: number): Sabotage[][] {
  const hash = createHash("sha256");
  for (const file of new Set(groups.flat().flatMap(({ file, test }) => [file, test]))) hash.update(readFileSync(file));
  const part = hash.digest().readUInt32LE() % of;
  return groups.filter((_, i) => i % of === part);
}

/** Tells what came of one breakage, and answers with a line for the end where it was missed. */
function told({ what, file, from, to, test }: Sabotage, wrong: string | undefined): string[] {
  console.log(`${wrong === undefined ? "caught" : "MISSED"}  ${what} (${file})`);
  return wrong === undefined ? [] : [`${what}: ${file}: ${from} -> ${to}, to be caught by ${test}: ${wrong}`];
}

async function main(word = "", of = 1): Promise<void> {
  const started = performance.now();
  const all = (await lists()).filter((one) => JSON.stringify(one).includes(word));
  const misplaced = new Map(all.map((one) => [one, unfit(one)] as const).filter(([, why]) => why !== undefined));
  const failures = [...misplaced].flatMap(([one, why]) => told(one, why));
  const groups = drawn(groupsOf(all.filter((one) => !misplaced.has(one))), of);
  const trees = Array.from({ length: LANES }, copyTree);
  const processes = new Map(trees.map((tree) => [tree, new FreshMocha(tree)]));
  await share(trees, groups, async (tree, group) => {
    const fresh = processes.get(tree) ?? new FreshMocha(tree);
    for (const [i, wrong] of (await tryGroup(tree, fresh, group)).entries()) failures.push(...told(group[i], wrong));
  });
  for (const fresh of processes.values()) fresh.end();
  const tried = groups.flat().length;
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  console.log(`\n${tried} of ${all.length} breakages tried, ${failures.length} missed, in ${seconds} s`);
  if (failures.length > 0) console.error(`\n${failures.join("\n\n")}`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}

endWithSignals();
const { values, positionals } = parseArgs({ options: { of: { type: "string", default: "1" } }, allowPositionals: true });
if (!/^[1-9]\d*$/.test(values.of)) throw new RangeError(`sabotage: --of ${values.of}: want a whole number from 1`);
await main(positionals[0], Number(values.of));
