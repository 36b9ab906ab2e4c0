/**
 * Our side of the benchmark, in a process of its own. Prints one JSON line.
 * Usage: ours.ts step MODEL ROUNDS BACKEND THREADS | ours.ts matmul SIZE ROUNDS BACKEND THREADS | ours.ts profile MODEL ROUNDS BACKEND THREADS
 *
 * The model is the one in peers/models.json: learned positions, pre-norm LayerNorm, untied head, every feed-forward a Switch layer
 * (top-1, ReLU, no bias in experts), capacity ceil(1.25 tokens / experts) over the whole batch, balance loss 0.01, clipping at 1, Adam.
 */
import { readFileSync } from "node:fs";
import { key, random, scope, tensor, useBackend } from "switchyard-moe";
import type { Backend } from "switchyard-moe";
import { FeedForwardExperts, MoE, SwitchRouter } from "switchyard-moe/moe";
import { Adam, DecoderLanguageModel, clipScale, crossEntropy, gradNorm, initializers } from "switchyard-moe/nn";
import { isProduct, stopwatch } from "./profile.ts";

/** Milliseconds that every contender runs before it is timed: engines compile in steps. */
const WARM_UP = 2500;

interface Sizes {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly hidden: number;
  readonly experts: number;
  readonly length: number;
  readonly batch: number;
  readonly vocabulary: number;
}

type Run = () => Promise<unknown>;

function sizesOf(model: string): Sizes {
  const all = JSON.parse(readFileSync(new URL("peers/models.json", import.meta.url), "utf8")) as Record<string, Sizes>;
  const sizes = all[model];
  if (!sizes) throw new Error(`no model "${model}"; there are ${Object.keys(all).join(", ")}`);
  return sizes;
}

function switchModel({ vocabulary, width, layers, heads, hidden, experts, length }: Sizes): DecoderLanguageModel {
  const initializer = initializers.scaledTruncatedNormal(1);
  return new DecoderLanguageModel({
    vocabulary, width, layers, heads, hidden, context: length, positions: "learned", norm: "layer", bias: true, random: key(0),
    feedForward: (_, init) =>
      new MoE({
        router: new SwitchRouter({ width, experts, random: init.random.at("router"), balance: 0.01, jitter: 0 }),
        experts: new FeedForwardExperts({ experts, width, hidden, random: init.random.at("experts"), initializer }),
        trainingCapacityFactor: 1.25,
      }),
  }); // prettier-ignore
}

function stepRunner(sizes: Sizes): Run {
  const { batch, length, vocabulary } = sizes;
  const model = switchModel(sizes);
  const parameters = model.parameters();
  const optimizer = new Adam(model, { lr: 1e-3 });
  const draw = (name: string): Int32Array =>
    Int32Array.from({ length: batch * length }, (_, i) => Math.floor(key(1).at(name).number(i) * vocabulary));
  const [inputs, targets] = [draw("inputs"), draw("targets")];
  let step = 0;
  return () => {
    const shown = scope(() => {
      const out = model.forward(tensor(inputs, { shape: [batch, length] }), {}, { training: true, random: key(2).at(step++) });
      const loss = Object.values(out.losses).reduce(
        (sum, auxiliary) => sum.add(auxiliary),
        crossEntropy(out.logits, tensor(targets, { shape: [batch, length] })),
      );
      loss.backward({ release: true });
      optimizer.step({ gradScale: clipScale(gradNorm(parameters), 1) });
      optimizer.zeroGrad();
      return loss;
    });
    return shown.item();
  };
}

function matmulRunner(size: number): Run {
  const [x, y] = ["x", "y"].map((name) => random.normal([size, size], key(0).at(name)));
  return async () => {
    const z = x.matmul(y);
    z.backend.downloadSync?.(z.buffer, { shape: [1], dtype: "float32" });
    z.dispose();
  };
}

async function makeBackend(name: string, threads: number): Promise<Backend> {
  if (name === "wasm") {
    const { wasm } = await import("switchyard-moe/backend/wasm");
    return wasm({ threads });
  }
  const { cpu } = await import("switchyard-moe/backend");
  return cpu();
}

async function main(): Promise<void> {
  const [kind, what, rounds, name, threads] = process.argv.slice(2);
  const before = process.memoryUsage.rss();
  const real = await makeBackend(name, Number(threads));
  const watched = kind === "profile" ? stopwatch(real) : null;
  await useBackend(watched?.backend ?? real);
  const run = kind === "matmul" ? matmulRunner(Number(what)) : stepRunner(sizesOf(what));
  for (const until = performance.now() + WARM_UP; performance.now() < until;) await run();
  watched?.reset();
  const { launches } = real.stats();
  const ms: number[] = [];
  for (let i = 0; i < Number(rounds); i++) {
    const start = performance.now();
    await run();
    ms.push(performance.now() - start);
  }
  const { launches: after, peakBytes } = real.stats();
  const times = watched?.times().map((time) => ({ ...time, product: isProduct(time.kernel) }));
  const peer = `Switchyard ${name}`;
  const most = 1024 * process.resourceUsage().maxRSS;
  const memory = { peakBytes: most, workBytes: most - before };
  console.log(JSON.stringify({ peer, description: real.description, threads: Number(threads), ms, launches: (after - launches) / Number(rounds), ...memory, tensorBytes: peakBytes, times })); // prettier-ignore
}

await main();
process.exit(0);
