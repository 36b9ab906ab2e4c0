/**
 * Lesson 5: what capacity does. Twelve tokens, four experts, one choice each. At factor 1.0 an expert has 12 / 4 = 3 slots, at 1.5 it has
 * ceil(4.5) = 5. A token that finds no free slot is dropped: the layer gives exactly 0 for it, and the residual connection passes it
 * on unchanged. Fedus et al. 2021, eq. 3.
 *
 * Expect: dropped tokens at 1.0; at 1.5 fewer or none, but more empty slots.
 */
import { key, random, scope } from "switchyard-moe";
import { FeedForwardExperts, MoE, SwitchRouter, measure, readBooks } from "switchyard-moe/moe";
import { initializers } from "switchyard-moe/nn";
import { begin, keepPicture } from "./train/lesson.ts";
import { dispatch } from "./train/svg/index.ts";

await begin("Capacity and dropped tokens");
const tokens = "the switch sends each wagon to a track of its own kind".split(" ");
const [experts, width] = [4, 8];
const x = random.normal([1, tokens.length, width], key(7));

for (const factor of [1, 1.5]) {
  const layer = new MoE({
    router: new SwitchRouter({ width, experts, random: key(2).at("router"), jitter: 0, initializer: initializers.normal(0.5) }),
    experts: new FeedForwardExperts({ experts, width, hidden: 16, random: key(2).at("experts") }),
    trainingCapacityFactor: factor,
  });
  const { books, output } = scope(() => {
    const { routing, output } = layer.forward(x, {}, { training: true, random: key(3) });
    return { books: readBooks(routing), output };
  });
  const { expertOfChoice, slotOfChoice, gate } = await books;
  const { load, dropped, utilisation } = measure(await books);
  const capacity = Math.ceil((tokens.length * factor) / experts);
  const numbers = await output.data();

  const shares = `dropped ${(100 * dropped).toFixed(0)} %, slots used ${(100 * utilisation).toFixed(0)} %`;
  console.log(`factor ${factor}: ${capacity} slots for each of ${experts} experts; wished ${load.join(" ")}; ${shares}`);
  tokens.forEach((word, t) => {
    const kept = slotOfChoice[t] >= 0;
    const length = Math.hypot(...numbers.subarray(t * width, (t + 1) * width));
    const choice = `expert ${expertOfChoice[t]}  gate ${gate[t].toFixed(2)}  ${kept ? `slot ${slotOfChoice[t] % capacity}` : "no slot"}`;
    console.log(`  ${word.padEnd(7)} ${choice}  output of length ${length.toFixed(3)}`);
  });
  const choices = tokens.map((_, token) => ({
    token,
    expert: expertOfChoice[token],
    slot: slotOfChoice[token] < 0 ? -1 : slotOfChoice[token] % capacity,
    gate: gate[token],
  }));
  keepPicture(
    `05-dispatch-${factor}`,
    dispatch({
      title: `Capacity factor ${factor}`,
      description: `Which of ${experts} experts each word goes to, and who finds no slot`,
      tokens,
      experts,
      capacity,
      choices,
    }),
  );
  console.log();
}
