/**
 * Lesson 12: top-k token choice, and how the chosen scores become gates. "before": each score over the sum of all scores (Switch, V-MoE);
 * "after": over the sum of the chosen ones (GShard, Mixtral, noisy top-k). GShard uses the second expert at random, DeepSeek balances by a
 * bias that is added for the choice and not for the gates. Lepikhin et al. 2020, arXiv:2006.16668; Wang et al. 2024, arXiv:2408.15664.
 *
 * Expect: the same choices, different gates. With one choice, "after" makes every gate 1 and the task teaches the router nothing: gradient
 * exactly 0. GShard's second choices are rarer in training. The bias evens out an uneven load without any loss.
 */
import { key, random, scope } from "switchyard-moe";
import { FeedForwardExperts, MoE, TopKRouter, measure } from "switchyard-moe/moe";
import type { TopKOptions } from "switchyard-moe/moe";
import { initializers } from "switchyard-moe/nn";
import { begin, keepPicture, short } from "./train/lesson.ts";
import { WIDTH, printSlots, slotsPicture, send, vectorsOf, words } from "./train/words.ts";

await begin("Top-k and its normalisations");
const [experts, choices] = [4, 2];
const base = { width: WIDTH, experts, random: key(2).at("router"), initializer: initializers.normal(0.5) };
const routerOf = (options: Omit<TopKOptions, keyof typeof base>) => new TopKRouter({ ...base, ...options });

console.log(`two choices of "${words[0]}" and "${words[1]}": expert and gate, the sum of gates`);
for (const normalise of ["before", "after"] as const) {
  const { expertOfChoice, gate } = await send(routerOf({ choices, normalise }), { capacityFactor: "dropless" });
  const shown = [0, 1].map((t) => {
    const each = [2 * t, 2 * t + 1].map((c) => `${expertOfChoice[c]} ${gate[c].toFixed(3)}`);
    return `${each.join(" + ")} = ${(gate[2 * t] + gate[2 * t + 1]).toFixed(3)}`;
  });
  console.log(`  ${normalise.padEnd(7)} ${shown.join("      ")}`);
}

console.log("\nwhat the task teaches the router: norm of its gradient");
for (const normalise of ["before", "after"] as const)
  for (const k of [1, 2]) {
    const router = routerOf({ choices: k, normalise });
    const network = new FeedForwardExperts({ experts, width: WIDTH, hidden: 16, random: key(4), initializer: initializers.normal(0.4) });
    const { output } = new MoE({ router, experts: network }).forward(vectorsOf(), {}, { training: false, random: key(0) });
    const [gradient] = output.mul(random.normal(output.shape, key(5))).sum().gradients([router.projection.weight]); // prettier-ignore
    console.log(`  k = ${k}, normalised ${normalise.padEnd(7)} ${(await gradient.norm().item()).toExponential(2)}`);
  }

const gshard = routerOf({ choices, normalise: "after", randomBeyondFirst: 0.5 });
const made = async (training: boolean): Promise<number> => {
  const { expertOfChoice } = await send(gshard, { training, capacityFactor: "dropless", tokens: random.normal([8, 64, WIDTH], key(8)) });
  return expertOfChoice.filter((expert, c) => c % 2 === 1 && expert >= 0).length;
};
console.log(`\nGShard: of 512 second choices ${await made(true)} are made in training, ${await made(false)} in evaluation`);

// The bias of loss-free balancing, on tokens that are alike.
const tokens = random.normal([8, 16, WIDTH], key(5)).add(0.7);
const free = routerOf({ choices, scores: "sigmoid", normalise: "after", biasRate: 0.01 });
const load = async (): Promise<string> => {
  const { load: counts, maxViolation } = measure(await send(free, { tokens, capacityFactor: "dropless" }));
  return `choices per expert ${counts.join(" ")}, MaxVio ${maxViolation.toFixed(2)}`;
};
console.log(`\nwithout a loss, by a bias\n  before: ${await load()}`);
for (let step = 0; step < (short ? 4 : 100); step++)
  scope(() => free.afterStep(free.route({ tokens, capacityFactor: "dropless", pass: { training: true, random: key(1) } })));
console.log(`  after : ${await load()}\n`);

const books = await send(routerOf({ choices }));
printSlots(books);
keepPicture(
  "12-top-k",
  slotsPicture(books, {
    title: "Top-2 at factor 1.0",
    description: "First choices get slots before second ones; who comes too late is dropped",
  }),
);
