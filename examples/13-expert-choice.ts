/**
 * Lesson 13: Expert Choice. Each expert chooses as many tokens as it has slots, so the load is even by construction and no loss is
 * needed; a token may have several experts or none. Zhou et al. 2022, arXiv:2202.09368.
 *
 * Expect: every slot is taken, by some words twice or more, by some never; with at most one expert per word the words spread. Then a test
 * of causality: fair coins cannot be predicted, so a model that does not see the future cannot get below 1 bit per coin. Switch stays just
 * above 1. Soft MoE learns to read the next coins from its mixtures and falls far below. Expert Choice learns it from which tokens were
 * chosen, and falls below by some hundredths. A loss that is lower than possible means that the model sees the future, not that it is good.
 */
import { key, scope, tensor } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { ExpertChoiceRouter, measure } from "switchyard-moe/moe";
import { AdamW, crossEntropy, initializers } from "switchyard-moe/nn";
import { begin, keepPicture, lessonDefaults, short } from "./train/lesson.ts";
import { buildModel } from "./train/model.ts";
import type { RouterName } from "./train/routerNames.ts";
import { curve } from "./train/svg/index.ts";
import type { Series } from "./train/svg/index.ts";
import { configOf } from "./train/configuration.ts";
import { WIDTH, choicesOf, printSlots, slotsPicture, send, vectorsOf, words } from "./train/words.ts";

await begin("Expert Choice");
const experts = 4;
const base = { width: WIDTH, experts, average: 1, random: key(2).at("router"), initializer: initializers.normal(0.5) };
for (const cap of [Infinity, 1]) {
  const books = await send(new ExpertChoiceRouter({ ...base, cap }));
  const times = words.map((_, t) => choicesOf(books).filter(({ token }) => token === t).length);
  const unserved = words.filter((_, t) => times[t] === 0);
  console.log(
    `cap ${cap}: experts per word ${times.join(" ")}; nowhere: ${unserved.join(", ") || "-"}; MaxVio ` +
      `${measure(books).maxViolation.toFixed(2)}`,
  );
  printSlots(books);
  const title = cap === Infinity ? "Expert Choice" : `Expert Choice, capped at one`;
  keepPicture(
    `13-expert-choice${cap === Infinity ? "" : "-capped"}`,
    slotsPicture(books, {
      title,
      description:
        cap === Infinity ? "Every slot is taken; a word may have several or none" : "A word has one expert at most; a slot may stay empty",
    }),
  );
}

// What an earlier word gets depends on a later one.
const other = [...words.slice(0, 11), "switch"];
const [before, after] = await Promise.all([words, other].map((text) => send(new ExpertChoiceRouter(base), { tokens: tokensOf(text) })));
const moved = words
  .slice(0, 11)
  .filter((_, t) => [0, 1, 2, 3].some((e) => before.expertOfChoice[4 * t + e] !== after.expertOfChoice[4 * t + e]));
console.log(`\nended the sentence in "switch", other experts would have: ${moved.join(", ")}`);

/** Words of the sentence, in another order or number. */
function tokensOf(text: readonly string[]): Tensor {
  return vectorsOf()
    .squeeze(0)
    .takeRows(tensor(Int32Array.from(text, (word) => words.indexOf(word))))
    .unsqueeze(0);
}

const [B, T, steps] = [64, 8, short ? 4 : 400];

/** Bits per coin of each step, on coins that were never seen before. */
async function foretell(router: RouterName): Promise<number[]> {
  const options = { ...lessonDefaults(), router, experts: 8, width: 32, hidden: 64, length: T, group: "sequence" } as const;
  const model = buildModel(configOf(options).model, key(1));
  const optimizer = new AdamW(model, { lr: 3e-3, weightDecay: 0 });
  const bits: number[] = [];
  for (let step = 0; step < steps; step++) {
    const at = key(5).at(step);
    const coins = tensor(
      Int32Array.from({ length: B * (T + 1) }, (_, i) => Math.floor(2 * at.number(i))),
      { shape: [B, T + 1] },
    );
    const shown = scope(() => {
      const { logits, losses } = model.forward(coins.narrow(1, 0, T), {}, { training: true, random: at });
      const loss = crossEntropy(logits, coins.narrow(1, 1, T + 1));
      Object.values(losses)
        .reduce((sum, auxiliary) => sum.add(auxiliary), loss)
        .backward();
      optimizer.step();
      optimizer.zeroGrad();
      return loss.detach();
    });
    bits.push((await shown.item()) / Math.LN2);
  }
  return bits;
}

console.log("\nfair coins: bits per coin in the last quarter of training; honest is 1");
const series: Series[] = [];
for (const name of ["switch", "expert-choice", "soft"] as const) {
  const bits = await foretell(name);
  const quarter = bits.slice(-Math.ceil(steps / 4));
  console.log(`  ${name.padEnd(14)} ${(quarter.reduce((sum, x) => sum + x, 0) / quarter.length).toFixed(3)}`);
  series.push({ name, points: bits.map((x, i): [number, number] => [i + 1, Math.min(2, x)]).filter(([step]) => step % 5 === 0) });
}
keepPicture(
  "13-causality",
  curve({
    title: "Foretelling fair coins",
    description: "Bits per coin; below 1 a model reads what it should foretell",
    series,
    baselines: [{ name: "fair coin", value: 1 }],
    x: "step",
    y: "bits per coin",
  }),
);
