/** Mocha in a process that stays: it loads the sources anew for every run, which is quicker than a process for each. The other end is runner.mjs. */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { fileURLToPath } from "node:url";
import { endGroup } from "../trees.ts";
import type { Verdict } from "../trees.ts";

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Versions that a process holds before another takes its place: modules are never unloaded. */
const MOST = 24;

export class FreshMocha {
  readonly #tree: string;
  #child: ChildProcess | undefined;
  #versions = 0;

  constructor(tree: string) {
    this.#tree = tree;
    process.once("exit", () => this.end());
  }

  /** Whether a process holds so many versions that the next runs should begin with a new one. */
  renew(): void {
    if (this.#versions >= MOST) this.end();
  }

  /** Runs a test file, the tests whose names match or all, until the first failure; a process that dies or takes longer than `limit` has failed. */
  run(file: string, pattern: string | undefined, limit: number): Promise<Verdict> {
    const child = (this.#child ??= this.#start());
    const version = ++this.#versions;
    return new Promise((done) => {
      const settle = (verdict: Verdict): void => {
        clearTimeout(timer);
        child.removeAllListeners("message").removeAllListeners("exit");
        done(verdict);
      };
      const lost = (timedOut: boolean): void => {
        this.end();
        settle({ failing: 1, passing: 0, timedOut, output: timedOut ? "out of time" : "the process ended" });
      };
      const timer = setTimeout(() => lost(true), limit);
      child.on("exit", () => lost(false));
      child.on("message", (told: Omit<Verdict, "timedOut">) => settle({ ...told, timedOut: false }));
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
    return fork(path("runner.mjs"), {
      cwd: this.#tree,
      execArgv: [`--import=${path("fresh.mjs")}`, "--conditions=source"],
      stdio: "ignore",
      detached: true,
    });
  }
}
