/**
 * What a sparse layer costs beside its experts' products, and what more experts cost at the same compute per token. Forward and backward
 * of one Switch layer (with factor 1 all numbers of experts have equally many rows); what is compared takes turns, so that a machine whose speed drifts treats all alike.
 *
 * Usage: node --import=tsx --conditions=source bench/moe.ts [--threads 2] [--rounds 15]
 */
import { parseArgs } from "node:util";
import { key, random, scope, tensor, useBackend } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { wasm } from "switchyard-moe/backend/wasm";
import { FeedForwardExperts, MoE, SwitchRouter, capacityOf } from "switchyard-moe/moe";
import type { CapacityFactor, RowLayout } from "switchyard-moe/moe";
import { Adam } from "switchyard-moe/nn";

const { values } = parseArgs({ options: { threads: { type: "string", default: "2" }, rounds: { type: "string", default: "15" } } });
const [D, F] = [128, 512];
const root = key(1);
const training = { training: true, random: root };

interface Contender {
  readonly name: string;
  readonly run: () => Promise<void>;
  readonly ms: number[];
}

function contender(name: string, work: () => Tensor): Contender {
  const run = async (): Promise<void> => {
    await scope(work).data();
  };
  return { name, run, ms: [] };
}

async function race(contenders: readonly Contender[]): Promise<void> {
  for (let round = -3; round < Number(values.rounds); round++)
    for (const { run, ms } of contenders) {
      const start = performance.now();
      await run();
      if (round >= 0) ms.push(performance.now() - start);
    }
}

const best = ({ ms }: Contender): number => Math.min(...ms);
const median = ({ ms }: Contender): number => ms.toSorted((a, b) => a - b)[ms.length >> 1];
const say = (c: Contender, note = ""): void =>
  console.log(`${c.name.padEnd(44)} best ${best(c).toFixed(1).padStart(7)} ms, median ${median(c).toFixed(1).padStart(7)} ms  ${note}`);

function layerOf(experts: number, trainingCapacity: CapacityFactor): MoE {
  const router = new SwitchRouter({ width: D, experts, random: root });
  return new MoE({
    router,
    experts: new FeedForwardExperts({ experts, width: D, hidden: F, bias: false, random: root }),
    trainingCapacity,
  });
}

/** One step's forward and backward; its answer is the gradient of the tokens. */
function through(layer: MoE, x: Tensor): Tensor {
  layer.zeroGrad();
  x.zeroGrad();
  const { output, losses } = layer.forward(x, {}, training);
  output.sum().add(losses["balance"]).backward({ release: true });
  return x.grad ?? x;
}

const tokensOf = (count: number): Tensor => random.normal([8, count / 8, D], root.at("x"), { requiresGrad: true });

async function shares(): Promise<void> {
  const [tokens, experts] = [2048, 8];
  const x = tokensOf(tokens);
  const layer = layerOf(experts, 1.25);
  const slots = capacityOf(tokens, experts, 1.25);
  const rows = random.normal([experts, slots, D], root.at("rows"), { requiresGrad: true });
  const layout: RowLayout = {
    experts,
    lead: [experts, slots],
    offsets: null,
    project: (y, w) => y.matmul(w),
    spread: (v) => v.unsqueeze(1),
  };
  const alone = (): Tensor => {
    layer.zeroGrad();
    rows.zeroGrad();
    layer.experts.forward(rows, layout, training).sum().backward({ release: true });
    return rows.grad ?? rows;
  };
  const [whole, products] = [
    contender("Switch layer, 2048 tokens, 8 experts", () => through(layer, x)),
    contender("its experts alone, on as many rows", alone),
  ];
  await race([whole, products]);
  say(whole);
  say(products, `everything else: ${(100 * (1 - best(products) / best(whole))).toFixed(0)} % of the layer`);
}

async function scaling(tokens: number): Promise<void> {
  const x = tokensOf(tokens);
  const counts = [1, 4, 8, 16, 64];
  const layers = counts.map((experts) => layerOf(experts, 1));
  const runs = counts.map((experts, i) => contender(`${tokens} tokens, ${experts} experts, factor 1`, () => through(layers[i], x)));
  const without = layerOf(8, "dropless");
  const dropless = contender(`${tokens} tokens, 8 experts, dropless`, () => through(without, x));
  await race([...runs, dropless]);
  runs.forEach((run, i) =>
    say(
      run,
      `${(best(run) / best(runs[0])).toFixed(2)} of one expert; ${layers[i].cost(1).flops} FLOPs per token; Adam ${adamMs(layers[i]).toFixed(1)} ms`,
    ),
  );
  say(dropless, `${(best(dropless) / best(runs[2])).toFixed(2)} of 8 experts with slots`);
}

/** The optimiser's step, which grows with all parameters: the best of a few. */
function adamMs(layer: MoE): number {
  const adam = new Adam(layer, { lr: 1e-3 });
  for (const parameter of layer.parameters())
    parameter.grad ??= tensor(new Float32Array(parameter.size), { shape: parameter.shape }).persist();
  const times = Array.from({ length: 5 }, () => {
    const start = performance.now();
    adam.step();
    layer.parameters()[0].dataSync();
    return performance.now() - start;
  });
  return Math.min(...times);
}

const backend = await wasm({ threads: Number(values.threads) });
await useBackend(backend);
console.log(backend.description);
await shares();
for (const tokens of [2048, 8192]) await scaling(tokens);
backend.close();
