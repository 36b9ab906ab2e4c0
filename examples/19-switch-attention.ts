/**
 * Lesson 19: Switch layers inside attention. One set of experts makes the queries, another keys and values. Fedus et al. 2021,
 * arXiv:2101.03961, appendix A: better in float32, unstable in bfloat16, so the paper left it out.
 * In training, over seeds: claim 8 of docs/paper.md.
 *
 * Expect: each word takes one matrix for its query and another for its key and value; the two routers choose differently, and each
 * has a balance loss of its own. A causal mask still holds: another last word changes no earlier output.
 */
import { key, noGrad } from "switchyard-moe";
import { SwitchAttention, SwitchRouter, measure, readBooks } from "switchyard-moe/moe";
import { initializers } from "switchyard-moe/nn";
import { begin, keepPicture } from "./train/lesson.ts";
import { WIDTH, slotsPicture, vectorsOf, words } from "./train/words.ts";

await begin("Switch layers in attention");
const experts = 4;
const layer = new SwitchAttention(WIDTH, {
  heads: 2,
  experts,
  random: key(2),
  router: (init) => new SwitchRouter({ ...init, width: WIDTH, experts, jitter: 0, initializer: initializers.normal(0.5) }),
});
const pass = { training: false, random: key(0) };
const look = (text: readonly string[]) => {
  const vectors = vectorsOf([...words, ...text]).narrow(1, words.length, words.length + text.length);
  return noGrad(() => layer.extend(vectors, { causal: true }, pass));
};

const { output, losses, routings } = look(words);
for (const [name, routing] of [
  ["queries", routings[0]],
  ["keys and values", routings[1]],
] as const) {
  const books = await readBooks(routing);
  console.log(`${name}: words per expert ${measure(books).load.join(" ")}`);
  const picture = slotsPicture(
    books,
    { title: `Experts of the ${name}`, description: "The matrix that each word is multiplied with" },
    { sorted: true },
  );
  keepPicture(`19-switch-attention-${name.replaceAll(" ", "-")}`, picture);
}
console.log(`balance loss of both routers together: ${(await losses["balance"].item()).toFixed(4)}`);

const other = look([...words.slice(0, 11), "switch"]).output;
const moved = await other.sub(output).abs().max(2).data();
console.log(`another last word changes ${Array.from(moved).filter((x, t) => t < 11 && x > 0).length} of the 11 words before it`);
