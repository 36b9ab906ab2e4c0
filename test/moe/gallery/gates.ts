/** Bugs of gates, noise and what experts are given. T tokens, E experts, D width. */
import fc from "fast-check";
import { gradients, key, tensor } from "../../../src/index.ts";
import type { Tensor } from "../../../src/index.ts";
import * as moe from "../../../src/moe/index.ts";
import { largest, softmaxByHand } from "../../../src/testing/oracle.ts";
import type { Bug } from "./bug.ts";
import { bug, list, near, rows, sum, table } from "./bug.ts";

const square = table({ min: 3, max: 3 });
const E = 3;
const pass = (training: boolean, seed = 0) => ({ training, random: key(seed) });

/** Logits are the tokens themselves. */
const identity = (shape: readonly number[], _: unknown, options = {}): Tensor =>
  tensor(
    Float64Array.from({ length: E * E }, (__, i) => Number(i % (E + 1) === 0)),
    { ...options, shape },
  );
const switchRouter = (options: Partial<moe.SwitchOptions> = {}) =>
  new moe.SwitchRouter({ width: E, experts: E, random: key(1), dtype: "float64", jitter: 0, initializer: identity, ...options });
/** Expert e multiplies by e + 2. */
const scaled = (x: readonly number[], e: number): number[] => x.map((v) => v * (e + 2));

type Layer = (x: readonly (readonly number[])[], capacity: number) => number[][];
/** Our routing around experts that multiply by 2, 3, 4. */
const layer: Layer = (x, capacity) => {
  const routing = switchRouter().route({ tokens: rows(x), capacityFactor: (capacity * E) / x.length, pass: pass(false) });
  const given = routing.dispatch(tensor(Float64Array.from(x.flat()), { shape: [x.length, E] }));
  const y = list(routing.combine(given.mul(tensor(Float64Array.of(2, 3, 4), { shape: [E, 1, 1] }))));
  return x.map((_, t) => y.slice(t * E, (t + 1) * E));
};
/** The same by hand; `dropped` and `served` say what becomes of a token. */
function layerByHand(
  x: readonly (readonly number[])[],
  capacity: number,
  served: (x: readonly number[], p: number, e: number) => number[],
  dropped: (x: readonly number[], p: number) => number[],
): number[][] {
  const seen = new Array<number>(E).fill(0);
  return x.map((row) => {
    const e = largest(row, 1)[0];
    const p = softmaxByHand(row)[e];
    return seen[e]++ < capacity ? served(row, p, e) : dropped(row, p);
  });
}
const slots = (tokens: number, wished: number): number => moe.capacityOf(tokens, E, (wished * E) / tokens);
const expected = (x: readonly (readonly number[])[], capacity: number): number[][] =>
  layerByHand(
    x,
    capacity,
    (row, p, e) => scaled(row, e).map((v) => p * v),
    (row) => row.map(() => 0),
  );
const same = (a: readonly (readonly number[])[], b: readonly (readonly number[])[]): boolean =>
  a.flat().every((x, i) => near(x, b.flat()[i]));

export const gates: readonly Bug[] = [
  bug<Layer, [number[][], number]>({
    title: "The dropped token that was scaled",
    seen: "huggingface/transformers#37017, fixed in #37123; labml's switch transformer",
    wrong:
      "The output began as a copy of the input and was multiplied by the gate at the end. A token without a slot therefore adds p x to the residual instead of nothing.",
    unseen: "The residual carries x anyway; p x beside it is a harmless looking vector.",
    law: "P25: a token without a slot gets exactly 0",
    right: layer,
    broken: (x, capacity) =>
      layerByHand(
        x,
        capacity,
        (row, p, e) => scaled(row, e).map((v) => p * v),
        (row, p) => row.map((v) => p * v),
      ),
    cases: [square, fc.integer({ min: 1, max: 2 })],
    holds: (variant, x, wished) => same(variant(x, slots(x.length, wished)), expected(x, slots(x.length, wished))),
  }),
  bug<(x: readonly (readonly number[])[]) => number[][], [number[][]]>({
    title: "The gate at the wrong door",
    seen: "microsoft/tutel with is_postscore=False",
    wrong: "The gate multiplies what goes into the expert instead of what comes out.",
    unseen: "For an expert that is linear it is the same, and a ReLU network without biases is nearly that.",
    law: "P9, P18: y is the gate times E(x)",
    right(x) {
      const routing = switchRouter().route({ tokens: rows(x), capacityFactor: "dropless", pass: pass(false) });
      const y = list(routing.combine(routing.dispatch(tensor(Float64Array.from(x.flat()), { shape: [x.length, E] })).square()));
      return x.map((_, t) => y.slice(t * E, (t + 1) * E));
    },
    broken: (x) => x.map((row) => row.map((v) => (Math.max(...softmaxByHand(row)) * v) ** 2)),
    cases: [square],
    holds: (variant, x) =>
      same(
        variant(x),
        x.map((row) => row.map((v) => Math.max(...softmaxByHand(row)) * v * v)),
      ),
  }),
  bug<(h: Tensor) => Tensor, [number[][]]>({
    title: "The router that cannot learn",
    seen: "davidmrau/mixture-of-experts#27; jingyaogong/minimind#858; every softmax(top-k) router used with k = 1",
    wrong: "The gate is the softmax over the chosen logits. Over one logit that is 1, whatever the logit, and a constant has no gradient.",
    unseen:
      "The balance loss still moves the router, to a perfect balance of meaningless choices. Measured in one thread: worse than a dense model a third its size, with the best balance of all.",
    law: "P53: the loss of the task has a gradient for the router",
    right: (h) => h.softmax(-1).max(-1),
    broken: (h) => h.topK(1).values.softmax(-1).sum(-1),
    cases: [table({ min: 2, max: 4 }, { min: 1, max: 3 }, { min: -20, max: 20 })],
    holds(variant, drawn) {
      const h = rows(drawn, true);
      const [g] = gradients(variant(h).mul(2).sum(), [h]);
      return list(g).some((x) => Math.abs(x) > 1e-9);
    },
  }),
  bug<(h: readonly number[]) => number[], [number[][]]>({
    title: "Softmax of a softmax",
    seen: "huggingface/transformers#45120, #45131, #45315",
    wrong:
      "A router returned probabilities under the name of logits, and the loss applied softmax to them again. Of 0.886 among eight experts it makes 0.254.",
    unseen: "Twice softmax is again a distribution with the same order. The name was the bug.",
    law: "P1: the log-ratio of two probabilities is the difference of their logits",
    right: (h) => list(rows([h]).softmax(-1)),
    broken: (h) => softmaxByHand(softmaxByHand(h)),
    cases: [table({ min: 2, max: 8 }, { min: 1, max: 1 })],
    holds: (variant, [h]) => variant(h).every((p, e, all) => near(Math.log(p / all[0]), h[e] - h[0], 1e-6)),
  }),
  bug<(gates: readonly number[]) => [number, number], [number[]]>({
    title: "Twice the same expert",
    seen: "the recipe for two experts that removes the first choice by multiplying it by 0",
    wrong:
      "To find the second expert, the first one's probability is multiplied by 0. Where all others underflow to 0 too, argmax takes the lowest index, which may be the first choice again.",
    unseen: "It needs a router that is certain; then it sends the token twice to one expert and counts it twice.",
    law: "P2: the choices of a token are different experts",
    right: (p) => list(rows([p]).topK(2).indices) as [number, number],
    broken(p) {
      const first = largest(p, 1)[0];
      return [
        first,
        largest(
          p.map((x, e) => (e === first ? 0 : x)),
          1,
        )[0],
      ];
    },
    cases: [fc.integer({ min: 2, max: 5 }).chain((n) => fc.array(fc.constantFrom(0, 0.25, 1), { minLength: n, maxLength: n }))],
    holds(variant, p) {
      const [a, b] = variant(p);
      return a !== b;
    },
  }),
  bug<(h: readonly number[], k: number) => number[], [number[][], number]>({
    title: "Zero times infinity",
    seen: "pytorch/pytorch#31829, #68425, #52248: masking by arithmetic",
    wrong: "KeepTopK was written v mask + (1 - mask) (-Infinity). Where the mask is 1 the second term is 0 times infinity, which is NaN.",
    unseen: "Written with -1e9 it works, and that is how it is usually tested.",
    law: "P4, P58: exactly k gates are not 0, and all are finite",
    right(h, k) {
      const kept = rows([h]).rank(-1, { descending: true }).less(k);
      return list(rows([h]).maskedFill(kept.equal(0), -Infinity).softmax(-1));
    },
    broken(h, k) {
      const kept = h.map((_, e) => Number(largest(h, k).includes(e)));
      return softmaxByHand(h.map((x, e) => x * kept[e] + (1 - kept[e]) * -Infinity));
    },
    cases: [table({ min: 1, max: 4 }, { min: 1, max: 1 }), fc.integer({ min: 1, max: 4 })],
    holds(variant, [h], k) {
      const g = variant(h, Math.min(k, h.length));
      return g.every(Number.isFinite) && g.filter((x) => x > 0).length === Math.min(k, h.length);
    },
  }),
  bug<(x: readonly (readonly number[])[], seed: number) => number[][], [number[][], number]>({
    title: "The noise that experts heard",
    seen: "huggingface/transformers#33969, #35847, #41313; Mixtral has the same line (#29865)",
    wrong:
      "The jitter multiplied the hidden states in place, before they were sent to the experts and, by aliasing, for the residual's next reader.",
    unseen: "One per cent of noise on activations is a mild regulariser.",
    law: "P61: experts are given the tokens as they are",
    right(x, seed) {
      const routing = switchRouter({ jitter: 0.1 }).route({ tokens: rows(x), capacityFactor: "dropless", pass: pass(true, seed) });
      const given = list(routing.dispatch(tensor(Float64Array.from(x.flat()), { shape: [x.length, E] })));
      return list(routing.books.slotOfChoice).map((s) => given.slice(s * E, (s + 1) * E));
    },
    broken: (x, seed) => x.map((row, t) => row.map((v, d) => v * (0.9 + 0.2 * key(seed).number(t * E + d)))),
    cases: [square, fc.nat(9)],
    holds: (variant, x, seed) => same(variant(x, seed), x),
  }),
  bug<(x: readonly number[], seed: number) => number[], [number]>({
    title: "Jitter that only shifts",
    seen: "the pseudo-code of arXiv:2101.03961, appendix F; laekov/fastmoe SwitchGate",
    wrong:
      "Uniform numbers around 1 were added to the logits instead of multiplying the router's input. Adding about 1 to every logit changes no softmax; what is left is a noise that knows nothing of the token.",
    unseen: "Numbers are drawn, logits differ from step to step: there is noise. Only it is another one.",
    law: "P62: jitter multiplies, so a token of zeros has logits of zero",
    right: (x, seed) =>
      list(switchRouter({ jitter: 0.1 }).route({ tokens: rows([x]), capacityFactor: 1, pass: pass(true, seed) }).books.logits),
    broken: (x, seed) => x.map((h, e) => h + 0.9 + 0.2 * key(seed).number(e)),
    cases: [fc.nat(99)],
    holds: (variant, seed) => variant([0, 0, 0], seed).every((h) => h === 0),
  }),
  bug<(h: readonly (readonly number[])[], seed: number) => number[], [number[][], number]>({
    title: "Evaluation that rolls dice",
    seen: "AviSoori1x/makeMoE; eduardzamfir/MoCE-IR#19; second_policy_eval=random in mesh and mixture-of-experts",
    wrong: "The noise of training is drawn in evaluation too: nobody told the router which it is.",
    unseen: "Validation losses wobble a little, as validation losses do.",
    law: "P60: evaluation draws nothing",
    right: (h, seed) =>
      list(
        new moe.NoisyTopKRouter({ width: E, experts: E, choices: 2, random: key(1), dtype: "float64", initializer: identity }).route({
          tokens: rows(h),
          capacityFactor: "dropless",
          pass: pass(false, seed),
        }).books.gate,
      ),
    broken: (h, seed) => h.flatMap((row, t) => softmaxByHand(row.map((x, e) => x + key(seed).number(t * E + e)))),
    cases: [square, fc.nat(9)],
    holds: (variant, h, seed) => JSON.stringify(variant(h, seed)) === JSON.stringify(variant(h, seed + 1)),
  }),
  bug<(h: readonly number[]) => number, [number[][]]>({
    title: "A tie-breaker that breaks more than ties",
    seen: "sgl-project/sglang#31768",
    wrong:
      "To make ties definite, the index times a small number was subtracted from the scores. Scores closer than that number are no ties, but are reordered like ties: up to a tenth of the tokens.",
    unseen: "Each flip is between two experts of nearly equal score. Together they are another model than the one that was trained.",
    law: "P3: no expert that was not chosen has a larger logit; ties go to the lowest index",
    right: (h) => rows([h]).argmax(-1).itemSync(),
    broken: (h) =>
      largest(
        h.map((x, e) => x - 3e-7 * e),
        1,
      )[0],
    cases: [
      fc
        .array(
          fc.integer({ min: 0, max: 9 }).map((n) => n * 1e-7),
          { minLength: 2, maxLength: 4 },
        )
        .map((row) => [row]),
    ],
    holds: (variant, [h]) => variant(h) === h.indexOf(Math.max(...h)),
  }),
  bug<(scores: readonly number[], bias: readonly number[]) => number, [number[][], number[]]>({
    title: "The bias that was only meant to choose",
    seen: "what arXiv:2408.15664, eq. 3, warns of",
    wrong:
      "Experts are chosen by score plus bias, and weighed by the same sum. The balance then changes what the model computes, and large biases drown the scores.",
    unseen: "While biases are thousandths, the gates are nearly right.",
    law: "P77: the gate of an expert does not depend on its bias",
    right: (h, bias) => biased(h, bias).gate,
    broken: (h, bias) => Math.max(...h.map((x, e) => 1 / (1 + Math.exp(-x)) + bias[e])),
    cases: [table({ min: 3, max: 3 }, { min: 1, max: 1 }), fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 3, maxLength: 3 })],
    holds: (variant, [h], bias) => near(variant(h, bias), 1 / (1 + Math.exp(-h[biased(h, bias).expert]))),
  }),
  bug<(seed: number) => number[][], [number]>({
    title: "Eight copies of one expert",
    seen: "microsoft/DeepSpeed copies the expert it is given; labml clones; vmoe with split_rngs=False",
    wrong:
      "All experts start with the same weights, so at first it does not matter where a token goes, and the gate's gradient says nothing about the experts.",
    unseen: "They grow apart, through routing noise alone: slowly, and it looks like a slow start.",
    law: "P83: experts are drawn differently",
    right(seed) {
      const flat = list(new moe.FeedForwardExperts({ experts: 3, width: 2, hidden: 2, random: key(seed) }).hidden);
      return [0, 1, 2].map((e) => flat.slice(e * 4, (e + 1) * 4));
    },
    broken(seed) {
      const flat = list(new moe.FeedForwardExperts({ experts: 1, width: 2, hidden: 2, random: key(seed) }).hidden);
      return [flat, flat, flat];
    },
    cases: [fc.nat(99)],
    holds: (variant, seed) => new Set(variant(seed).map((w) => w.join())).size === 3,
  }),
  bug<(x: readonly (readonly number[])[]) => number[][], [number[][], number[]]>({
    title: "A model that reads the answer",
    seen: "allenai/OLMoE#46; piotrpiekos/MoSA#3; karpathy/nanochat#845",
    wrong:
      "Expert Choice stands in a decoder. Whether an expert takes this token depends on whether a later token wants it more, so earlier outputs know something of later tokens.",
    unseen:
      "The training loss is better than it should be, and nobody complains about that. At generation, with one token at a time, there is nothing to choose from, and the gain is gone.",
    law: "P74: what is later changes nothing earlier",
    right: (x) => layer(x, x.length),
    broken(x) {
      const p = x.map(softmaxByHand);
      const taken = Array.from({ length: E }, (_, e) =>
        largest(
          p.map((row) => row[e]),
          Math.ceil(x.length / E),
        ),
      );
      return x.map((row, t) => row.map((v) => v * sum(taken.map((tokens, e) => (tokens.includes(t) ? p[t][e] * (e + 2) : 0)))));
    },
    cases: [table({ min: 3, max: 3 }, { min: 2, max: 5 }), fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 3, maxLength: 3 })],
    holds(variant, x, later) {
      const changed = [...x.slice(0, -1), later];
      return same(variant(x).slice(0, -1), variant(changed).slice(0, -1));
    },
  }),
];

/** Choice and gate of our router with a bias. */
function biased(h: readonly number[], bias: readonly number[]): { expert: number; gate: number } {
  const router = new moe.TopKRouter({
    width: E,
    experts: E,
    choices: 1,
    scores: "sigmoid",
    normalise: "none",
    biasRate: 0.1,
    random: key(1),
    dtype: "float64",
    initializer: identity,
  });
  router.bias?.assign(tensor(Float64Array.from(bias)));
  const { books } = router.route({ tokens: rows([h]), capacityFactor: "dropless", pass: pass(false) });
  return { expert: list(books.expertOfChoice)[0], gate: list(books.gate)[0] };
}
