/** Does the runs that are missing, a few at a time, and keeps each result as soon as it is there. Whatever ends it, what was kept stays. */
import { existsSync } from "node:fs";
import { formatSeconds } from "../train/progress.ts";
import type { Screen } from "../train/progress.ts";
import { UserError } from "../train/userError.ts";
import type { Cache } from "./cache.ts";
import { Lane, LaneEnded } from "./lane.ts";
import type { PlannedRun } from "./plan.ts";
import { costOf } from "./plan.ts";
import type { Program } from "./program.ts";
import { written } from "./program.ts";
import type { Settings } from "./settings.ts";
import { dependencies, hashOf } from "./settings.ts";

export interface Workshop {
  readonly cache: Cache;
  readonly programs: ReadonlyMap<string, Program>;
  /** Processes at once. */
  readonly lanes: number;
  readonly screen: Screen;
  /** Whether to stop, asked before each run: Ctrl-C. */
  readonly interrupted: () => boolean;
  readonly tell: (note: string) => void;
}

export type Ending = "finished" | "interrupted";

/** Does the runs of a plan that have no result yet. A run that fails is an error that names it; others' results are kept. */
export async function work(plan: readonly PlannedRun[], shop: Workshop): Promise<Ending> {
  const missing = plan.filter((run) => !isDone(run, shop));
  const waiting = [...missing];
  const done = new Set(plan.filter((run) => !missing.includes(run)).map(({ hash }) => hash));
  const progress = new Progress(missing, shop.screen);
  const lanes = Array.from({ length: Math.min(shop.lanes, missing.length) }, () => new Lane());
  let fault: unknown;
  const next = (): PlannedRun | undefined => {
    const at = waiting.findIndex(({ settings }) => dependencies(settings).every((from) => done.has(hashOf(from))));
    return at < 0 ? undefined : waiting.splice(at, 1)[0];
  };
  let wake: (() => void)[] = [];
  const over = (): boolean => fault !== undefined || shop.interrupted();
  const serve = async (lane: Lane): Promise<void> => {
    while (waiting.length > 0 && !over()) {
      const run = next();
      if (!run) {
        await new Promise<void>((resolve) => wake.push(resolve)); // for what it builds on
        continue;
      }
      try {
        progress.begin(run);
        await once(run, lane, shop);
        done.add(run.hash);
        progress.end(run);
      } catch (error) {
        if (!(error instanceof LaneEnded && shop.interrupted())) fault ??= error;
      }
      for (const resolve of wake) resolve();
      wake = [];
    }
  };
  try {
    await Promise.all(lanes.map(serve));
  } finally {
    for (const lane of lanes) lane.end();
    progress.clear();
  }
  if (fault !== undefined) throw fault;
  return waiting.length > 0 || done.size < plan.length ? "interrupted" : "finished";
}

/** A run without its weights must be done again where others need them. */
function isDone({ settings, keep }: PlannedRun, { cache, programs, tell }: Workshop): boolean {
  const program = programOf(settings, programs);
  return (!keep || existsSync(cache.weights(program, settings))) && cache.read(program, settings, tell) !== null;
}

function programOf({ program }: Settings, programs: ReadonlyMap<string, Program>): Program {
  const found = programs.get(program);
  if (!found) throw new RangeError(`there is no program "${program}"`);
  return found;
}

async function once({ settings, keep, claim, hash }: PlannedRun, lane: Lane, { cache, programs }: Workshop): Promise<void> {
  const program = programOf(settings, programs);
  const weights = dependencies(settings).map((from) => [hashOf(from), cache.weights(programOf(from, programs), from)] as const);
  const start = performance.now();
  const answer = await lane.run(written(program), {
    settings,
    weights: Object.fromEntries(weights),
    ...(keep && { keep: cache.weights(program, settings) }),
  });
  if ("error" in answer) throw new UserError(`claim ${claim}, run ${hash} (seed ${settings.seed}) failed: ${answer.error}`);
  const { result, backend } = answer;
  cache.write(program, settings, result, { seconds: (performance.now() - start) / 1000, backend });
}

/** "12/42 runs, claim 5, 1:05 left": on a terminal one line that is written over, elsewhere a line every tenth of the runs. */
class Progress {
  readonly #screen: Screen;
  readonly #all: number;
  readonly #cost: number;
  readonly #start = performance.now();
  #done = 0;
  #spent = 0;
  #shown = 0;

  constructor(runs: readonly PlannedRun[], screen: Screen) {
    this.#all = runs.length;
    this.#cost = runs.reduce((sum, { settings }) => sum + costOf(settings), 0);
    this.#screen = screen;
  }

  begin({ claim }: PlannedRun): void {
    if (this.#screen.isTTY) this.#screen.write(`\r${this.#line(claim)}\x1b[K`);
  }

  end({ claim, settings }: PlannedRun): void {
    this.#done++;
    this.#spent += costOf(settings);
    if (this.#screen.isTTY) this.#screen.write(`\r${this.#line(claim)}\x1b[K`);
    else if (this.#done === this.#all || this.#done - this.#shown >= this.#all / 10) {
      this.#shown = this.#done;
      this.#screen.write(`${this.#line(claim)}\n`);
    }
  }

  clear(): void {
    if (this.#screen.isTTY && this.#all > 0) this.#screen.write("\r\x1b[K");
  }

  #line(claim: number): string {
    const seconds = (performance.now() - this.#start) / 1000;
    const left = this.#spent === 0 ? this.#cost : (seconds / this.#spent) * (this.#cost - this.#spent);
    return `${this.#done}/${this.#all} runs  claim ${claim}  ${formatSeconds(left)} left`;
  }
}
