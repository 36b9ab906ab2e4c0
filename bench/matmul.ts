/**
 * Matrix product of the reference backend beside TensorFlow.js "cpu", when that is installed (npm ci --prefix bench/peers).
 * Rounds alternate between the two, and medians are compared. Usage: node --import=tsx bench/matmul.ts [SIZE ...]
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { cpu } from "../src/backend/index.ts";
import type { NDArray } from "../src/backend/index.ts";

const peerScript = fileURLToPath(new URL("peers/tfjs.mjs", import.meta.url));
const peerPackage = fileURLToPath(new URL("peers/node_modules/@tensorflow/tfjs-backend-cpu", import.meta.url));
const rounds = 3;
const runsPerRound = 5;

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
}

/** Milliseconds of each of our runs; the first, which compile, are not counted. */
function ours(size: number): number[] {
  const backend = cpu();
  const type = { shape: [size, size], dtype: "float32" } as const;
  const make = (): NDArray => ({
    ...type,
    buffer: backend.upload(type, Float32Array.from({ length: size * size }, Math.random)),
    strides: [size, 1],
    offset: 0,
  });
  const [x, y] = [make(), make()];
  const times = Array.from({ length: runsPerRound + 3 }, () => {
    const start = performance.now();
    backend.free(backend.matmul(type, x, y));
    return performance.now() - start;
  });
  return times.slice(3);
}

/** The same for the peer, in a process of its own; nothing where it is not installed. */
function theirs(size: number): number[] {
  if (!existsSync(peerPackage)) return [];
  const { stdout } = spawnSync(process.execPath, [peerScript, "cpu", String(size), String(runsPerRound)], { encoding: "utf8" });
  const answer: { ms: number[] } = JSON.parse(stdout);
  return answer.ms;
}

const sizes = process.argv.slice(2).map(Number);
for (const size of sizes.length > 0 ? sizes : [128, 256, 512]) {
  const results = Array.from({ length: rounds }, () => ({ ours: ours(size), theirs: theirs(size) }));
  const gflops = (ms: readonly number[]): number => (2 * size ** 3) / median(ms) / 1e6;
  const mine = gflops(results.flatMap((r) => r.ours));
  const peer = results.flatMap((r) => r.theirs);
  const beside =
    peer.length === 0
      ? "TensorFlow.js cpu not installed"
      : `TensorFlow.js cpu ${gflops(peer).toFixed(2)}, ratio ${(mine / gflops(peer)).toFixed(2)}`;
  console.log(`matmul ${size}^3: ${mine.toFixed(2)} GFLOP/s; ${beside}`);
}
