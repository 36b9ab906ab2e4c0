/** Where runs are kept. No run shares a folder with another run or with other files, unless the user asks for it. */
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { attempt } from "./files.ts";
import { UserError } from "./userError.ts";

export const RUNS = "runs";

/** The state of a run to go on with: one file, or, of processes that shared the run, a folder to which each wrote its part. */
export const lastWhole = (folder: string): string => join(folder, "last.safetensors");
export const lastSharded = (folder: string): string => join(folder, "last");
export const modelFile = (folder: string): string => join(folder, "model.safetensors");
export const reportFile = (folder: string): string => join(folder, "report.html");
export const configFile = (folder: string): string => join(folder, "config.json");
export const metricsFile = (folder: string): string => join(folder, "metrics.jsonl");

/** The state that was saved last; where there is none, the file that a run in one process would write. */
export function lastFile(folder: string): string {
  const [whole, sharded] = [lastWhole(folder), lastSharded(folder)];
  const turned = join(sharded, "latest"); // what saving in shards writes last
  if (!existsSync(turned)) return whole;
  return !existsSync(whole) || statSync(turned).mtimeMs >= statSync(whole).mtimeMs ? sharded : whole;
}

const runFiles = [configFile, lastWhole, lastSharded, modelFile, reportFile, metricsFile];

export interface FolderOptions {
  readonly out: string;
  /** Absent where a command has no such option: then nothing is ever replaced. */
  readonly overwrite?: boolean;
}

/**
 * The folder of a new run: `out` if it is new, empty, or to be overwritten; without `out` runs/NAME, or runs/NAME-2 and so on where
 * that is taken. It exists afterwards, so that a second run started at the same moment takes another one.
 */
export function claimFolder(name: string, { out, overwrite }: FolderOptions): string {
  if (out !== "") return claimOut(out, overwrite);
  attempt(RUNS, "cannot be made", () => mkdirSync(RUNS, { recursive: true }));
  for (let number = 1; ; number++) {
    const folder = join(RUNS, number === 1 ? name : `${name}-${number}`);
    if (made(folder)) return folder;
  }
}

/** Whether the folder was made just now; false where something of that name is there. */
function made(folder: string): boolean {
  return attempt(folder, "cannot be made", () => {
    try {
      mkdirSync(folder);
      return true;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
      throw error;
    }
  });
}

function claimOut(out: string, overwrite?: boolean): string {
  attempt(out, "cannot be made", () => mkdirSync(out, { recursive: true }));
  const inside = attempt(out, "cannot be read", () => readdirSync(out));
  if (inside.length > 0 && !overwrite) {
    const isRun = existsSync(lastFile(out)) && existsSync(configFile(out));
    const [held, way] = isRun ? ["a run", "resume it"] : [inside.slice(0, 3).join(", "), "empty it"];
    const ways = overwrite === undefined ? "give a new folder" : `${way}, give a new folder, or --overwrite to replace it`;
    throw new UserError(`--out ${out}: there is ${held} in it: ${ways}`);
  }
  // What an earlier run left must not be taken for this one's.
  for (const file of runFiles) attempt(file(out), "cannot be replaced", () => rmSync(file(out), { force: true, recursive: true }));
  return out;
}

/** The file for `from`: of a folder the best model in it, or the last one where none was validated. */
export function keptFile(from: string): string {
  if (!existsSync(from)) throw new UserError(`--from ${from}: there is no such file or folder`);
  const path = statSync(from).isDirectory() ? [modelFile(from), lastFile(from)].find(existsSync) : from;
  if (path === undefined) throw new UserError(`--from ${from}: there is no model.safetensors or last.safetensors in it`);
  return path;
}

/** The run that was saved last. */
export function newestRun(): string {
  const runs = existsSync(RUNS)
    ? readdirSync(RUNS)
        .map((name) => join(RUNS, name))
        .filter((folder) => existsSync(lastFile(folder)))
    : [];
  const newest = runs.toSorted((a, b) => statSync(lastFile(b)).mtimeMs - statSync(lastFile(a)).mtimeMs)[0];
  if (newest === undefined) throw new UserError(`resume: there is no run in ${RUNS}/; name one with --from FOLDER`);
  return newest;
}
