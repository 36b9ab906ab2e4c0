/**
 * Breaks the library on purpose, one small lie at a time, in a copy of the tree, and asks the one test file that must notice.
 * A breakage that nobody notices is a hole in the tests; an old text that does not stand exactly once in its file is a list that
 * was not kept. The lists are the arrays that the files of test/sabotage/ export.
 *
 * `node --import=tsx scripts/sabotage.ts [word]` tries those whose file, test or text contains the word.
 */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { Sabotage } from "../test/sabotage/sabotage.ts";

const LANES = 2;
/** A breakage may send a loop round for ever: that is noticed too. */
const PATIENCE = 60_000;

async function lists(): Promise<Sabotage[]> {
  const folder = resolve("test/sabotage");
  const files = readdirSync(folder).filter((name) => name.endsWith(".ts")).toSorted(); // prettier-ignore
  const modules = await Promise.all(files.map((name) => import(pathToFileURL(join(folder, name)).href)));
  return modules.flatMap((module: Readonly<Record<string, readonly Sabotage[]>>) => Object.values(module).flat());
}

/** A tree of its own, with the installed packages of this one; gone when the script ends. */
function copyTree(): string {
  const tree = mkdtempSync(join(tmpdir(), "sabotage-"));
  process.once("exit", () => rmSync(tree, { recursive: true, force: true }));
  for (const name of ["src", "test", "examples", "scripts", "package.json", "tsconfig.json", ".mocharc.json"])
    cpSync(name, join(tree, name), { recursive: true });
  symlinkSync(resolve("node_modules"), join(tree, "node_modules"));
  return tree;
}

interface Verdict {
  /** Tests that failed; none where mocha did not get so far. */
  readonly failing: number;
  readonly passing: number;
  readonly output: string;
}

function endGroup(leader: number | undefined): void {
  if (leader === undefined) return; // never started
  try {
    process.kill(-leader, "SIGKILL");
  } catch {
    // all gone already
  }
}

function mocha(tree: string, file: string, titles: readonly (string | undefined)[]): Promise<Verdict> {
  const chosen = titles.includes(undefined)
    ? []
    : ["--grep", titles.map((title) => (title ?? "").replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")];
  const args = [resolve("node_modules/mocha/bin/mocha.js"), file, "--bail", "--reporter", "dot", ...chosen];
  return new Promise((done) => {
    // A group of its own: mocha runs the tests in a child, which would outlive it and hold the pipes open.
    const child = spawn(process.execPath, args, { cwd: tree, stdio: ["ignore", "pipe", "pipe"], detached: true });
    const end = (): void => endGroup(child.pid);
    const limit = setTimeout(end, PATIENCE);
    process.prependOnceListener("exit", end); // before the tree goes
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.on("close", (code) => {
      clearTimeout(limit);
      process.off("exit", end);
      const count = (word: string): number => Number(new RegExp(`(\\d+) ${word}`).exec(output)?.[1] ?? 0);
      done({ failing: code === null ? 1 : count("failing"), passing: count("passing"), output });
    });
  });
}

/** What is wrong with one breakage, or undefined: it was caught. */
async function tryOne(tree: string, { file, from, to, test, title }: Sabotage): Promise<string | undefined> {
  const path = join(tree, file);
  const text = readFileSync(path, "utf8");
  const times = text.split(from).length - 1;
  if (times !== 1) return `the text stands ${times} times in the file, not once`;
  writeFileSync(
    path,
    text.replace(from, () => to),
  );
  try {
    const { failing, output } = await mocha(tree, test, [title]);
    return failing > 0 ? undefined : `not noticed:\n${output.trim().split("\n").slice(-12).join("\n")}`;
  } finally {
    writeFileSync(path, text);
  }
}

/** Each tree takes the next of what waits, until nothing does. */
async function share<T>(trees: readonly string[], work: readonly T[], act: (tree: string, one: T) => Promise<void>): Promise<void> {
  const queue = [...work];
  const lane = async (tree: string): Promise<void> => {
    for (let one = queue.shift(); one; one = queue.shift()) await act(tree, one);
  };
  await Promise.all(trees.map(lane));
}

/** Unbroken, every test that shall notice must pass; else it notices nothing. */
async function control(trees: readonly string[], all: readonly Sabotage[]): Promise<string[]> {
  const wrong: string[] = [];
  const files = new Map<string, (string | undefined)[]>();
  for (const { test, title } of all) files.set(test, [...(files.get(test) ?? []), title]);
  await share(trees, [...files], async (tree, [file, titles]) => {
    const { failing, passing, output } = await mocha(tree, file, titles);
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

// Ctrl+C reaches this process only: the groups end with it.
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
await main(process.argv[2]);
