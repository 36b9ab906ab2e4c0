/** Runs the stages of a check, some at a time, each as soon as the stages that it needs have passed; prints the output of each when it ends. */
import { spawn } from "node:child_process";
import { Readable } from "node:stream";
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
  /** Seconds of processor time that its processes took, as far as their parents waited for them. */
  readonly processor: number;
  readonly output: string;
  /** What its first try printed, where this is the second. */
  readonly before?: string;
}

interface Running {
  /** How many stages run at a time; default 2. */
  readonly lanes?: number;
  /** Called with each stage as it ends; by default it is printed. */
  readonly tell?: (outcome: Outcome) => void;
}
/** Milliseconds after which a stage is ended, so that one that never ends does not keep the others from running. */
const PATIENCE = 40 * 60_000;

/** The shell's account of its children, which it writes to file 3: "0m1.5s 0m0.2s", user and system, in its last line. */
function processorSeconds(account: string): number {
  const times = [...(account.trim().split("\n").at(-1) ?? "").matchAll(/(\d+)m([\d.]+)s/g)];
  return times.reduce((sum, [, minutes, seconds]) => sum + 60 * Number(minutes) + Number(seconds), 0);
}

function listen(stream: unknown, hear: (text: string) => void): void {
  if (stream instanceof Readable) stream.setEncoding("utf8").on("data", hear);
}

function run(stage: Stage): Promise<Outcome> {
  const started = performance.now();
  return new Promise((resolve) => {
    const env = { ...process.env, ...stage.env };
    const command = `(${stage.command}) 3>&-; code=$?; times >&3; exit $code`;
    const child = spawn(command, { shell: true, env, stdio: ["ignore", "pipe", "pipe", "pipe"], detached: true });
    let [output, account] = ["", ""];
    const kill = (): void => endGroup(child.pid);
    process.once("exit", kill);
    const timer = setTimeout(() => {
      output += `\nended after ${PATIENCE / 60_000} minutes`;
      kill();
    }, PATIENCE);
    for (const stream of [child.stdout, child.stderr]) listen(stream, (text) => (output += text));
    listen(child.stdio[3], (text) => (account += text));
    const end = (ok: boolean): void => {
      clearTimeout(timer);
      process.off("exit", kill);
      const seconds = (performance.now() - started) / 1000;
      resolve({ name: stage.name, ok, seconds, processor: processorSeconds(account), output });
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

/** A stage whose need failed or never ran fails too, unrun. */
export async function runStages(stages: readonly Stage[], { lanes = 2, tell = report }: Running = {}): Promise<Outcome[]> {
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
    for (let stage = running.size < lanes ? next() : undefined; stage; stage = running.size < lanes ? next() : undefined) {
      const broken = stage.after?.find((name) => !done.get(name)?.ok);
      if (broken !== undefined) {
        settle({ name: stage.name, ok: false, seconds: 0, processor: 0, output: `not run: ${broken} failed` });
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

/**
 * Runs the stages; then what failed, and what waited for that, once more and one at a time. A test of threads or of a browser can fail
 * because other stages take the processors; what a change broke fails twice, and only that has failed.
 */
export async function runTwice(stages: readonly Stage[], running: Running = {}): Promise<Outcome[]> {
  const first = new Map((await runStages(stages, running)).map((outcome) => [outcome.name, outcome]));
  const failed = stages.filter(({ name }) => !first.get(name)?.ok);
  const among = (names: readonly string[] = []): string[] => names.filter((name) => failed.some((stage) => stage.name === name));
  const second = await runStages(
    failed.map((stage) => ({ ...stage, after: among(stage.after) })),
    { ...running, lanes: 1 },
  );
  for (const outcome of second) first.set(outcome.name, { ...outcome, before: first.get(outcome.name)?.output ?? "" });
  return [...first.values()];
}
