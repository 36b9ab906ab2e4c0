/** Runs mocha again and again in one process, which loads the sources anew for every run: faster than a process for each. runner.mjs is that process. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { endGroup } from "../trees.ts";
import type { Verdict } from "../trees.ts";

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** What a run of one test file came to. */
export interface FreshVerdict extends Verdict {
  /** The full title of the test that failed, or of the suite where a hook failed; undefined where mocha did not get so far. */
  readonly title?: string;
}

/** Versions of the sources that one process loads before another takes its place: modules are never unloaded. */
const MOST = 24;

/** Mocha in a process of its own, in a tree. */
export class FreshMocha {
  readonly #tree: string;
  #child: ChildProcess | undefined;
  #versions = 0;

  constructor(tree: string) {
    this.#tree = tree;
    process.once("exit", () => this.end());
  }

  /** Ends the process where it has loaded so many versions that the next runs should begin in a new one. */
  renew(): void {
    if (this.#versions >= MOST) this.end();
  }

  /** The next run loads the sources anew: they have changed, or a file runs again. */
  changed(): void {
    this.#versions++;
  }

  /**
   * Runs a test file, the tests whose names match or all, until the first failure; a process that dies, or ends no test for `limit` milliseconds,
   * has failed.
   */
  run(file: string, pattern: string | undefined, limit: number): Promise<FreshVerdict> {
    const child = (this.#child ??= this.#start());
    const version = this.#versions;
    return new Promise((done) => {
      const settle = (verdict: FreshVerdict): void => {
        clearTimeout(timer);
        child.removeAllListeners("message").off("exit", ended);
        done(verdict);
      };
      const lost = (timedOut: boolean): void => {
        this.end();
        settle({ failing: 1, passing: 0, timedOut, output: timedOut ? "out of time" : "the process ended" });
      };
      const timer = setTimeout(() => lost(true), limit);
      const ended = (): void => lost(false);
      child.on("exit", ended);
      child.on("message", (told: Omit<FreshVerdict, "timedOut"> | "goes on") => {
        if (told === "goes on") timer.refresh();
        else settle({ ...told, timedOut: false });
      });
      child.send({ version, file, pattern });
    });
  }

  /** Ends the process, with what its tests have started. */
  end(): void {
    const pid = this.#child?.pid;
    this.#child?.removeAllListeners();
    [this.#child, this.#versions] = [undefined, 0];
    endGroup(pid);
  }

  #start(): ChildProcess {
    const child = fork(path("runner.mjs"), {
      cwd: this.#tree,
      execArgv: [`--import=${path("fresh.mjs")}`, "--conditions=source"],
      stdio: "ignore",
      detached: true,
    });
    // What a test has left behind may end the process after the test.
    child.once("exit", () => {
      if (this.#child === child) this.end();
    });
    return child;
  }
}
