/**
 * The benchmark: matrix products, a full training step, generation, the sparse layer, and the start; ours beside the peers'. Every measurement
 * is a process of its own; rounds are interleaved (A B C, A B C, ...), so that a machine whose speed drifts treats all alike; medians and
 * their ratios count.
 *
 * Usage: npm run bench -- [--peers] [--rounds 3] [--runs 15] [--only PART,PART] [--node24 PATH] [--json FILE]
 * Parts: matmul, tiny, small, recompute, write, prompt, first, layer, profile; all of them where none is named.
 * --peers installs the peers' npm packages (bench/peers) when they are missing; PyTorch is Debian's python3-torch with libopenblas0-pthread.
 */
import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { buildSync } from "esbuild";
import { check, oneOf } from "../src/backend/arguments.ts";

/** What one process prints. */
interface Result {
  readonly peer: string;
  readonly description?: string;
  readonly threads?: number;
  readonly blas?: string;
  readonly ms: number[];
  readonly launches?: number;
  /** The most memory that the process held, its runtime included; and how far that is above what it held before the model was made. */
  readonly peakBytes: number;
  readonly workBytes: number;
  /** The most that tensors alone held at once, where the peer counts them. */
  readonly tensorBytes?: number;
  readonly times?: { kernel: string; calls: number; ms: number; product: boolean }[];
}

interface Contender {
  readonly label: string;
  readonly command: readonly string[];
}

interface Row {
  readonly label: string;
  readonly median: number;
  readonly best: number;
  readonly results: readonly Result[];
}

const PARTS = "matmul,tiny,small,recompute,write,prompt,first,layer,profile";
/** Tokens of one run of "write", for each text. */
const WRITTEN = 96;

const { values: options } = parseArgs({
  options: {
    peers: { type: "boolean", default: false },
    rounds: { type: "string", default: "3" },
    runs: { type: "string", default: "15" },
    only: { type: "string", default: PARTS },
    node24: { type: "string" },
    json: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
if (options.help) {
  console.log(`npm run bench -- [--peers] [--rounds 3] [--runs 15] [--only ${PARTS}] [--node24 PATH] [--json FILE]`);
  process.exit();
}
const rounds = Number(options.rounds);
const runs = Number(options.runs);
const parts = new Set(options.only.split(","));
for (const part of parts) check("bench", "--only", part, oneOf(...PARTS.split(",")));
const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
// The library as it is published, from dist/: a loader of TypeScript gives names to functions as they are made, which costs a tenth of a token.
const node20: readonly string[] = [process.execPath, "--import=tsx"];
const node24: readonly string[] | null = options.node24 ? [options.node24, "--import=tsx"] : null;

function ours(node: readonly string[], kind: string, what: string, backend: string, threads: number): Contender {
  const version = node === node24 ? " Node 24" : "";
  return {
    label: `Switchyard ${backend}, ${threads} thread${threads > 1 ? "s" : ""}${version}`,
    command: [...node, here("ours.ts"), kind, what, String(runs), backend, String(threads)],
  };
}

function peersFor(kind: string, what: string): Contender[] {
  if (!options.peers) return [];
  const [jax, python] = [here("peers/jaxjs.mjs"), here("peers/pytorch.py")];
  const slow = kind === "step" ? Math.max(3, Math.round(runs / 4)) : runs;
  const all = [
    ...(kind === "step" || kind === "matmul" ? [{ label: "jax-js wasm", command: [process.execPath, jax, kind, what, String(slow)] }] : []),
    ...(kind === "matmul"
      ? [{ label: "TensorFlow.js wasm", command: [process.execPath, here("peers/tfjs.mjs"), "wasm", what, String(runs)] }]
      : []),
    // Its own threads and OpenBLAS's are set apart; 2 of BLAS under 1 of its own is often its best form.
    ...[[1, 1], [1, 2], [2, 2]].map(([own, blas]) => ({
      label: `PyTorch, threads: ${own}, BLAS ${blas}`,
      command: ["/usr/bin/python3", python, kind, what, String(own), String(blas), String(runs)],
    })), // prettier-ignore
  ];
  return all;
}

/** Runs every contender once a round, for `rounds` rounds, and prints a table. A contender that fails is named and left out. */
function race(title: string, contenders: readonly Contender[]): Row[] {
  const results = new Map<string, Result[]>();
  for (let round = 0; round < rounds; round++)
    for (const { label, command } of contenders) {
      const result = measure(label, command);
      if (result) results.set(label, [...(results.get(label) ?? []), result]);
    }
  const rows = [...results].map(([label, all]) => {
    const ms = all.flatMap((result) => result.ms);
    return { label, median: median(ms), best: Math.min(...ms), results: all };
  });
  print(title, rows);
  return rows;
}

const broken = new Set<string>();

function measure(label: string, [program, ...inputs]: readonly string[]): Result | null {
  if (broken.has(label)) return null;
  const { stdout, stderr, status } = spawnSync(program, inputs, { encoding: "utf8", maxBuffer: 2 ** 26 });
  const line = stdout?.split("\n").findLast((text) => text.startsWith("{"));
  if (status === 0 && line) return JSON.parse(line) as Result;
  broken.add(label);
  console.error(`${label}: left out, it failed: ${(stderr ?? "").trim().split("\n").at(-1) ?? status}`);
  return null;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
}

function print(title: string, rows: readonly Row[]): void {
  const [first] = rows;
  console.log(`\n${title}`);
  if (!first) return console.log("  nothing could be measured");
  for (const row of rows) {
    const ratio = row === first ? "" : `${(row.median / first.median).toFixed(2)} x ours`;
    const about = row.results[0].description ?? row.results[0].blas ?? "";
    console.log(
      `  ${row.label.padEnd(34)} ${row.median.toFixed(2).padStart(9)} ms  best ${row.best.toFixed(2).padStart(9)}  ${memoryOf(row).padEnd(46)} ${ratio.padEnd(12)} ${about}`,
    );
  }
}

function memoryOf({ results }: Row): string {
  const most = (bytes: keyof Result & `${string}Bytes`): string =>
    `${(median(results.map((result) => result[bytes] ?? 0)) / 2 ** 20).toFixed(0)} MB`;
  const tensors = results[0].tensorBytes ? `, tensors ${most("tensorBytes")}` : "";
  return `peak ${most("peakBytes")}, its work ${most("workBytes")}${tensors}`;
}

function profile(model: string): Row[] {
  const rows = race(`profile of a step, ${model}`, [ours(node20, "profile", model, "wasm", 2)]);
  const times = rows[0]?.results[0].times ?? [];
  const steps = rows[0]?.results[0].ms.length ?? 1;
  const wall = rows[0]?.results[0].ms.reduce((sum, ms) => sum + ms, 0) ?? 0;
  const product = times.filter((time) => time.product).reduce((sum, time) => sum + time.ms, 0);
  const kernels = times.reduce((sum, time) => sum + time.ms, 0);
  for (const { kernel, calls, ms } of times.slice(0, 20))
    console.log(
      `  ${kernel.padEnd(30)} ${(calls / steps).toFixed(1).padStart(7)} calls  ${(ms / steps).toFixed(3).padStart(8)} ms  ${((100 * ms) / wall).toFixed(1).padStart(5)} %`,
    );
  console.log(
    `  matrix products ${((100 * product) / wall).toFixed(1)} %, other kernels ${((100 * (kernels - product)) / wall).toFixed(1)} %, the tape and the rest ${((100 * (wall - kernels)) / wall).toFixed(1)} %`,
  );
  return rows;
}

if (options.peers && !existsSync(here("peers/node_modules"))) spawnSync("npm", ["ci", "--prefix", here("peers")], { stdio: "inherit" });
if (spawnSync("npm", ["run", "build"], { stdio: ["ignore", "ignore", "inherit"], cwd: here("..") }).status !== 0) process.exit(1);
console.log(
  `${cpus()[0]?.model ?? "unknown processor"}, ${cpus().length} logical cores, Node ${process.version}; ${rounds} interleaved rounds of ${runs} runs after 2.5 s of warm-up, medians; peak: of the process, its work: above what it held before the model`,
);

/** Times from the import of the built library to the end of the first step, each in a process of its own. */
function first(): Row[] {
  const program = here("ours.built.mjs");
  buildSync({ entryPoints: [here("ours.ts")], outfile: program, bundle: true, format: "esm", platform: "node", packages: "external", external: ["./profile.ts"] }); // prettier-ignore
  const command = (node: string): string[] => [node, program, "first", "tiny", "1", "wasm", "2"];
  const engines = [process.execPath, ...(options.node24 ? [options.node24] : [])];
  const again = Array.from({ length: 5 }, () => engines.map((node) => ({ label: `Switchyard, ${node === process.execPath ? "this Node" : "Node 24"}`, command: command(node) }))); // prettier-ignore
  const rows = race("from import to the end of the first step, tiny", again.flat());
  rmSync(program);
  return rows;
}

const report: Record<string, Row[]> = {};
for (const size of parts.has("matmul") ? ["256", "512", "1024"] : []) {
  const contenders = [node20, ...(node24 ? [node24] : [])].flatMap((node) =>
    [1, 2].map((threads) => ours(node, "matmul", size, "wasm", threads)),
  );
  const rows = (report[`matmul ${size}`] = race(`matmul ${size}^3, float32`, [...contenders, ...peersFor("matmul", size)]));
  for (const row of rows) console.log(`    ${row.label}: ${((2 * Number(size) ** 3) / row.median / 1e6).toFixed(1)} GFLOP/s`);
}
/** Ours on every engine and with every number of threads, and the peers. */
function contenders(kind: string, what: string, threads: readonly number[] = [2, 1]): Contender[] {
  const nodes = [node20, ...(node24 ? [node24] : [])];
  return [...nodes.flatMap((node) => threads.map((count) => ours(node, kind, what, "wasm", count))), ...peersFor(kind, what)];
}

for (const model of ["tiny", "small"].filter((name) => parts.has(name)))
  report[`step ${model}`] = race(`training step of the Switch language model, ${model}`, contenders("step", model));
if (parts.has("recompute"))
  report["recompute"] = race("training step, small: as it is, and with blocks computed again in the backward walk", [
    ours(node20, "step", "small", "wasm", 2),
    { ...ours(node20, "recompute", "small", "wasm", 2), label: "Switchyard wasm, 2 threads, recompute" },
  ]);
for (const texts of parts.has("write") ? [1, 32] : []) {
  const rows = (report[`write ${texts}`] = race(
    `generation from small with a cache, ${texts} text${texts > 1 ? "s" : ""} at once, ${WRITTEN} tokens each`,
    contenders("write", `small:${texts}`),
  ));
  for (const row of rows) console.log(`    ${row.label}: ${((1000 * texts * WRITTEN) / row.median).toFixed(0)} tokens a second`);
}
if (parts.has("prompt")) report["prompt"] = race("from a prompt of 128 tokens to the next, small", contenders("prompt", "small"));
if (parts.has("first")) report["first"] = first();
if (parts.has("layer")) {
  console.log("\nthe sparse layer (bench/moe.ts)");
  spawnSync(node20[0], [...node20.slice(1), here("moe.ts"), "--rounds", String(runs)], { stdio: "inherit" });
}
for (const model of parts.has("profile") ? ["tiny", "small"] : []) report[`profile ${model}`] = profile(model);
if (options.json)
  writeFileSync(options.json, `${JSON.stringify({ date: new Date().toISOString(), node: process.version, report }, null, 2)}\n`);
