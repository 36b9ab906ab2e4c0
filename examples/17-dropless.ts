/**
 * Lesson 17: dropless routing. There are no slots: rows are sorted by expert, each expert has as many rows as tokens chose it, and one
 * grouped matrix product multiplies each row by the matrix of its expert. Gale et al. 2022, arXiv:2211.15841.
 *
 * Expect: the same numbers as with a slot for every token (an infinite capacity), without the empty rows. Nothing is dropped, while factor
 * 1.25 drops tokens. As many rows are computed as choices were made, however uneven the load is.
 */
import { key, noGrad, random, scope } from "switchyard-moe";
import { FeedForwardExperts, MoE, SwitchRouter, measure, readBooks } from "switchyard-moe/moe";
import type { CapacityFactor } from "switchyard-moe/moe";
import { initializers } from "switchyard-moe/nn";
import { begin, keepPicture, short } from "./train/lesson.ts";
import { WIDTH, slotsPicture, send } from "./train/words.ts";

await begin("Dropless");
const router = new SwitchRouter({
  width: WIDTH,
  experts: 4,
  random: key(2).at("router"),
  jitter: 0,
  initializer: initializers.normal(0.5),
});
const books = await send(router, { capacityFactor: "dropless" });
keepPicture(
  "17-dropless",
  slotsPicture(books, { title: "Dropless", description: "Each expert has as many rows as words came" }, { sorted: true }),
);

const [experts, width, hidden, T] = [8, 64, 256, short ? 256 : 2048];
const x = random.normal([1, T, width], key(5)).add(0.3); // somewhat alike: an uneven load
const layerOf = (factor: CapacityFactor) =>
  new MoE({
    router: new SwitchRouter({ width, experts, random: key(2).at("router"), jitter: 0, initializer: initializers.normal(0.3) }),
    experts: new FeedForwardExperts({ experts, width, hidden, random: key(4) }),
    trainingCapacityFactor: factor,
  });

/** One forward and backward pass: milliseconds, the least of a few. */
async function time(layer: MoE): Promise<number> {
  let least = Infinity;
  for (let i = 0; i < (short ? 1 : 6); i++) {
    const start = performance.now();
    const shown = scope(() => {
      const { output } = layer.forward(x, {}, { training: true, random: key(1) });
      const loss = output.square().mean();
      loss.backward({ release: true });
      layer.zeroGrad();
      return loss.detach();
    });
    await shown.item();
    least = Math.min(least, performance.now() - start);
  }
  return least;
}

const outputs = [];
console.log(
  `${T} tokens, ${experts} experts, width ${width}, hidden ${hidden}\n            rows at the experts   dropped   forward and backward`,
);
for (const factor of [1.25, Infinity, "dropless"] as const) {
  const layer = layerOf(factor);
  const { output, routing } = noGrad(() => layer.forward(x, {}, { training: true, random: key(1) }));
  const { load, dropped } = measure(await readBooks(routing));
  const rows = routing.layout.lead.reduce((a, b) => a * b);
  console.log(
    `  ${String(factor).padEnd(9)} ${String(rows).padStart(6)}               ${(100 * dropped).toFixed(1).padStart(5)} %   ` +
      `${(await time(layer)).toFixed(1)} ms`,
  );
  if (factor === 1.25) console.log(`            wished ${load.join(" ")}`);
  outputs.push(output);
}
const [, padded, sorted] = outputs;
console.log(
  `\nlargest difference between slots for everybody and sorted rows: ${(await padded.sub(sorted).abs().max().item()).toExponential(1)}`,
);
