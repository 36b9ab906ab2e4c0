/**
 * Many processes: collectives beside a plain C program, strong and weak scaling of the main job's model, and the cost model's prediction of the
 * shared run.
 *
 * Usage: node --import=tsx --conditions=source bench/distributed.ts [--ranks 2] [--batch 64] [--steps 4] [--rounds 5] [--only collectives,train]
 * Needs mpirun, mpicc and koffi. Rounds are interleaved (ours, C, ours, C, ...; one kind of training after the other), so that a machine whose
 * speed drifts treats all alike; of collectives the fastest sample counts, of training the median step.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import type { WireReport } from "../examples/train/wireAccount.ts";
import { check, oneOf } from "../src/backend/arguments.ts";
import { NAMES, SIZES, callsOf, compiled, parsedTiming, timingKey } from "./collectives.ts";
import type { Timing } from "./collectives.ts";
import { transfer, waiting } from "./costModel.ts";
import type { Link } from "./costModel.ts";

const { values: options } = parseArgs({
  options: {
    ranks: { type: "string", default: "2" },
    batch: { type: "string", default: "64" },
    steps: { type: "string", default: "4" },
    rounds: { type: "string", default: "5" },
    only: { type: "string", default: "collectives,train" },
  },
});
const ranks = Number(options.ranks);
const parts = new Set(options.only.split(","));
for (const part of parts) check("bench/distributed", "--only", part, oneOf("collectives", "train"));
const rank = fileURLToPath(new URL("distributedRank.ts", import.meta.url));
const mpirun = process.env["SWITCHYARD_MPIRUN"] ?? "mpirun";
const mpicc = process.env["SWITCHYARD_MPICC"] ?? "mpicc";

/** Runs a program on all ranks and answers with what it printed. */
function onRanks(...command: readonly string[]): string {
  const env = { ...process.env, OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1", OMPI_MCA_rmaps_base_oversubscribe: "1" };
  const { stdout, stderr, status, error } = spawnSync(mpirun, ["-n", String(ranks), ...command], { encoding: "utf8", env, maxBuffer: 2 ** 26 }); // prettier-ignore
  if (error || status !== 0) throw new Error(`${mpirun} ${command.join(" ")}: ${error?.message ?? stderr}`);
  return stdout;
}

const ours = (...args: readonly string[]): string => onRanks(process.execPath, "--import=tsx", "--conditions=source", rank, ...args);

/** The faster of two timings, call by call. */
function fastest(a: Timing | null, b: Timing): Timing {
  return Object.fromEntries(Object.entries(b).map(([key, one]) => [key, a && a[key].best < one.best ? a[key] : one]));
}

function collectives(): Timing {
  const folder = mkdtempSync(join(tmpdir(), "switchyard-bench-"));
  try {
    const program = compiled(folder, mpicc);
    const sizes = SIZES.flatMap((bytes) => [String(bytes), String(callsOf(bytes))]);
    let [here, there]: (Timing | null)[] = [null, null];
    for (let round = 0; round < 3; round++) {
      here = fastest(here, parsedTiming(ours("collectives")));
      there = fastest(there, parsedTiming(onRanks(program, ...sizes)));
    }
    if (!here || !there) throw new Error("nothing was timed");
    compareCollectives(here, there);
    return here;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The most that ours may take over C from 64 KB on. */
const BAR = 1.1;

function compareCollectives(here: Timing, there: Timing): void {
  console.log(`\ncollectives of ${ranks} ranks, microseconds of a call in the fastest sample: ours, C, ratio`);
  for (const name of NAMES)
    for (const bytes of SIZES) {
      const [own, c] = [here, there].map((timing) => 1e6 * timing[timingKey(name, bytes)].best);
      const verdict = bytes < 65536 ? "" : own / c <= BAR ? `within ${BAR}` : `ABOVE ${BAR}`;
      console.log(`  ${name.padEnd(10)} ${String(bytes / 1024).padStart(5)} KB ${own.toFixed(1).padStart(9)} ${c.toFixed(1).padStart(9)}  ${(own / c).toFixed(2)}  ${verdict}`); // prettier-ignore
    }
}

interface Trained {
  readonly name: string;
  readonly milliseconds: { readonly best: number; readonly median: number };
  readonly spread: number;
  readonly wire: WireReport | null;
}

function train(timing: Timing | null): void {
  const text = ours("train", options.batch, options.steps, options.rounds).trim().split("\n").at(-1) ?? "";
  const { description, runs } = JSON.parse(text) as { description: string; runs: Trained[] };
  const [one, part, each, strong, weak] = runs;
  console.log(`\ntraining on ${description}, batch ${options.batch}, one thread each: milliseconds of the median step (of the fastest)`);
  for (const { name, milliseconds, wire } of runs) {
    const inside = wire ? `, inside collectives ${wire.inside.map((share) => `${(100 * share).toFixed(1)} %`).join(", ")}` : "";
    console.log(`  ${name.padEnd(42)} ${milliseconds.median.toFixed(1).padStart(7)} (${milliseconds.best.toFixed(1)})${inside}`);
  }
  const ratio = (a: Trained, b: Trained): string => (a.milliseconds.median / b.milliseconds.median).toFixed(2);
  console.log(`  strong scaling: ${ratio(one, strong)} times as fast as one process; weak: ${((ranks * one.milliseconds.median) / weak.milliseconds.median).toFixed(2)} times the tokens per second`); // prettier-ignore
  console.log(`  what the machine itself allows: ${ranks} processes that share nothing slow each other by ${ratio(each, one)}`);
  if (timing && strong.wire) predict(part, strong, strong.wire, timing);
}

/** Latency and bandwidth of a collective, from its smallest and its largest size. */
function linkOf(timing: Timing, name: string, sent: (bytes: number) => number): Link {
  const [small, large] = [SIZES[0], SIZES[SIZES.length - 1]];
  const [short, long] = [small, large].map((bytes) => timing[timingKey(name, bytes)].median);
  const bandwidth = (sent(large) - sent(small)) / Math.max(1e-9, long - short);
  return { bandwidth, latency: Math.max(0, short - sent(small) / bandwidth) };
}

/** Compute of a part of the batch as measured beside the others, and the wire by calls and bytes. */
function predict(part: Trained, strong: Trained, wire: WireReport, timing: Timing): void {
  const away = 1 - 1 / ranks;
  const links: Record<string, Link> = {
    allReduce: linkOf(timing, "allReduce", (bytes) => 2 * bytes * away),
    allToAllV: linkOf(timing, "allToAll", (bytes) => bytes * away),
    allGather: linkOf(timing, "allGather", (bytes) => bytes * (ranks - 1)),
  };
  const communication = wire.rows.reduce(
    (sum, { name, calls, bytes }) => sum + transfer(links[name] ?? links["allGather"], bytes, calls),
    0,
  );
  const exchanges = wire.rows.reduce((sum, { calls }) => sum + calls, 0);
  const idle = waiting(part.spread, exchanges);
  const predicted = part.milliseconds.median + 1000 * communication + idle;
  const error = 100 * (predicted / strong.milliseconds.median - 1);
  console.log(`  the cost model: ${part.milliseconds.median.toFixed(1)} ms of computing + ${(1000 * communication).toFixed(1)} ms on the wire + ${idle.toFixed(1)} ms of waiting (steps spread by ${part.spread.toFixed(1)} ms) = ${predicted.toFixed(1)} ms; measured ${strong.milliseconds.median.toFixed(1)} ms (${error.toFixed(1)} %, ${Math.abs(error) <= 15 ? "within" : "OUTSIDE"} 15 %)`); // prettier-ignore
}

console.log(`${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, load ${loadavg()[0].toFixed(1)} before it began`);
const timing = parts.has("collectives") ? collectives() : null;
if (parts.has("train")) train(timing);
