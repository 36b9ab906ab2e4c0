/**
 * Results of runs on disk: FOLDER/PROGRAM-VERSION/HASH.json, one file for each run, written at once or not at all; beside it
 * HASH.safetensors where other runs need the weights. Another version of the code has another folder, so results of two versions never
 * meet.
 */
import { existsSync, readFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { attempt, writeAtomically } from "../train/files.ts";
import { UserError } from "../train/userError.ts";
import type { Program } from "./program.ts";
import type { Result, Settings } from "./settings.ts";
import { hashOf } from "./settings.ts";

/** Raised when what a file means changes. */
const FORMAT = 1;

/** A result as it is kept. */
export interface Kept extends Result {
  readonly format: typeof FORMAT;
  /** Of the code that made it. */
  readonly version: string;
  readonly settings: Settings;
  readonly seconds: number;
  readonly backend: string;
}

export class Cache {
  readonly folder: string;

  /** `folder` need not exist yet. */
  constructor(folder: string) {
    this.folder = folder;
  }

  /** Where the results of a program's version are. */
  home({ name, version }: Program): string {
    return join(this.folder, `${name}-${version}`);
  }

  /** Where the weights of a run are. */
  weights(program: Program, settings: Settings): string {
    return join(this.home(program), `${hashOf(settings)}.safetensors`);
  }

  /**
   * The result of a run by this version of its code, or null. A file that is no result is renamed to NAME.damaged, and `tell` is called; so
   * nothing is lost, and the run is done again.
   */
  read(program: Program, settings: Settings, tell: (note: string) => void): Kept | null {
    const path = this.#path(program, settings);
    if (!existsSync(path)) return null;
    const found = parsed(path);
    if (found && found.version === program.version && hashOf(found.settings) === hashOf(settings)) return found;
    attempt(path, "cannot be set aside", () => renameSync(path, `${path}.damaged`));
    tell(`${path} is no result of this run; it is now ${path}.damaged, and the run is done again`);
    return null;
  }

  /** Keeps a result. */
  write(program: Program, settings: Settings, { values, courses }: Result, more: Pick<Kept, "seconds" | "backend">): Kept {
    const kept: Kept = { format: FORMAT, version: program.version, settings, values, courses, ...more };
    writeAtomically(this.#path(program, settings), `${JSON.stringify(kept)}\n`);
    return kept;
  }

  /** What lies here that this version of the programs does not read, in a sentence; null: nothing. */
  others(programs: readonly Program[]): string | null {
    if (!existsSync(this.folder)) return null;
    const own = programs.map((program) => this.home(program));
    const named = readdirSync(this.folder).filter((name) => /^(train|timing|precision)-[0-9a-f]{12}$/.test(name));
    const folders = named.map((name) => join(this.folder, name)).filter((path) => !own.includes(path));
    const results = folders.flatMap((path) =>
      attempt(path, "cannot be read", () => readdirSync(path)).filter((name) => name.endsWith(".json")),
    );
    if (results.length === 0) return null;
    return `${results.length} results in ${this.folder} are of other versions of the code; they are kept and not used`;
  }

  /** Removes what a killed process had begun to write, a temporary file of which no process is left. */
  tidy(program: Program): void {
    const home = this.home(program);
    if (!existsSync(home)) return;
    for (const name of readdirSync(home)) {
      const writer = /\.(\d+)\.tmp$/.exec(name)?.[1];
      if (writer !== undefined && !isRunning(Number(writer))) rmSync(join(home, name), { force: true });
    }
  }

  #path(program: Program, settings: Settings): string {
    return join(this.home(program), `${hashOf(settings)}.json`);
  }
}

function parsed(path: string): Kept | null {
  const text = attempt(path, "cannot be read", () => readFileSync(path, "utf8"));
  try {
    const value: unknown = JSON.parse(text);
    return isKept(value) ? value : null;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof UserError) return null;
    throw error;
  }
}

function isKept(value: unknown): value is Kept {
  if (typeof value !== "object" || value === null || !("format" in value) || value.format !== FORMAT) return false;
  const has = (name: string, type: string): boolean => name in value && typeof value[name as keyof typeof value] === type;
  return (
    has("version", "string") && has("settings", "object") && has("values", "object") && has("courses", "object") && has("seconds", "number")
  );
}

function isRunning(process_: number): boolean {
  try {
    process.kill(process_, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
