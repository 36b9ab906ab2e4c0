/**
 * Lesson 16: routing without a balance loss. Hash routing: a token's id decides its expert, always; nothing is learnt. Roller et al. 2021,
 * arXiv:2106.04426. Balanced assignment: while training, Sinkhorn's algorithm evens out the logits before the best is chosen. Clark et al.
 * 2022, arXiv:2202.01169, after Lewis et al. 2021, arXiv:2103.16716.
 *
 * Expect: with a hash equal words go to one expert, and a random table may leave experts without words. On the bytes of real text its load
 * is far from even, because few bytes make up most of the text. A table that is filled from the most frequent byte down is more even, but
 * the space alone is more than an even share of 32 experts. Sinkhorn's algorithm gives an even load, without a gradient, where the best
 * logits do not; in evaluation it is off.
 */
import { key, random } from "switchyard-moe";
import { BalancedRouter, HashRouter, balancedHash, loadEntropy, maxViolation, measure, randomHash } from "switchyard-moe/moe";
import { initializers } from "switchyard-moe/nn";
import { begin, keepPicture } from "./train/lesson.ts";
import { loadDeclaration } from "./train/text.ts";
import { WIDTH, printSlots, slotsPicture, send } from "./train/words.ts";

await begin("Hash routing and balanced assignment");
const experts = 4;
const text = "a switch sends a wagon and a switch sends a train".split(" ");
const hash = new HashRouter({ experts, table: randomHash(new Set(text).size, experts, key(2)) });
const hashed = await send(hash, { text });
printSlots(hashed, text);
keepPicture(
  "16-hash",
  slotsPicture(
    hashed,
    { title: "Hash routing at factor 1.0", description: "Equal words go to one expert, whoever stands around them" },
    { text },
  ),
);

const bytes = loadDeclaration("eng").classes[0].training;
const counts = new Array<number>(256).fill(0);
bytes.forEach((byte) => counts[byte]++);
console.log("\nload of hash tables on English bytes   entropy   MaxVio");
for (const [size, name, table] of [8, 32].flatMap(
  (e) => [[e, "random", randomHash(256, e, key(3))], [e, "balanced", balancedHash(counts, e)]] as const, // prettier-ignore
)) {
  const load = new Array<number>(size).fill(0);
  counts.forEach((count, byte) => (load[table[byte]] += count));
  console.log(
    `  ${String(size).padStart(2)} experts, ${name.padEnd(8)}                ${loadEntropy(load).toFixed(3)}     ` +
      `${maxViolation(load).toFixed(2)}`,
  );
}

const balanced = new BalancedRouter({ width: WIDTH, experts, random: key(2).at("router"), initializer: initializers.normal(0.5) });
const tokens = random.normal([8, 16, WIDTH], key(5)).add(0.7); // alike, so that one expert is everybody's best
console.log("\n128 tokens that are alike");
for (const training of [false, true]) {
  const { load } = measure(await send(balanced, { tokens, training, capacityFactor: "dropless" }));
  console.log(`  ${training ? "while training, evened out by Sinkhorn" : "in evaluation, each its best         "}: ${load.join(" ")}`);
}
console.log();
const assigned = await send(balanced, { training: true });
printSlots(assigned);
keepPicture(
  "16-balanced",
  slotsPicture(assigned, {
    title: "Balanced assignment at factor 1.0",
    description: "Nearly every word finds a slot at an expert it scores well with",
  }),
);
