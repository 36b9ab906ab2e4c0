/**
 * TensorFlow.js's side of the benchmark: matrix products on its "cpu" and "wasm" backends.
 * Usage: node tfjs.mjs cpu|wasm SIZE ROUNDS [THREADS]. Prints one JSON line. In Node its wasm backend runs on one thread.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";

const [backend, size, rounds] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
setWasmPaths(join(dirname(createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm")), "/"));
if (!(await tf.setBackend(backend))) throw new Error(`TensorFlow.js has no backend "${backend}" here`);
await tf.ready();

const before = process.memoryUsage.rss();
const [x, y] = [tf.randomNormal([size, size]), tf.randomNormal([size, size])];
function run() {
  const z = tf.matMul(x, y);
  z.dataSync();
  z.dispose();
}
for (const until = performance.now() + 2500; performance.now() < until;) run();
const ms = [];
for (let i = 0; i < rounds; i++) {
  const start = performance.now();
  run();
  ms.push(performance.now() - start);
}
const peakBytes = 1024 * process.resourceUsage().maxRSS;
console.log(
  JSON.stringify({ peer: `TensorFlow.js ${tf.version_core} (${tf.getBackend()})`, ms, peakBytes, workBytes: peakBytes - before }),
);
