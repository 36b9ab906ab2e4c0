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
import { copyTree, endWithSignals, mocha, share, withText } from "./trees.ts";

const LANES = 2;
/** A breakage may send a loop round for ever: that is noticed too. */
const PATIENCE = 150_000;

async function lists(): Promise<Sabotage[]> {
  const folder = resolve("test/sabotage");
  const files = readdirSync(folder).filter((name) => name.endsWith(".ts")).toSorted(); // prettier-ignore
  const modules = await Promise.all(files.map((name) => import(pathToFileURL(join(folder, name)).href)));
  return modules.flatMap((module: Readonly<Record<string, readonly Sabotage[]>>) => Object.values(module).flat());
}

/** The titles as one pattern; none where a breakage names none: the whole file is run. */
function chosen(titles: readonly (string | undefined)[]): string[] {
  if (titles.includes(undefined)) return [];
  return ["--grep", titles.map((title) => (title ?? "").replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")];
}

/** What is wrong with one breakage, or undefined: it was caught. */
async function tryOne(tree: string, { file, from, to, test, title }: Sabotage): Promise<string | undefined> {
  const times = readFileSync(join(tree, file), "utf8").split(from).length - 1;
  if (times !== 1) return `the text stands ${times} times in the file, not once`;
  const change = (text: string): string => text.replace(from, () => to);
  const { failing, output } = await withText(tree, file, change, () => mocha(tree, [test, ...chosen([title])], PATIENCE));
  return failing > 0 ? undefined : `not noticed:\n${output.trim().split("\n").slice(-12).join("\n")}`;
}

/** Unbroken, every test that shall notice must pass; else it notices nothing. */
async function control(trees: readonly string[], all: readonly Sabotage[]): Promise<string[]> {
  const wrong: string[] = [];
  const files = new Map<string, (string | undefined)[]>();
  for (const { test, title } of all) files.set(test, [...(files.get(test) ?? []), title]);
  await share(trees, [...files], async (tree, [file, titles]) => {
    const { failing, passing, output } = await mocha(tree, [file, ...chosen(titles)], PATIENCE);
    if (failing > 0 || passing === 0) wrong.push(`${file}: fails without any breakage\n${output.trim()}`);
  });
  return wrong;
}

async function main(word = ""): Promise<void> {
  const started = performance.now();
  const all = (await lists()).filter((one) => JSON.stringify(one).includes(word));
  const failures: string[] = [];
  const trees = Array.from({ length: LANES }, copyTree);
  failures.push(...(await control(trees, all)));
  await share(trees, all, async (tree, one) => {
    const wrong = await tryOne(tree, one);
    console.log(`${wrong === undefined ? "caught" : "MISSED"}  ${one.what} (${one.file})`);
    if (wrong !== undefined) failures.push(`${one.what}: ${one.file}: ${one.from} -> ${one.to}, to be caught by ${one.test}: ${wrong}`);
  });
  console.log(
    `\n${all.length - failures.length} of ${all.length} breakages caught in ${((performance.now() - started) / 1000).toFixed(0)} s`,
  );
  if (failures.length > 0) console.error(`\n${failures.join("\n\n")}`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}

endWithSignals();
await main(process.argv[2]);
