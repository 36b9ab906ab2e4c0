/**
 * Lesson 14: which tokens get the slots of an expert that has too few. By position: the earlier token. By gate: the token with the
 * larger gate (batch-prioritised routing, Riquelme et al. 2021, arXiv:2106.05974). At random, in training (random token selection). And
 * which tokens share the slots: those of the batch, or those of each sequence.
 *
 * Expect: the choices are the same, the dropped tokens differ. Priority by gate keeps the largest gates; but a later token can then take
 * the slot of an earlier one, which a causal model must not allow: the lesson shows such a case. With a group per sequence, sequences do
 * not compete for slots, but a sequence with an uneven load drops more.
 */
import { key, random } from "switchyard-moe";
import { SwitchRouter, measure } from "switchyard-moe/moe";
import type { Priority } from "switchyard-moe/moe";
import { initializers } from "switchyard-moe/nn";
import { begin, keepPicture } from "./train/lesson.ts";
import { WIDTH, choicesOf, slotsPicture, send, vectorsOf, words } from "./train/words.ts";

await begin("Priority: who is dropped");
const experts = 4;
const base = { width: WIDTH, experts, random: key(2).at("router"), jitter: 0, initializer: initializers.normal(0.5) };
const routerOf = (priority: Priority, group: "batch" | "sequence" = "batch") => new SwitchRouter({ ...base, priority, group });

for (const priority of ["position", "gate", "random"] as const) {
  const books = await send(routerOf(priority), { training: true });
  const choices = choicesOf(books);
  const lost = choices.filter(({ slot }) => slot < 0).map(({ token }) => words[token]);
  const weight = choices.reduce((sum, { slot, gate = 0 }) => sum + (slot < 0 ? 0 : gate), 0);
  console.log(`by ${priority.padEnd(8)} dropped: ${lost.join(", ").padEnd(26)} gates that survive add up to ${weight.toFixed(2)}`);
  keepPicture(
    `14-priority-${priority}`,
    slotsPicture(books, { title: `Slots by ${priority}`, description: "One choice of each word at factor 1.0; hatched: no slot" }),
  );
}

/** The first words that lose or gain a slot when only the last six change. */
async function probe(priority: Priority): Promise<number> {
  const before = vectorsOf();
  const later = random.normal([1, 6, WIDTH], key(11)).mul(2);
  const changed = before.narrow(1, 0, 6).pad([[0, 0], [0, 6], [0, 0]]).add(later.pad([[0, 0], [6, 0], [0, 0]])); // prettier-ignore
  const [a, b] = await Promise.all([before, changed].map((tokens) => send(routerOf(priority), { tokens })));
  return [0, 1, 2, 3, 4, 5].filter((t) => a.slotOfChoice[t] >= 0 !== b.slotOfChoice[t] >= 0).length;
}
console.log(
  `\nof the first six words, slots that change when only the last six do: by position ${await probe("position")}, by gate ` +
    `${await probe("gate")}`,
);

const tokens = random.normal([4, 16, WIDTH], key(5)).add(random.normal([4, 1, WIDTH], key(6))); // each sequence has a taste of its own
for (const group of ["batch", "sequence"] as const) {
  const { dropped, load } = measure(await send(routerOf("position", group), { tokens, capacityFactor: 1.25 }));
  console.log(`slots shared out in each ${group.padEnd(8)}: wished ${load.join(" ")}, dropped ${(100 * dropped).toFixed(0)} %`);
}
