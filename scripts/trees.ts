/** Copies of the tree in which the library may be broken, and mocha run in them. For sabotage.ts and mutants.ts. */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";

const LEFT_BEHIND = new Set([".git", "node_modules", "dist", "runs", "coverage"]);

/** A tree of its own, with the installed packages of this one; removed when the script ends. */
export function copyTree(): string {
  const tree = mkdtempSync(join(tmpdir(), "switchyard-tree-"));
  process.once("exit", () => rmSync(tree, { recursive: true, force: true }));
  const filter = (from: string): boolean => !LEFT_BEHIND.has(basename(from));
  for (const name of readdirSync(".")) cpSync(name, join(tree, name), { recursive: true, filter });
  symlinkSync(resolve("node_modules"), join(tree, "node_modules"));
  return tree;
}

/** Runs `act` while a file of the tree holds another text. */
export async function withText<T>(tree: string, file: string, change: (text: string) => string, act: () => Promise<T>): Promise<T> {
  const path = join(tree, file);
  const text = readFileSync(path, "utf8");
  writeFileSync(path, change(text));
  try {
    return await act();
  } finally {
    writeFileSync(path, text);
  }
}

/** How a run of mocha ended. */
export interface Verdict {
  /** Tests that failed; none where mocha did not get so far. */
  readonly failing: number;
  readonly passing: number;
  /** Ended because it took longer than its limit. */
  readonly timedOut: boolean;
  readonly output: string;
}

/** Ends a process that was started detached, with all that it has started. */
export function endGroup(leader: number | undefined): void {
  if (leader === undefined) return; // never started
  try {
    process.kill(-leader, "SIGKILL");
  } catch {
    // all gone already
  }
}

/** Node's options for mocha. Its command would start a second process to set them, a second for each run. */
function nodeOptions(): string[] {
  const { "node-option": options } = JSON.parse(readFileSync(".mocharc.json", "utf8")) as { "node-option": readonly string[] };
  return options.map((option) => `--${option}`);
}

/** Runs mocha in the tree until the first failure, for at most `limit` milliseconds: a loop without end counts as a failure. */
export function mocha(tree: string, args: readonly string[], limit: number): Promise<Verdict> {
  const all = [...nodeOptions(), realpathSync("node_modules/mocha/lib/cli/cli.js"), ...args, "--bail", "--reporter", "dot"];
  return new Promise((done) => {
    // A group of its own, so that what a test has started is ended too: it would hold the pipes open.
    const child = spawn(process.execPath, all, { cwd: tree, stdio: ["ignore", "pipe", "pipe"], detached: true });
    const end = (): void => endGroup(child.pid);
    const timer = setTimeout(end, limit);
    process.prependOnceListener("exit", end); // before the tree goes
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (output += text));
    child.on("close", (code) => {
      clearTimeout(timer);
      process.off("exit", end);
      const count = (word: string): number => Number(new RegExp(`^ {2}(\\d+) ${word}`, "m").exec(output)?.[1] ?? 0);
      const timedOut = code === null;
      done({ failing: timedOut ? 1 : count("failing"), passing: count("passing"), timedOut, output });
    });
  });
}

/** The titles as one pattern; none where a breakage names none: the whole file is run. */
export function patternOf(titles: readonly (string | undefined)[]): string | undefined {
  if (titles.includes(undefined)) return undefined;
  return titles.map((title) => (title ?? "").replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
}

/** Gives each worker that is free the next piece of work, until none is left. */
export async function share<W, T>(workers: readonly W[], work: readonly T[], act: (worker: W, one: T) => Promise<void>): Promise<void> {
  const queue = [...work];
  const lane = async (worker: W): Promise<void> => {
    for (let one = queue.shift(); one !== undefined; one = queue.shift()) await act(worker, one);
  };
  await Promise.all(workers.map(lane));
}

/** Ends this process at SIGINT and SIGTERM, and so the groups that it has started, which do not get the signal themselves. */
export function endWithSignals(): void {
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));
}
