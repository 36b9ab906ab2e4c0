/** Runs the stages of a check, two at a time, each as soon as what it needs has passed; prints each one's output when it ends. */
import { spawn } from "node:child_process";
import { endGroup } from "./trees.ts";

export interface Stage {
  readonly name: string;
  /** One line for the shell. */
  readonly command: string;
  readonly after?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Outcome {
  readonly name: string;
  readonly ok: boolean;
  readonly seconds: number;
  readonly output: string;
}

const LANES = 2;
/** Milliseconds after which a stage is ended: one that waits for ever must not take all others with it. */
const PATIENCE = 40 * 60_000;

function run(stage: Stage): Promise<Outcome> {
  const started = performance.now();
  return new Promise((resolve) => {
    const env = { ...process.env, ...stage.env };
    const child = spawn(stage.command, { shell: true, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
    let output = "";
    const kill = (): void => endGroup(child.pid);
    process.once("exit", kill);
    const timer = setTimeout(() => {
      output += `\nended after ${PATIENCE / 60_000} minutes`;
      kill();
    }, PATIENCE);
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text: string) => (output += text));
    const end = (ok: boolean): void => {
      clearTimeout(timer);
      process.off("exit", kill);
      resolve({ name: stage.name, ok, seconds: (performance.now() - started) / 1000, output });
    };
    child.on("error", (error) => {
      output += String(error);
      end(false);
    });
    child.on("close", (code) => end(code === 0));
  });
}

function report({ name, ok, seconds, output }: Outcome): void {
  console.log(`\n=== ${name}: ${ok ? "ok" : "FAILED"}, ${seconds.toFixed(1)} s\n${output.trimEnd()}`);
}

/** A stage whose need failed or never ran fails too, unrun. `tell` hears of each as it ends. */
export async function runStages(stages: readonly Stage[], tell: (outcome: Outcome) => void = report): Promise<Outcome[]> {
  const done = new Map<string, Outcome>();
  const waiting = [...stages];
  const settle = (outcome: Outcome): void => {
    done.set(outcome.name, outcome);
    tell(outcome);
  };
  const next = (): Stage | undefined => {
    const index = waiting.findIndex(({ after = [] }) => after.every((name) => done.has(name)));
    return index < 0 ? undefined : waiting.splice(index, 1)[0];
  };
  const running = new Set<Promise<void>>();
  while (waiting.length > 0 || running.size > 0) {
    for (let stage = running.size < LANES ? next() : undefined; stage; stage = running.size < LANES ? next() : undefined) {
      const broken = stage.after?.find((name) => !done.get(name)?.ok);
      if (broken !== undefined) {
        settle({ name: stage.name, ok: false, seconds: 0, output: `not run: ${broken} failed` });
        continue;
      }
      const lane: Promise<void> = run(stage).then((outcome) => {
        running.delete(lane);
        settle(outcome);
      });
      running.add(lane);
    }
    if (running.size === 0 && waiting.length > 0)
      throw new Error(`stages wait for each other: ${waiting.map(({ name }) => name).join(", ")}`);
    if (running.size > 0) await Promise.race(running);
  }
  return [...done.values()];
}
