/**
 * Lesson 15: Soft MoE. A slot does not hold one token: it is a weighted mean of all tokens, and each token gets a weighted mean of the
 * results of all slots. Dispatch is a softmax over tokens, combine one over slots. Puigcerver et al. 2023, arXiv:2308.00951.
 *
 * Expect: nothing is chosen or dropped, all experts compute equally much, and everything is differentiable. The weights of a slot add up to
 * 1 over the words, those of a word over the slots. But where the last word changes, all earlier outputs change too, so the router cannot
 * be used in a causal model, and refuses it unless `allowCausal` is set.
 */
import { concat, key, noGrad, random } from "switchyard-moe";
import { FeedForwardExperts, MoE, SoftRouter } from "switchyard-moe/moe";
import { initializers } from "switchyard-moe/nn";
import { begin, keepPicture } from "./train/lesson.ts";
import { heatMap } from "./train/svg/index.ts";
import { WIDTH, vectorsOf, words } from "./train/words.ts";

await begin("Soft MoE");
const [experts, slots] = [4, 2];
const router = new SoftRouter({ width: WIDTH, experts, slots, random: key(2).at("router"), initializer: initializers.normal(0.5) });
router.scale.assign(router.scale.mul(4)); // learnt in training; sharper mixtures are easier to read
const network = new FeedForwardExperts({ experts, width: WIDTH, hidden: 16, random: key(4), initializer: initializers.normal(0.4) });
const layer = new MoE({ router, experts: network });
const pass = { training: false, random: key(0) };

const x = vectorsOf();
const routing = noGrad(() => router.route({ tokens: x, capacityFactor: 1, pass }));
const [dispatch, combine] = routing.tables; // [1, N, T] and [1, T, N]
const rows = async (table: typeof dispatch): Promise<number[][]> => {
  const [, count, size] = table.shape;
  const flat = Array.from(await table.data());
  return Array.from({ length: count }, (_, i) => flat.slice(i * size, (i + 1) * size));
};
const [bySlot, byWord] = [await rows(dispatch), await rows(combine)];
console.log("what each slot is made of: its three largest words");
bySlot.forEach((weights, slot) => {
  const weighed = words.map((word, t) => ({ word, weight: weights[t] })).toSorted((a, b) => b.weight - a.weight);
  const parts = weighed.slice(0, 3).map(({ word, weight }) => `${(100 * weight).toFixed(0)} % ${word}`);
  console.log(`  expert ${Math.floor(slot / slots)}, slot ${slot % slots}: ${parts.join(", ")}`);
});
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
console.log(`weights of the first slot add up to ${sum(bySlot[0]).toFixed(6)}, of the first word to ${sum(byWord[0]).toFixed(6)}`);

const y = noGrad(() => layer.forward(x, {}, pass).output);
const other = concat([x.narrow(1, 0, 11), random.normal([1, 1, WIDTH], key(3))], 1);
const moved = await noGrad(() => layer.forward(other, {}, pass).output.sub(y).abs().max(2)).data();
console.log(`\nanother last word: earlier words that change: ${Array.from(moved).filter((d, t) => t < 11 && d > 0).length} of 11`);
try {
  layer.forward(x, { causal: true }, pass);
} catch (error) {
  console.log(`in a causal model: ${error instanceof Error ? error.message : String(error)}\n`);
}
const names = bySlot.map((_, slot) => `e${Math.floor(slot / slots)}.${slot % slots}`);
const captions = { title: "Soft MoE: what slots are made of", description: "Share of each word in each slot; columns add up to 100 %" };
keepPicture(
  "15-soft-moe",
  heatMap({
    ...captions,
    rows: words,
    columns: names,
    values: words.map((_, t) => bySlot.map((weights) => 100 * weights[t])),
    row: "word",
    column: "slot",
    unit: "% of the slot",
  }),
);
