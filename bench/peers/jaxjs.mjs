/**
 * jax-js's side of the benchmark, on its WebAssembly backend (its aim is WebGPU; this backend is its fallback).
 *
 * Usage: node jaxjs.mjs step MODEL ROUNDS | node jaxjs.mjs matmul SIZE ROUNDS. Prints one JSON line.
 * The model is the one in models.json. jax-js has no scatter with a gradient, so tokens reach their slots through one-hot products; the
 * whole step is one jitted function. The optimiser is plain SGD, which favours it. (In jax-js each use of an array
 * but the last is written `.ref`.)
 */
import { readFileSync } from "node:fs";
import { defaultDevice, init, jit, nn, numpy as np, tree, valueAndGrad } from "@jax-js/jax";

const [kind, what, rounds] = process.argv.slice(2);
await init("wasm");
defaultDevice("wasm");

function randomArray(shape, scale) {
  const size = shape.reduce((a, b) => a * b, 1);
  const data = Float32Array.from({ length: size }, () => (Math.random() + Math.random() + Math.random() - 1.5) * 2 * scale);
  return np.array(data).reshape(shape);
}

function initialise({ vocabulary, width, layers, hidden, experts, length }) {
  const ones = () => np.ones([width]);
  const zeros = () => np.zeros([width]);
  const block = () => ({
    gain1: ones(), shift1: zeros(), gain2: ones(), shift2: zeros(),
    qkv: randomArray([width, 3 * width], width ** -0.5), qkvBias: np.zeros([3 * width]),
    out: randomArray([width, width], width ** -0.5), outBias: zeros(),
    router: randomArray([width, experts], width ** -0.5),
    first: randomArray([experts, width, hidden], width ** -0.5),
    second: randomArray([experts, hidden, width], hidden ** -0.5),
  }); // prettier-ignore
  return {
    embed: randomArray([vocabulary, width], 1), places: randomArray([length, width], 0.02),
    blocks: Array.from({ length: layers }, block),
    gain: ones(), shift: zeros(), head: randomArray([width, vocabulary], width ** -0.5), headBias: np.zeros([vocabulary]),
  }; // prettier-ignore
}

const layerNorm = (x, gain, shift) => nn.standardize(x, -1).mul(gain).add(shift);

function attention(x, p, { heads, batch, length, width }) {
  const qkv = np
    .matmul(x, p.qkv)
    .add(p.qkvBias)
    .reshape([batch, length, 3, heads, width / heads])
    .transpose([2, 0, 3, 1, 4]);
  const [q, k, v] = [0, 1, 2].map((i) => (i < 2 ? qkv.ref : qkv).slice(i));
  const scores = np.matmul(q, k.transpose([0, 1, 3, 2])).mul((width / heads) ** -0.5);
  const allowed = np.tril(np.ones([length, length])).greater(0);
  const probs = nn.softmax(np.where(allowed, scores, -1e30), -1);
  const mixed = np
    .matmul(probs, v)
    .transpose([0, 2, 1, 3])
    .reshape([batch * length, width]);
  return np.matmul(mixed, p.out).add(p.outBias);
}

function switchLayer(x, p, { experts, batch, length }) {
  const tokens = batch * length;
  const capacity = Math.ceil((1.25 * tokens) / experts);
  const probs = nn.softmax(np.matmul(x.ref, p.router), -1); // [T, E]
  const chosen = nn.oneHot(np.argmax(probs.ref, 1), experts); // [T, E]
  const gate = probs.ref.mul(chosen.ref).sum(1); // [T]
  const place = np.cumsum(chosen.ref, 0).sub(1).mul(chosen.ref).sum(1); // [T]
  const slots = nn.oneHot(place.astype(np.int32), capacity); // [T, C]; a place beyond the last gives zeros
  const dispatch = chosen.ref
    .reshape([tokens, experts, 1])
    .mul(slots.reshape([tokens, 1, capacity]))
    .reshape([tokens, experts * capacity]);
  const rows = np.matmul(dispatch.ref.transpose(), x).reshape([experts, capacity, -1]);
  const out = np.matmul(nn.relu(np.matmul(rows, p.first)), p.second).reshape([experts * capacity, -1]);
  const y = np.matmul(dispatch, out).mul(gate.reshape([tokens, 1]));
  const balance = chosen.mean(0).mul(probs.mean(0)).sum().mul(experts);
  return [y, balance];
}

function lossOf(p, ids, targets, sizes) {
  const { batch, length, width, vocabulary } = sizes;
  const tokens = batch * length;
  let x = np.matmul(nn.oneHot(ids, vocabulary), p.embed).reshape([batch, length, width]).add(p.places).reshape([tokens, width]);
  let balances = np.zeros([]);
  for (const block of p.blocks) {
    x = x.ref.add(attention(layerNorm(x, block.gain1, block.shift1).reshape([batch, length, width]), block, sizes));
    const [y, balance] = switchLayer(layerNorm(x.ref, block.gain2, block.shift2), block, sizes);
    x = x.add(y);
    balances = balances.add(balance);
  }
  const logits = np.matmul(layerNorm(x, p.gain, p.shift), p.head).add(p.headBias);
  const likelihood = nn.logSoftmax(logits, -1).mul(nn.oneHot(targets, vocabulary)).sum(-1).mean();
  return balances.mul(0.01).sub(likelihood);
}

function stepRunner(name) {
  const sizes = JSON.parse(readFileSync(new URL("models.json", import.meta.url), "utf8"))[name];
  const tokens = sizes.batch * sizes.length;
  const draw = () => np.array(Int32Array.from({ length: tokens }, () => Math.floor(Math.random() * sizes.vocabulary)));
  const step = jit((p, ids, targets) => {
    const [loss, grads] = valueAndGrad((q) => lossOf(q, ids.ref, targets.ref, sizes))(tree.ref(p));
    ids.dispose();
    targets.dispose();
    return [loss, tree.map((w, g) => w.sub(g.mul(1e-3)), p, grads)];
  });
  let parameters = initialise(sizes);
  const [ids, targets] = [draw(), draw()];
  return async () => {
    const [loss, next] = step(parameters, ids.ref, targets.ref);
    parameters = next;
    return loss.jsAsync();
  };
}

function matmulRunner(size) {
  const [x, y] = [randomArray([size, size], 1), randomArray([size, size], 1)];
  return async () => {
    const z = np.matmul(x.ref, y.ref);
    await z.blockUntilReady();
    z.dispose();
  };
}

const before = process.memoryUsage.rss();
const run = kind === "step" ? stepRunner(what) : matmulRunner(Number(what));
for (const until = performance.now() + 2500; performance.now() < until;) await run();
const ms = [];
for (let i = 0; i < Number(rounds); i++) {
  const start = performance.now();
  await run();
  ms.push(performance.now() - start);
}
const { version } = JSON.parse(readFileSync(new URL("node_modules/@jax-js/jax/package.json", import.meta.url), "utf8"));
const peakBytes = 1024 * process.resourceUsage().maxRSS;
console.log(JSON.stringify({ peer: `jax-js ${version} (wasm)`, ms, peakBytes, workBytes: peakBytes - before }));
process.exit(0);
