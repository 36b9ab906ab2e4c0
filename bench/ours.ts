/**
 * Our side of the benchmark, in a process of its own. Prints one JSON line.
 * Usage: ours.ts KIND WHAT ROUNDS BACKEND THREADS, where KIND WHAT is one of
 *   step MODEL, profile MODEL    a training step; the same by kernel
 *   recompute MODEL              a training step whose blocks are computed again in the backward walk
 *   first MODEL                  from the import of the library to the end of the first step, once
 *   write MODEL:BATCH            greedy generation of WRITTEN tokens after a prompt of PROMPT, for so many texts at once
 *   prompt MODEL                 from a prompt as long as the context to its next token
 *   matmul SIZE
 *
 * The model is the one in peers/models.json: learned positions, pre-norm LayerNorm, untied head, every feed-forward a Switch layer
 * (top-1, ReLU, no bias in experts), capacity ceil(1.25 tokens / experts) over the whole batch, balance loss 0.01, clipping at 1, Adam.
 */
import { readFileSync } from "node:fs";
import { key, random, scope, tensor, useBackend } from "switchyard-moe";
import type { Backend } from "switchyard-moe";
import { FeedForwardExperts, MoE, SwitchRouter } from "switchyard-moe/moe";
import { Adam, DecoderLanguageModel, clipScale, crossEntropy, generateBatch, gradNorm, initializers } from "switchyard-moe/nn";

/** Milliseconds that every contender runs before it is timed: engines compile in steps. */
const WARM_UP = 2500;
/** Of generation: tokens of the prompts, and tokens written after them. */
const [PROMPT, WRITTEN] = [16, 96];

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

function switchModel({ vocabulary, width, layers, heads, hidden, experts, length }: Sizes, recompute = false): DecoderLanguageModel {
  const initializer = initializers.scaledTruncatedNormal(1);
  return new DecoderLanguageModel({
    vocabulary, width, layers, heads, hidden, context: length, positions: "learned", norm: "layer", bias: true, recompute, random: key(0),
    feedForward: (_, init) =>
      new MoE({
        router: new SwitchRouter({ width, experts, random: init.random.at("router"), balance: 0.01, jitter: 0 }),
        experts: new FeedForwardExperts({ experts, width, hidden, bias: false, random: init.random.at("experts"), initializer }),
        trainingCapacityFactor: 1.25,
      }),
  }); // prettier-ignore
}

/** Ids below `vocabulary`, the same in every run. */
function draw(name: string, count: number, vocabulary: number): Int32Array {
  return Int32Array.from({ length: count }, (_, i) => Math.floor(key(1).at(name).number(i) * vocabulary));
}

function stepRunner(sizes: Sizes, recompute = false): Run {
  const { batch, length, vocabulary } = sizes;
  const model = switchModel(sizes, recompute);
  const parameters = model.parameters();
  const optimizer = new Adam(model, { lr: 1e-3 });
  const [inputs, targets] = ["inputs", "targets"].map((name) => draw(name, batch * length, vocabulary));
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

/** Writes `tokens` tokens after each of `texts` prompts, greedily, with a cache of keys and values. */
function writer(sizes: Sizes, texts: number, prompt: number, tokens: number): Run {
  const model = switchModel(sizes);
  const prompts = Array.from({ length: texts }, (_, b) => [...draw(`prompt ${b}`, prompt, sizes.vocabulary)]);
  return () => generateBatch(model, prompts, { tokens, temperature: 0 });
}

function matmulRunner(size: number): Run {
  const [x, y] = ["x", "y"].map((name) => random.normal([size, size], key(0).at(name)));
  return async () => {
    const z = x.matmul(y);
    z.backend.downloadSync?.(z.buffer, { shape: [1], dtype: "float32" });
    z.dispose();
  };
}

function runnerOf(kind: string, what: string): Run {
  const [model, texts] = what.split(":");
  if (kind === "matmul") return matmulRunner(Number(what));
  const sizes = sizesOf(model);
  if (kind === "write") return writer(sizes, Number(texts), PROMPT, WRITTEN);
  if (kind === "prompt") return writer(sizes, 1, sizes.length, 1);
  return stepRunner(sizes, kind === "recompute");
}

async function makeBackend(name: string, threads: number): Promise<Backend> {
  if (name === "wasm") {
    const { wasm } = await import("switchyard-moe/backend/wasm");
    return wasm({ threads });
  }
  const { cpu } = await import("switchyard-moe/backend");
  return cpu();
}

/** Milliseconds of each of `rounds` runs. */
async function timed(run: Run, rounds: number): Promise<number[]> {
  const ms: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const start = performance.now();
    await run();
    ms.push(performance.now() - start);
  }
  return ms;
}

async function main(): Promise<void> {
  const [kind, what, rounds, name, threads] = process.argv.slice(2);
  const before = process.memoryUsage.rss();
  const real = await makeBackend(name, Number(threads));
  const peer = `Switchyard ${name}`;
  if (kind === "first") {
    await useBackend(real);
    await stepRunner(sizesOf(what))();
    // From where Node itself is ready: all that follows is reading and running the library.
    const ms = [performance.now() - performance.nodeTiming.bootstrapComplete];
    const peakBytes = 1024 * process.resourceUsage().maxRSS;
    return console.log(JSON.stringify({ peer, description: real.description, threads: Number(threads), ms, peakBytes, workBytes: peakBytes - before })); // prettier-ignore
  }
  const { isProduct, stopwatch } = await import("./profile.ts");
  const watched = kind === "profile" ? stopwatch(real) : null;
  await useBackend(watched?.backend ?? real);
  const run = runnerOf(kind, what);
  for (const until = performance.now() + WARM_UP; performance.now() < until;) await run();
  watched?.reset();
  const { launches } = real.stats();
  const ms = await timed(run, Number(rounds));
  const { launches: after, peakBytes } = real.stats();
  const times = watched?.times().map((time) => ({ ...time, product: isProduct(time.kernel) }));
  const most = 1024 * process.resourceUsage().maxRSS;
  const memory = { peakBytes: most, workBytes: most - before };
  console.log(JSON.stringify({ peer, description: real.description, threads: Number(threads), ms, launches: (after - launches) / Number(rounds), ...memory, tensorBytes: peakBytes, times })); // prettier-ignore
}

await main();
process.exit(0);
