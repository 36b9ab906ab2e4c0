/**
 * What a sparse layer costs beside its experts' products, what more experts cost at the same compute per token, and what sorted rows
 * cost beside slots. Forward and backward of one Switch layer on wasm. Contenders take turns, and each round begins with another one, so
 * that a machine whose speed drifts treats all alike. Medians; the best of all rounds beside them.
 * T tokens, E experts, D width, F hidden width.
 */
import { parseArgs } from "node:util";
import { gradients, key, ones, random, scope, tensor, useBackend } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { wasm } from "switchyard-moe/backend/wasm";
import { FeedForwardExperts, MoE, SwitchRouter, capacityOf, loadBalance, queue, slotOfChoice, slotRouting } from "switchyard-moe/moe";
import type { CapacityFactor } from "switchyard-moe/moe";
import { Adam } from "switchyard-moe/nn";

const usage = `node --import=tsx --conditions=source bench/moe.ts [options]
  --threads N     of the wasm backend (2)
  --rounds N      of every comparison, after three to warm up (31)
  --only A,B      of shares, scaling, dropless (all)
  --tokens N,M    of scaling and dropless (2048,8192); shares are of the first
  --help          this`;
const { values } = parseArgs({
  options: {
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "31" },
    only: { type: "string", default: "shares,scaling,dropless" },
    tokens: { type: "string", default: "2048,8192" },
    help: { type: "boolean", default: false },
  },
});

const [D, F] = [128, 512];
const root = key(1);
const training = { training: true, random: root };

/** One run's times in milliseconds, by part. */
type Times = Readonly<Record<string, number>>;
interface Contender {
  readonly name: string;
  readonly run: () => Times;
}

/** The times of all rounds, by contender and part. */
function race(contenders: readonly Contender[]): Map<string, Map<string, number[]>> {
  const books = new Map(contenders.map(({ name }) => [name, new Map<string, number[]>()]));
  for (let round = -3; round < Number(values.rounds); round++)
    contenders.forEach((_, turn) => {
      const { name, run } = contenders[(turn + round + 3) % contenders.length];
      const times = run();
      if (round >= 0)
        for (const [part, ms] of Object.entries(times)) books.get(name)?.set(part, [...(books.get(name)?.get(part) ?? []), ms]);
    });
  return books;
}

const median = (ms: readonly number[] = [NaN]): number => ms.toSorted((a, b) => a - b)[ms.length >> 1];
const best = (ms: readonly number[] = [NaN]): number => Math.min(...ms);

function since(start: number): number {
  return performance.now() - start;
}

function table(title: string, head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((cell, i) => Math.max(cell.length, ...rows.map((row) => row[i].length)));
  const line = (row: readonly string[]): string => row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join("  ");
  console.log(`\n${title}\n\n${[head, widths.map((n) => "-".repeat(n)), ...rows].map(line).join("\n")}`);
}

const fixed = (x: number, digits = 1): string => x.toFixed(digits);

function layerOf(experts: number, trainingCapacityFactor: CapacityFactor): MoE {
  return new MoE({
    router: new SwitchRouter({ width: D, experts, random: root }),
    experts: new FeedForwardExperts({ experts, width: D, hidden: F, bias: false, random: root }),
    trainingCapacityFactor,
  });
}

const tokensOf = (count: number): Tensor => random.normal([8, count / 8, D], root.at("x"), { requiresGrad: true });

/** One step's forward and backward. Kernels of wasm are done when they return. */
function step(name: string, layer: MoE, x: Tensor): Contender {
  const run = (): Times => {
    const start = performance.now();
    scope(() => {
      layer.zeroGrad();
      x.zeroGrad();
      const { output, losses } = layer.forward(x, {}, training);
      output.sum().add(losses["balance"]).backward({ release: true });
    });
    return { all: since(start) };
  };
  return { name, run };
}

/** A part of the layer by itself: `forward` from leaves of its own, and its derivative by them. */
function part(name: string, leaves: readonly Tensor[], forward: () => Tensor): Contender {
  const seed = ones(forward().shape).persist();
  const run = (): Times =>
    scope(() => {
      const start = performance.now();
      const y = forward();
      const there = since(start);
      if (leaves.length === 0) return { forward: there, backward: 0, all: there };
      const turn = performance.now();
      gradients(y, leaves, { seed });
      const back = since(turn);
      return { forward: there, backward: back, all: there + back };
    });
  return { name, run };
}

/** Leaf of the same numbers: where one part's derivative ends. */
const leaf = (x: Tensor): Tensor => tensor(x.dataSync(), { shape: x.shape, requiresGrad: true });

function shares(tokens: number): void {
  const [experts, factor] = [8, 1.25];
  const x = tokensOf(tokens);
  const layer = layerOf(experts, factor);
  const router = new SwitchRouter({ width: D, experts, random: root, balance: 0 });
  const routing = router.route({ tokens: x, capacityFactor: factor, pass: training });
  const { books, layout } = routing;
  const flat = leaf(x.reshape([tokens, D]));
  const rows = leaf(routing.dispatch(flat));
  const probs = leaf(books.probs.unsqueeze(0)); // [1, T, E]
  const chosen = books.expertOfChoice.unsqueeze(0); // [1, T, 1]
  const capacity = capacityOf(tokens, experts, factor);
  const tables = (): Tensor => {
    const slots = slotOfChoice(queue(chosen), experts, capacity);
    return slotRouting({ losses: {}, books: { ...books, slotOfChoice: slots } }, experts, capacity).tables[0];
  };
  const network = layer.experts;
  const whole = "the layer";
  const parts = [
    part("router, with its tables", [x, ...router.parameters()], () => router.route({ tokens: x, capacityFactor: factor, pass: training }).books.gate), // prettier-ignore
    part("  of which tables", [], tables),
    part("dispatch", [flat], () => routing.dispatch(flat)),
    part("experts' products", [rows, ...network.parameters()], () => network.forward(rows, layout, training)),
    part("combine", [rows], () => routing.combine(rows)),
    part("balance loss", [probs], () => loadBalance({ expertOfChoice: chosen, probs })),
  ];
  const results = race([step(whole, layer, x), ...parts]);
  const total = median(results.get(whole)?.get("all"));
  const cells = [...results].map(([name, times]) => {
    const [there, back] = ["forward", "backward"].map((way) => (times.has(way) ? fixed(median(times.get(way)), 2) : ""));
    return [name, there, back, fixed(median(times.get("all")), 2), `${fixed((100 * median(times.get("all"))) / total)} %`];
  });
  table(`Where the time goes: ${tokens} tokens, ${experts} experts, factor ${factor}`, ["", "forward", "backward", "ms", "share"], cells);
  const products = median(results.get("experts' products")?.get("all"));
  console.log(`\nAll that is not the experts' products: ${fixed(100 * (1 - products / total))} % of the layer.`);
}

function scaling(tokens: number): void {
  const x = tokensOf(tokens);
  const layers = [1, 4, 8, 16, 64, ...(tokens >= 8192 ? [256] : [])].map((experts) => layerOf(experts, 1));
  const results = race(layers.map((layer) => step(`${layer.experts.count}`, layer, x)));
  const times = layers.map(({ experts }) => results.get(`${experts.count}`)?.get("all"));
  const cells = layers.map((layer, i) => {
    const [all, router] = [layer.cost(1).flops, layer.router.cost(1).flops];
    const ratio = median(times[i]) / median(times[0]);
    return [...[median(times[i]), best(times[i])].map((ms) => fixed(ms)), fixed(ratio, 2), `${all - router}`, `${router}`, fixed(adamMs(layer))]; // prettier-ignore
  });
  table(
    `More experts: ${tokens} tokens, factor 1. What the experts do for a token stays the same, the router grows; Adam apart`,
    ["experts", "ms", "best", "of one", "experts' FLOPs a token", "router's", "Adam ms"],
    layers.map(({ experts }, i) => [`${experts.count}`, ...cells[i]]),
  );
}

function dropless(tokens: number): void {
  const x = tokensOf(tokens);
  const factors: readonly CapacityFactor[] = ["dropless", 1, 1.25];
  const layers = factors.map((factor) => layerOf(8, factor));
  const results = race(layers.map((layer, i) => step(`${factors[i]}`, layer, x)));
  const first = median(results.get("dropless")?.get("all"));
  const cells = [...results].map(([name, times], i) => {
    const { layout, books } = layers[i].forward(x, {}, training).routing;
    const rows = layout.lead.reduce((a, b) => a * b, 1);
    const lost = books.slotOfChoice.dataSync().filter((slot) => slot < 0).length;
    const ms = times.get("all");
    return [name, fixed(median(ms)), fixed(best(ms)), fixed(median(ms) / first, 2), `${rows}`, `${fixed((100 * lost) / tokens)} %`];
  });
  table(`Slots or sorted rows: ${tokens} tokens, 8 experts`, ["factor", "ms", "best", "of dropless", "rows", "dropped"], cells);
}

/** The optimiser's step, which grows with all parameters: the best of a few. */
function adamMs(layer: MoE): number {
  const adam = new Adam(layer, { lr: 1e-3 });
  for (const parameter of layer.parameters())
    parameter.grad ??= tensor(new Float32Array(parameter.size), { shape: parameter.shape }).persist();
  const times = Array.from({ length: 5 }, () => {
    const start = performance.now();
    adam.step();
    return since(start);
  });
  return best(times);
}

if (values.help) console.log(usage);
else {
  const backend = await wasm({ threads: Number(values.threads) });
  await useBackend(backend);
  console.log(`${backend.description}; D ${D}, F ${F}; medians of ${values.rounds} rounds`);
  const sizes = values.tokens.split(",").map(Number);
  const only = new Set(values.only.split(","));
  if (only.has("shares")) shares(sizes[0]);
  for (const tokens of sizes) {
    if (only.has("scaling")) scaling(tokens);
    if (only.has("dropless")) dropless(tokens);
  }
  backend.close();
}
