/**
 * Lesson 7: selective precision. The router computes in float32 even where tokens are bfloat16 (Fedus et al. 2021, section 2.4). Here the
 * same router decides twice: from float32 logits, and from logits rounded to bfloat16, which has 8 significant bits.
 *
 * Expect: choices flip, and they flip where the margin between the best two logits (of size about 1) is small: of margins below 2^-9, 30 to
 * 50 % flip, of those from 2^-8 to 2^-7 hardly more than 5 to 20 %, above 2^-6 none. Ties appear too, and a tie goes to the lowest expert.
 */
import { key, random } from "switchyard-moe";
import { begin, keepPicture, promised, short } from "./train/lesson.ts";
import { bars } from "./train/svg/index.ts";

await begin("A router in bfloat16 against one in float32");
const [tokens, width, experts] = [short ? 2_000 : 40_000, 64, 8];
const x = random.normal([tokens, width], key(1)).cast("bfloat16");
const projection = random.normal([width, experts], key(2), { std: 1 / 8 });

const precise = x.cast("float32").matmul(projection); // [T, E]
const rounded = x.matmul(projection.cast("bfloat16")); // [T, E], one rounding of the result, after rounded weights
const { values } = precise.topK(2);
const margins = await values
  .narrow(1, 0, 1)
  .sub(values.narrow(1, 1, 2))
  .data();
const [a, b] = await Promise.all([precise.argmax().data(), rounded.argmax().data()]);
const ties = await rounded
  .equal(rounded.max(1, { keepDims: true }))
  .sum(1)
  .greater(1)
  .sum()
  .item();

const edges = [0, 2 ** -9, 2 ** -8, 2 ** -7, 2 ** -6, 2 ** -5, 2 ** -4, Infinity];
const shown = (edge: number): string => (edge === 0 ? "0" : `2^${Math.log2(edge)}`);
const rows = edges.slice(1).map((to, i) => {
  const inside = Array.from(margins.keys()).filter((t) => margins[t] >= edges[i] && margins[t] < to);
  const flipped = inside.filter((t) => a[t] !== b[t]).length;
  return {
    name: to === Infinity ? `${shown(edges[i])} and more` : `${shown(edges[i])} to ${shown(to)}`,
    value: inside.length ? (100 * flipped) / inside.length : 0,
    tokens: inside.length,
  };
});
console.log("margin of the best two logits    tokens   flipped");
for (const { name, value, tokens: count } of rows)
  console.log(`  ${name.padEnd(28)} ${String(count).padStart(8)}   ${value.toFixed(1).padStart(5)} %`);
promised("% of margins below 2^-9 that flip", rows[0].value, 30, 50);
promised("% of margins from 2^-8 to 2^-7 that flip", rows[2].value, 5, 20);
const flips = Array.from(a).filter((expert, t) => expert !== b[t]).length;
console.log(
  `\nin all ${flips} of ${tokens} choices flipped (${((100 * flips) / tokens).toFixed(2)} %); ${ties} tokens have an exact tie in bfloat16`,
);
console.log(
  "counting has the same trouble: in bfloat16 256 + 1 is",
  await random.uniform([1], key(0)).mul(0).add(256).cast("bfloat16").add(1).cast("float32").item(),
);
keepPicture(
  "07-precision",
  bars({
    title: "Choices that flip when the router is rounded to bfloat16",
    description: "By the margin between the best two float32 logits",
    bars: rows.map(({ name, value }) => ({ name, value })),
    of: "margin of the best two logits",
    x: "% of choices that flip",
  }),
);
