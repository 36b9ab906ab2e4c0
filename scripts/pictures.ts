/** Draws the pictures of docs/concepts.md into docs/pictures: node --import=tsx --conditions=source scripts/pictures.ts */
import { mkdirSync, writeFileSync } from "node:fs";
import { full, key, noGrad, ones, random, tensor } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import {
  BalancedRouter,
  DenseRouter,
  ExpertChoiceRouter,
  FeedForwardExperts,
  HashRouter,
  MoE,
  SoftRouter,
  SwitchRouter,
  TopKRouter,
  loadBalance,
  loadProbability,
  measure,
  randomHash,
  squaredVariation,
  zLoss,
} from "switchyard-moe/moe";
import { DecoderLanguageModel, DenseFeedForward, attentionWeights, beamSearch, initializers, noiseSpans } from "switchyard-moe/nn";
import { bars, curve, heatMap } from "../examples/train/svg/index.ts";
import type { Point } from "../examples/train/svg/index.ts";
import { WIDTH, slotsPicture, send, vectorsOf, words } from "../examples/train/words.ts";

const experts = 4;
const base = { width: WIDTH, experts, random: key(2).at("router"), initializer: initializers.normal(0.5) };
const choosesBest = new SwitchRouter({ ...base, jitter: 0 });
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i));
const range = (count: number, from: number, to: number): number[] =>
  Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1));

async function rows(table: Tensor): Promise<number[][]> {
  const [count, size] = table.shape;
  const flat = Array.from(await table.data());
  return Array.from({ length: count }, (_, i) => flat.slice(i * size, (i + 1) * size));
}

async function points(xs: readonly number[], y: (x: number) => Tensor): Promise<Point[]> {
  return Promise.all(xs.map(async (x): Promise<Point> => [x, await y(x).item()]));
}

async function attending(): Promise<string> {
  const x = vectorsOf().unsqueeze(0); // [1, 1, T, D]
  const values = await rows(attentionWeights(x, x, { causal: true }).squeeze(0).squeeze(0).mul(100)); // prettier-ignore
  const captions = { title: "Causal attention", description: "How much each word (row) takes from itself and those before it" };
  return heatMap({ ...captions, rows: words, columns: words, values, row: "word", column: "takes from", unit: "%" });
}

async function gates(): Promise<string> {
  const { gate } = await send(new DenseRouter(base));
  const values = words.map((_, t) => Array.from(gate.slice(t * experts, (t + 1) * experts)));
  const captions = { title: "The softmax gate", description: "How much of each word's answer each expert gives; rows add up to 1" };
  return heatMap({ ...captions, rows: words, columns: names(experts), values, row: "word", column: "expert", unit: "of the answer", format: (x) => x.toFixed(2), most: 1 }); // prettier-ignore
}

async function noise(): Promise<string> {
  const series = await Promise.all(
    [0.05, 0.3, 0.7].map(async (sigma) => ({
      name: `deviation ${sigma}`,
      points: await points(range(41, -2, 2), (x) => {
        const clean = tensor([[[x, 0.5, 0, -0.5]]]);
        return loadProbability(clean, clean, full([1, 1, 4], sigma), 2)
          .narrow(2, 0, 1)
          .sum();
      }),
    })),
  );
  const description = "P(x, 0), the chance of expert 0 to be among two of four, by its clean logit; the others stand at 0.5, 0 and -0.5";
  return curve({ title: "The smooth load", description, series, x: "clean logit", y: "P" });
}

async function importance(): Promise<string> {
  const loads = { even: [3, 3, 3, 3], "one and a half": [4.5, 2.5, 2.5, 2.5], "one twice": [6, 2, 2, 2], "one has all": [12, 0, 0, 0] };
  const list = await Promise.all(
    Object.entries(loads).map(async ([name, load]) => ({ name, value: await squaredVariation(tensor([load])).item() })),
  );
  return bars({ title: "CV^2 of the loads of four experts", description: "0 when even, E - 1 when one has all", bars: list, x: "CV^2" });
}

function sizes(): string {
  const list = [1, 2, 4, 8, 16].flatMap((count) => {
    const layer = new MoE({
      router: new SwitchRouter({ ...base, experts: count, width: 64 }),
      experts: new FeedForwardExperts({ experts: count, width: 64, hidden: 256, random: key(1) }),
    });
    const all = layer.parameters().reduce((sum, { size }) => sum + size, 0);
    return [{ name: count === 1 ? "1 expert, all" : `${count} experts, all`, value: all / 1000 }, { name: "active", value: layer.cost(1).active / 1000, plain: true }]; // prettier-ignore
  });
  return bars({ title: "Parameters of a layer and those a token uses", description: "All grow with the experts, active ones hardly", bars: list, x: "thousands", format: (x) => x.toFixed(0) }); // prettier-ignore
}

/** 2^-7 rather than 0.0078125. */
const shownEdge = (edge: number): string => (edge === 0 ? "0" : `2^${Math.log2(edge)}`);

async function precision(): Promise<string> {
  const x = random.normal([6000, 64], key(1)).cast("bfloat16");
  const weight = random.normal([64, 8], key(2), { std: 1 / 8 });
  const precise = x.cast("float32").matmul(weight);
  const rounded = x.matmul(weight.cast("bfloat16"));
  const { values } = precise.topK(2);
  const margin = await values
    .narrow(1, 0, 1)
    .sub(values.narrow(1, 1, 2))
    .data();
  const [a, b] = await Promise.all([precise.argmax().data(), rounded.argmax().data()]);
  const edges = [0, 2 ** -9, 2 ** -8, 2 ** -7, 2 ** -6, 2 ** -5, Infinity];
  const list = edges.slice(1).map((to, i) => {
    const inside = Array.from(margin.keys()).filter((t) => margin[t] >= edges[i] && margin[t] < to);
    const flipped = inside.filter((t) => a[t] !== b[t]).length;
    return {
      name: to === Infinity ? `${shownEdge(edges[i])} and more` : `${shownEdge(edges[i])} to ${shownEdge(to)}`,
      value: (100 * flipped) / Math.max(1, inside.length),
    };
  });
  return bars({ title: "Choices that flip in a bfloat16 router", description: "By the margin of the two best float32 logits", bars: list, of: "margin of the best two logits", x: "% of choices that flip", format: (x) => x.toFixed(1) }); // prettier-ignore
}

async function initial(): Promise<string> {
  const list = await Promise.all(
    [1, 0.1].flatMap((s) =>
      [64, 256].map(async (fanIn) => {
        const weight = initializers.scaledTruncatedNormal(s)([fanIn, 512], key(3));
        return { name: `s = ${s}, fan-in ${fanIn}`, value: await weight.variance().sqrt().item() };
      }),
    ),
  );
  return bars({ title: "Deviation of the first weights", description: "0.88 sqrt(s / fan-in); a tenth of s is a third of the deviation", bars: list, x: "standard deviation", format: (x) => x.toFixed(3) }); // prettier-ignore
}

async function expertDropout(): Promise<string> {
  const kept = ones([4, 12]).dropout(0.4, key(5));
  const captions = {
    title: "Expert dropout at 0.4",
    description: "Twelve hidden numbers of one token in each of four experts: 0 where dropped, 1 / 0.6 where kept",
  };
  return heatMap({ ...captions, rows: names(4), columns: names(12), values: await rows(kept), row: "expert", column: "hidden", unit: "times its value", format: (x) => (x === 0 ? "0" : x.toFixed(1)) }); // prettier-ignore
}

async function balance(): Promise<string> {
  const [T, E] = [840, 8];
  const loss = (share: number, sure: boolean): Tensor => {
    const busy = Math.round(share * T);
    const expert = tensor(Int32Array.from({ length: T }, (_, t) => (t < busy ? 0 : 1 + (t % (E - 1)))), { shape: [1, T, 1] }); // prettier-ignore
    const probs = sure ? expert.squeeze(2).oneHot(E, "float32") : full([1, T, E], 1 / E);
    return loadBalance({ expertOfChoice: expert, probs });
  };
  const xs = range(29, 1 / 8, 1);
  const series = [
    { name: "surely: P = f", points: await points(xs, (x) => loss(x, true)) },
    { name: "undecided: every p uniform", points: await points(xs, (x) => loss(x, false)) },
  ];
  return curve({ title: "The balance loss of eight experts, divided by alpha", description: "By the share of the busiest expert: from 1 to E where routers are sure, 1 where they are undecided", series, x: "share of the busiest expert", y: "E sum f P" }); // prettier-ignore
}

async function normaliser(): Promise<string> {
  const series = [{ name: "z-loss", points: await points(range(41, -6, 4), (c) => zLoss(full([1, 1, 8], c))) }];
  return curve({ title: "The z-loss of eight equal logits", description: "0 where log-sum-exp is 0, at -ln 8, and growing with the square of it", series, x: "each logit", y: "(log sum exp)^2" }); // prettier-ignore
}

async function capacityCost(): Promise<string> {
  const tokens = random.normal([1, 512, WIDTH], key(5)).add(0.3);
  const factors = range(16, 0.5, 3.5);
  const found = await Promise.all(factors.map(async (factor) => measure(await send(choosesBest, { tokens, capacityFactor: factor })))); // prettier-ignore
  const series = [
    { name: "tokens dropped", points: factors.map((factor, i): Point => [factor, 100 * found[i].dropped]) },
    { name: "slots left empty", points: factors.map((factor, i): Point => [factor, 100 * (1 - found[i].utilisation)]) },
  ];
  return curve({ title: "What capacity costs", description: "With more slots fewer tokens are dropped and more slots stay empty; the load is uneven", series, x: "capacity factor", y: "%" }); // prettier-ignore
}

async function soft(): Promise<string> {
  const router = new SoftRouter({ ...base, slots: 2 });
  router.scale.assign(router.scale.mul(4));
  const [dispatch] = noGrad(() => router.route({ tokens: vectorsOf(), capacityFactor: 1, pass: { training: false, random: key(0) } })).tables; // prettier-ignore
  const values = await rows(dispatch.squeeze(0).transpose(0, 1).mul(100)); // [T, N]
  const slots = names(8).map((slot) => `e${Number(slot) >> 1}.${Number(slot) % 2}`);
  const captions = { title: "Soft MoE: what slots are made of", description: "Share of each word in each slot; columns add up to 100 %" };
  return heatMap({ ...captions, rows: words, columns: slots, values, row: "word", column: "slot", unit: "% of the slot" });
}

async function lossFree(): Promise<string> {
  const tokens = random.normal([8, 16, WIDTH], key(5)).add(0.7);
  const course = async (biasRate: number): Promise<Point[]> => {
    const router = new TopKRouter({ ...base, choices: 2, scores: "sigmoid", normalise: "after", biasRate });
    const found: Point[] = [];
    for (let step = 0; step <= 100; step++) {
      if (step % 4 === 0) found.push([step, measure(await send(router, { tokens, capacityFactor: "dropless" })).maxViolation]);
      noGrad(() => router.afterStep(router.route({ tokens, capacityFactor: "dropless", pass: { training: true, random: key(1) } })));
    }
    return found;
  };
  const series = [];
  for (const rate of [0.001, 0.01]) series.push({ name: `rate ${rate}`, points: await course(rate) });
  return curve({ title: "Balance without a loss", description: "MaxVio as the bias takes its steps, on the same tokens throughout", series, x: "step", y: "MaxVio" }); // prettier-ignore
}

async function upcycled(): Promise<string> {
  const dense = new DenseFeedForward(WIDTH, 16, { random: key(1), initializer: initializers.normal(0.4) });
  const x = vectorsOf();
  const pass = { training: false, random: key(0) };
  const exact = dense.apply(x, pass);
  const away = async (normalise: "before" | "after", copied: boolean): Promise<number> => {
    const network = new FeedForwardExperts({ experts, width: WIDTH, hidden: 16, random: key(9), initializer: initializers.normal(0.4) });
    if (copied) for (const [own, given] of [[network.hidden, dense.hidden.weight], [network.output, dense.output.weight]]) own.assign(given.unsqueeze(0).broadcastTo(own.shape)); // prettier-ignore
    const { output } = new MoE({ router: new TopKRouter({ ...base, choices: 2, normalise }), experts: network }).forward(x, {}, pass);
    return output.sub(exact).norm().div(exact.norm()).item();
  };
  const list = [
    { name: "new experts", value: await away("after", false), plain: true },
    { name: "copies, gates before", value: await away("before", true) },
    { name: "copies, gates after", value: await away("after", true) },
  ];
  return bars({ title: "How far an upcycled layer is from the dense one", description: "0 where each expert is a copy and gates add up to 1", bars: list, x: "distance over length" }); // prettier-ignore
}

async function distilled(): Promise<string> {
  const teacher = Array.from(await tensor([2, 1.2, 0.3, -0.5]).softmax(-1).data()); // prettier-ignore
  const list = teacher.map((q, word) => ({ name: `class ${word}`, value: 0.25 * q + (word === 1 ? 0.75 : 0) }));
  return bars({ title: "What a student is taught", description: "A quarter of the teacher's probabilities, three quarters of the label, class 1", bars: list, x: "target" }); // prettier-ignore
}

function spans(): string {
  const values = Array.from({ length: 6 }, (_, i) => {
    const taken = noiseSpans(24, key(i), { density: 0.25 });
    return Array.from({ length: 24 }, (__, t) => Number(taken.some(({ start, end }) => t >= start && t < end)));
  });
  const captions = {
    title: "Spans taken out of 24 tokens",
    description: "1 where a token is taken out, for six keys: 6 tokens in 2 spans at a density of 0.25",
  };
  return heatMap({ ...captions, rows: names(6), columns: names(24), values, row: "key", column: "token", unit: "taken out", format: String, most: 1 }); // prettier-ignore
}

async function beams(): Promise<string> {
  const model = new DecoderLanguageModel({ vocabulary: 24, width: 16, layers: 1, heads: 2, context: 12, initScale: 8, random: key(4) });
  const prompts = Array.from({ length: 24 }, (_, id) => [id]);
  const list = [];
  for (const count of [1, 2, 4, 8]) {
    const found = await beamSearch(model, prompts, { tokens: 8, beams: count });
    const mean = found.reduce((sum, [{ logProbability }]) => sum + logProbability, 0) / prompts.length;
    list.push({ name: count === 1 ? "1 beam: greedy" : `${count} beams`, value: Math.exp(mean / 8) });
  }
  const description = "Of the best eight tokens after each of 24 prompts, by a model with random weights";
  return bars({ title: "What more beams find", description, bars: list, x: "probability of a token, geometric mean", format: (x) => x.toFixed(3) }); // prettier-ignore
}

const told = (title: string, description: string) => ({ title, description });

/** Every picture by name. */
export async function pictures(): Promise<Map<string, string>> {
  const text = "a switch sends a wagon and a switch sends a train".split(" ");
  const hash = new HashRouter({ experts, table: randomHash(new Set(text).size, experts, key(2)) });
  const top2 = new TopKRouter({ ...base, choices: 2 });
  const drawn: Record<string, Promise<string> | string> = {
    attention: attending(),
    "softmax-gate": gates(),
    "top-k": send(top2).then((books) => slotsPicture(books, told("Top-2 at factor 1.0", "First choices get slots before second ones"))),
    noise: noise(),
    importance: importance(),
    switch: send(choosesBest, { capacityFactor: 2.5 }).then((books) => slotsPicture(books, told("Switch at factor 2.5", "One expert for each word; room for nearly all"))), // prettier-ignore
    sizes: sizes(),
    precision: precision(),
    initialisation: initial(),
    "expert-dropout": expertDropout(),
    balance: balance(),
    "z-loss": normaliser(),
    overflow: send(choosesBest).then((books) => slotsPicture(books, told("Overflow at factor 1.0", "A token without a slot is dropped; the residual carries it on"))), // prettier-ignore
    capacity: capacityCost(),
    "expert-choice": send(new ExpertChoiceRouter({ ...base, average: 1 })).then((books) => slotsPicture(books, told("Expert Choice", "Each expert takes three words; a word may have several or none"))), // prettier-ignore
    soft: soft(),
    hash: send(hash, { text }).then((books) => slotsPicture(books, told("Hash routing", "Equal words go to one expert"), { text })),
    balanced: send(new BalancedRouter(base), { training: true }).then((books) => slotsPicture(books, told("Balanced assignment", "While training, nearly all tokens get a slot"))), // prettier-ignore
    dropless: send(choosesBest, { capacityFactor: "dropless" }).then((books) => slotsPicture(books, told("Dropless", "As many rows as words came"), { sorted: true })), // prettier-ignore
    "loss-free": lossFree(),
    upcycling: upcycled(),
    distillation: distilled(),
    spans: spans(),
    beams: beams(),
  };
  return new Map(await Promise.all(Object.entries(drawn).map(async ([name, svg]) => [name, await svg] as const)));
}

if (process.argv[1]?.endsWith("pictures.ts")) {
  const folder = new URL("../docs/pictures/", import.meta.url);
  mkdirSync(folder, { recursive: true });
  for (const [name, svg] of await pictures()) writeFileSync(new URL(`${name}.svg`, folder), `${svg}\n`);
}
