/**
 * Lesson 11: noisy top-k gating. H = x W + normal noise x softplus(x W_noise); the k largest are kept, a softmax weighs them. Two losses
 * keep the experts busy: importance (sums of gates) and load (expected numbers of tokens). Shazeer et al. 2017, arXiv:1701.06538.
 *
 * Expect: both weights start at zero, so without noise all logits are equal and every token takes experts 0 and 1; with noise all experts
 * are taken. The smooth load P(x, i) agrees with drawing an expert's own noise again, thousands of times. A router with large weights,
 * which prefers two experts, is brought nearly to an even load by the two losses alone. And two experts can have the same importance while
 * one has three times the tokens.
 */
import { key, noGrad, random, scope, tensor } from "switchyard-moe";
import { NoisyTopKRouter, importanceLoss, loadProbability, measure, squaredVariation } from "switchyard-moe/moe";
import { AdamW, initializers } from "switchyard-moe/nn";
import { begin, keepPicture, short } from "./train/lesson.ts";
import { bars } from "./train/svg/index.ts";
import type { Bar } from "./train/svg/index.ts";
import { WIDTH, send } from "./train/words.ts";

await begin("Noisy top-k gating");
const [experts, choices] = [4, 2];
const base = { width: WIDTH, experts, choices, random: key(2).at("router") };

const fresh = new NoisyTopKRouter(base);
for (const training of [false, true]) {
  const books = await send(fresh, { training, capacityFactor: "dropless" });
  console.log(`weights at zero, ${training ? "with noise" : "without noise"}: choices per expert ${measure(books).load.join(" ")}`);
}

// P(x, i) of one token, and how often drawing the noise of expert i again keeps it among the two best.
const clean = tensor([[[1, 0.5, 0, -0.5]]]);
const deviation = tensor([[[0.7, 0.7, 0.7, 0.7]]]);
const noise = tensor([[[0.3, -0.4, 0.2, 0.1]]]);
const noisy = clean.add(noise.mul(deviation));
const smooth = Array.from(await loadProbability(clean, noisy, deviation, choices).data());
const draws = short ? 200 : 4000;
const values = Array.from(await noisy.data());
const again = Array.from(await random.normal([draws], key(9)).data());
const kept = values.map((_, i) => {
  const threshold = values.filter((__, j) => j !== i).toSorted((a, b) => b - a)[choices - 1];
  return again.filter((z) => [1, 0.5, 0, -0.5][i] + 0.7 * z > threshold).length / draws;
});
console.log(`\nP(x, i) ${smooth.map((p) => p.toFixed(3)).join("  ")}\ndrawn   ${kept.map((p) => p.toFixed(3)).join("  ")}`);

// Equal importance, unequal load: three tokens with gates of 1/3 weigh as much as one with a gate of 1.
const gates = tensor([[[1 / 3, 0], [1 / 3, 0], [1 / 3, 0], [0, 1]]]); // prettier-ignore
const loads = tensor([[3, 1]]);
const [importance, load] = await Promise.all([importanceLoss(gates).item(), squaredVariation(loads).item()]);
console.log(`\nthree tokens with a gate of 1/3 against one of 1: CV^2 of importance ${importance.toFixed(2)}, of load ${load.toFixed(2)}`);

// A router that prefers two experts, led back by its losses.
const uneven = new NoisyTopKRouter({ ...base, importance: 1, load: 1, initializer: initializers.normal(1.5) });
const tokens = random.normal([8, 16, WIDTH], key(5)).add(1); // a common part, so that the same experts win most
const rows: Bar[] = [];
const show = async (when: string): Promise<void> => {
  const { load: counts, maxViolation } = measure(await send(uneven, { tokens, capacityFactor: "dropless" }));
  console.log(`  ${when.padEnd(6)}: choices per expert ${counts.join(" ")}, MaxVio ${maxViolation.toFixed(2)}`);
  rows.push(...Array.from(counts, (value, e) => ({ name: `${when}, expert ${e}`, value, plain: when === "before" })));
};
const optimizer = new AdamW(uneven, { lr: 3e-2, weightDecay: 0 });
console.log("\na router with large weights on tokens that are alike");
await show("before");
for (let step = 0; step < (short ? 2 : 60); step++)
  scope(() => {
    const { losses } = uneven.route({ tokens, capacityFactor: "dropless", pass: { training: true, random: key(6).at(step) } });
    losses["importance"].add(losses["load"]).backward();
    noGrad(() => optimizer.step());
    optimizer.zeroGrad();
  });
await show("after");
keepPicture(
  "11-noisy-top-k",
  bars({
    title: "Noisy top-2, before and after its two losses",
    description: "Choices per expert, two of each of 128 tokens; even would be 64",
    bars: rows,
    x: "choices",
    format: String,
  }),
);
