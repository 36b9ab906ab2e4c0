/** Bugs of auxiliary losses. T tokens, E experts, K choices. */
import fc from "fast-check";
import { gradients, key, random, tensor } from "../../../src/index.ts";
import type { Tensor } from "../../../src/index.ts";
import * as moe from "../../../src/moe/index.ts";
import { largest, softmaxByHand } from "../../../src/testing/oracle.ts";
import type { Bug } from "./bug.ts";
import { bug, experts, ints, list, near, rows, sum, table } from "./bug.ts";

const argmax = (row: readonly number[]): number => largest(row, 1)[0];
type Balance = (expert: readonly number[], probs: readonly (readonly number[])[]) => number;
const balance: Balance = (expert, probs) =>
  moe.loadBalance({ expertOfChoice: ints(expert.map((e) => [e])), probs: rows(probs) }).itemSync();

/** E sum f P in plain numbers, over the tokens that `counted` and `weighed` let in. */
function byHand(
  expert: readonly number[],
  probs: readonly (readonly number[])[],
  counted: readonly boolean[] = expert.map(() => true),
): number {
  const E = probs[0].length;
  const f = (e: number): number => expert.filter((x, t) => x === e && counted[t]).length / expert.length;
  return E * sum(probs[0].map((_, e) => f(e) * (sum(probs.map((p) => p[e])) / probs.length)));
}

const logits = table({ min: 2, max: 4 });
const cv2 = (v: readonly number[]): number => moe.squaredVariation(tensor(Float64Array.from(v), { shape: [1, v.length] })).itemSync();

export const losses: readonly Bug[] = [
  bug<(h: readonly (readonly number[])[]) => number, [number[][], number]>({
    title: "The z-loss of a probability",
    seen: "huggingface/transformers#48293, fixed in #48421",
    wrong:
      "The router overwrote its logits by the largest probability and returned that as logits; the z-loss squared the log-sum-exp of a single probability.",
    unseen: "The loss is small, positive and falls: it looks like a z-loss.",
    law: "P50: the mean of (log sum exp h)^2, which a shift of all logits by c moves to (lse + c)^2",
    right: (h) => moe.zLoss(rows(h)).itemSync(),
    broken: (h) => sum(h.map((row) => Math.max(...softmaxByHand(row)) ** 2)) / h.length,
    cases: [logits, fc.integer({ min: -5, max: 5 })],
    holds: (variant, h, c) =>
      near(variant(h.map((row) => row.map((x) => x + c))), sum(h.map((row) => (Math.log(sum(row.map(Math.exp))) + c) ** 2)) / h.length),
  }),
  bug<(h: readonly (readonly number[])[], padding: number) => number, [number[][], number]>({
    title: "Padding that pays (ln E)^2",
    seen: "google/flaxformer, routing.py with ignore_padding_tokens",
    wrong:
      "Padding is removed from the z-loss by multiplying its logits by 0. But the log-sum-exp of zeros is ln E, not 0, and each padding token adds its square.",
    unseen: "The loss changes with the share of padding, which is nearly constant over a data set.",
    law: "P39: padding changes no loss",
    right: (h, padding) => moe.zLoss(rows([...h, ...blank(h, padding)]), mask(h.length, padding)).itemSync(),
    broken: (h, padding) => moe.zLoss(rows([...h, ...blank(h, padding)])).itemSync(),
    cases: [logits, fc.integer({ min: 0, max: 3 })],
    holds: (variant, h, padding) => near(variant(h, padding), moe.zLoss(rows(h)).itemSync()),
  }),
  bug<(expert: readonly number[], probs: readonly (readonly number[])[], padding: number) => number, [number[][], number]>({
    title: "Padding has a favourite expert",
    seen: "NVIDIA/Megatron-LM#1984; huggingface/transformers#28505; tensorflow/mesh takes f before the mask and P after it",
    wrong:
      "f counts padding among the tokens. Padding tokens are all equal, so they all go to one expert, which the loss then empties of real tokens.",
    unseen: "Batches are packed in pre-training. In fine-tuning, where half of a batch may be padding, few look at the balance.",
    law: "P39: padding changes no loss",
    right: (expert, probs, padding) =>
      moe
        .loadBalance({
          expertOfChoice: ints([...expert.map((e) => [e]), ...Array.from({ length: padding }, () => [-1])]),
          probs: rows([...probs, ...blank(probs, padding)]),
          mask: mask(expert.length, padding),
        })
        .itemSync(),
    broken: (expert, probs, padding) =>
      byHand(
        [...expert, ...new Array<number>(padding).fill(0)],
        [...probs, ...new Array<number[]>(padding).fill(probs[0].map(() => 1 / probs[0].length))],
      ),
    cases: [logits, fc.integer({ min: 0, max: 3 })],
    holds: (variant, h, padding) =>
      near(variant(h.map(argmax), h.map(softmaxByHand), padding), byHand(h.map(argmax), h.map(softmaxByHand))),
  }),
  bug<(expert: readonly number[], probs: readonly (readonly number[])[], kept: readonly boolean[]) => number, [number[][], number]>({
    title: "Counting after closing the doors",
    seen: "laekov/fastmoe SwitchGate; NVIDIA/Megatron-LM#1513 and #1617; the former SparseMLP of transformers",
    wrong:
      "f was counted from the dispatch mask after capacity had struck out the overflow. However many tokens besiege an expert, at most C of them are seen: the fuller it is, the less the loss says so.",
    unseen: "The loss is closer to its floor than it should be, which looks like success.",
    law: "P38: the loss does not depend on capacity",
    right: (expert, probs) => balance(expert, probs),
    broken: (expert, probs, kept) => byHand(expert, probs, kept),
    cases: [logits, fc.integer({ min: 1, max: 3 })],
    holds(variant, h, capacity) {
      const [expert, probs] = [h.map(argmax), h.map(softmaxByHand)];
      const seen = new Array<number>(probs[0].length).fill(0);
      return near(
        variant(
          expert,
          probs,
          expert.map((e) => seen[e]++ < capacity),
        ),
        variant(
          expert,
          probs,
          expert.map(() => true),
        ),
      );
    },
  }),
  bug<(layers: readonly (readonly number[])[]) => number, [number[], number]>({
    title: "Two wrongs that make a right",
    seen: "huggingface/transformers#28255, #31464: Mixtral's layers are concatenated before f and P are taken",
    wrong:
      "The tokens of all layers are pooled. A layer that sends everything to expert 0 and one that sends everything to expert 1 look, together, perfectly balanced.",
    unseen: "The pooled loss goes down as soon as layers collapse in different directions, the easiest way down there is.",
    law: "P41: the loss of a model is the sum of its layers' losses",
    right: (layers) =>
      sum(
        layers.map((expert) =>
          balance(
            expert,
            expert.map((e) => [Number(e === 0), Number(e === 1)]),
          ),
        ),
      ),
    broken: (layers) =>
      layers.length *
      byHand(
        layers.flat(),
        layers.flat().map((e) => [Number(e === 0), Number(e === 1)]),
      ),
    cases: [experts(2, 4), fc.nat(1)],
    holds: (variant, expert, other) =>
      near(variant([expert, expert.map(() => other)]), variant([expert]) + variant([expert.map(() => other)])),
  }),
  bug<(every: number, layers: number) => number, [number, number]>({
    title: "All sparse, no loss",
    seen: "SwitchTransformersForConditionalGeneration.forward in transformers: losses only if sparse_step > 1",
    wrong:
      "A guard meant for models without any sparse layer asked whether the step between sparse layers is larger than 1. With every layer sparse the step is 1, and the loss is silently 0.",
    unseen: "A loss of 0 is added without complaint. Every published model had a step of 2.",
    law: "P34: an even load costs exactly alpha per sparse layer, also where all layers are sparse",
    right: (every, layers) => sum(sparse(every, layers).map(() => balance([0, 1], [[0.5, 0.5], [0.5, 0.5]]))), // prettier-ignore
    broken: (every, layers) => (every > 1 ? sparse(every, layers).length : 0),
    cases: [fc.integer({ min: 1, max: 3 }), fc.integer({ min: 3, max: 6 })],
    holds: (variant, every, layers) => near(variant(every, layers), sparse(every, layers).length),
  }),
  bug<(h: Tensor, k: number) => Tensor, [number[][]]>({
    title: "No pressure on those who are left out",
    seen: "wolfecameron/nanoMoE: compute_aux_loss on probabilities after the top-k scatter",
    wrong:
      "P was the mean of the probabilities among the chosen, with 0 for all others. An expert that is not chosen has no probability, so the loss cannot pull tokens towards it.",
    unseen: "The value is plausible; only the gradient of the unchosen logits is missing.",
    law: "P37: the gradient by the logit of an expert is E / T p_e (f_e - sum f p), not 0 for the unchosen",
    right: (h, k) => moe.loadBalance({ expertOfChoice: h.topK(k).indices, probs: h.softmax(-1) }),
    broken(h, k) {
      const among = h.add(h.rank(-1, { descending: true }).less(k).cast("float64").log()).softmax(-1);
      return moe.loadBalance({ expertOfChoice: h.topK(k).indices, probs: among });
    },
    cases: [table({ min: 3, max: 4 })],
    holds(variant, drawn) {
      const h = rows(drawn, true);
      const E = drawn[0].length;
      const g = list(gradients(variant(h, 1), [h])[0]);
      const f = drawn[0].map((_, e) => drawn.filter((row) => argmax(row) === e).length / drawn.length);
      return drawn.every((row, t) => {
        const p = softmaxByHand(row);
        const mean = sum(p.map((x, e) => x * f[e]));
        return p.every((x, e) => near(g[t * E + e], (E / drawn.length) * x * (f[e] - mean)));
      });
    },
  }),
  bug<Balance, [number, number]>({
    title: "A loss without an opinion",
    seen: "mindspore-ai/hyper-parallel#752; huggingface/transformers#28093",
    wrong:
      "f was left with an axis too many, [K, E] or [T, E], and multiplied by P through broadcasting; summed over everything, the counts turn into a constant.",
    unseen: "It is a constant close to the floor, which is what a balanced model shows.",
    law: "P35: all tokens surely on one expert cost E",
    right: balance,
    broken: (expert, probs) =>
      sum(
        expert
          .map((e) => sum(probs[0].map((_, i) => Number(i === e))))
          .map((one) => (one / expert.length) * (sum(probs.flat()) / probs.length)),
      ),
    cases: [fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 5 })],
    holds: (variant, E, tokens) =>
      near(
        variant(new Array<number>(tokens).fill(0), new Array<number[]>(tokens).fill(Array.from({ length: E }, (_, e) => Number(e === 0)))),
        E,
      ),
  }),
  bug<(choice: readonly (readonly number[])[], E: number) => number, [number, number]>({
    title: "The loss that grows with k",
    seen: "jingyaogong/minimind#797; the multi-hot form of Mixtral has the value k at balance",
    wrong:
      "f counts K choices per token and is divided by the tokens alone. The same coefficient then weighs K times as much, and comparisons over K compare coefficients.",
    unseen: "Each K by itself trains well; the coefficient was tuned to it.",
    law: "P42: an even load costs 1 for every K",
    right: (choice, E) =>
      moe.loadBalance({ expertOfChoice: ints(choice), probs: rows(choice.map(() => new Array<number>(E).fill(1 / E))) }).itemSync(),
    broken: (choice, E) =>
      E * sum(Array.from({ length: E }, (_, e) => (choice.flat().filter((x) => x === e).length / choice.length) * (1 / E))),
    cases: [fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 })],
    holds: (variant, E, k) =>
      near(
        variant(
          Array.from({ length: E }, (_, t) => Array.from({ length: Math.min(k, E) }, (__, i) => (t + i) % E)),
          E,
        ),
        1,
      ),
  }),
  bug<(v: readonly number[]) => number, [number, number]>({
    title: "A sample of all experts",
    seen: "davidmrau/mixture-of-experts, laekov/fastmoe, microsoft/tutel: torch's var() in cv_squared",
    wrong:
      "The variance is the sample's, divided by E - 1. But the experts are not a sample of experts: they are all there are. The loss is E / (E - 1) too large, and for one expert NaN.",
    unseen: "With 256 experts it is 0.4 %; with 4 it is a third.",
    law: "P43: CV^2 of a vector with one entry that is not 0 is E - 1",
    right: cv2,
    broken: (v) => (sum(v.map((x) => (x - sum(v) / v.length) ** 2)) / (v.length - 1)) / (sum(v) / v.length) ** 2, // prettier-ignore
    cases: [fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 9 })],
    holds: (variant, E, load) => near(variant(Array.from({ length: E }, (_, e) => (e === 0 ? load : 0))), E - 1),
  }),
  bug<(clean: readonly number[], noisy: readonly number[], sigma: number) => number[], [number[][], number]>({
    title: "Apples, compared with oranges",
    seen: "davidmrau/mixture-of-experts#27 and its fix; microsoft/tutel, load_importance_loss",
    wrong:
      "After the softmax had moved in front of the top-k, thresholds were probabilities while the logits they were compared with stayed logits. P(x, i) becomes the chance that a logit exceeds a number between 0 and 1.",
    unseen: "It is still a number between 0 and 1 with a gradient, and the loss that uses it still falls.",
    law: "P45: P(x, i) is Phi((clean - the k-th largest noisy logit without i) / deviation)",
    right: (clean, noisy, sigma) => list(moe.loadProbability(rows([clean]), rows([noisy]), rows([clean.map(() => sigma)]), 1)),
    broken(clean, noisy, sigma) {
      const p = softmaxByHand(noisy);
      const [first, second] = largest(noisy, 2).map((i) => p[i]);
      return clean.map((c, i) => phi((c - (p[i] > second ? second : first)) / sigma));
    },
    cases: [
      fc
        .tuple(fc.integer({ min: 2, max: 4 }), fc.nat(99))
        .map(([E, n]) => [0, 1].map((r) => Array.from({ length: E }, (_, e) => Math.sin(n + 3 * e + 7 * r)))),
      fc.constantFrom(0.5, 1),
    ],
    holds(variant, [clean, noisy], sigma) {
      const p = variant(clean, noisy, sigma);
      return p.every((x, i) => near(x, phi((clean[i] - Math.max(...noisy.filter((_, j) => j !== i))) / sigma), 1e-6));
    },
  }),
  bug<(alpha: number, raw: number) => number, [number, number]>({
    title: "A coefficient used as a switch",
    seen: "NVIDIA-NeMo/Automodel#1408",
    wrong: "The coefficient was tested for being above 0, and then the bare loss was added.",
    unseen: "With the coefficient at its default one never sees it not being used.",
    law: "P34: an even load costs exactly alpha; twice alpha costs twice",
    right(alpha, seed) {
      const router = new moe.SwitchRouter({ width: 2, experts: 3, random: key(seed), dtype: "float64", balance: alpha });
      const tokens = random.normal([1, 4, 2], key(seed), { dtype: "float64" });
      const { losses: named } = router.route({ tokens, capacityFactor: 1, pass: { training: false, random: key(0) } });
      return alpha === 0 ? 0 : named["balance"].itemSync();
    },
    broken: (alpha, seed) => (alpha > 0 ? 1 + seed : 0),
    cases: [fc.constantFrom(0, 0.01, 0.1, 1), fc.integer({ min: 1, max: 3 })],
    holds: (variant, alpha, seed) => near(variant(2 * alpha, seed), 2 * variant(alpha, seed)),
  }),
];

const sparse = (every: number, layers: number): number[] =>
  Array.from({ length: layers }, (_, i) => i).filter((i) => i % every === every - 1);
const blank = (like: readonly (readonly number[])[], count: number): number[][] =>
  Array.from({ length: count }, () => like[0].map(() => 0));
const mask = (tokens: number, padding: number): Tensor =>
  tensor(
    Float64Array.from({ length: tokens + padding }, (_, t) => Number(t < tokens)),
    { shape: [1, tokens + padding] },
  );

function phi(z: number): number {
  return tensor(Float64Array.of(z)).normalCdf().itemSync();
}
