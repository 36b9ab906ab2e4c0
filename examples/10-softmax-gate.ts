/**
 * Lesson 10: the classic mixture of experts. Every expert computes every token, and a softmax weighs the outputs: y = sum p_i E_i(x).
 * Jacobs et al. 1991; the dense limit of Shazeer et al. 2017, arXiv:1701.06538, eq. 1-2.
 *
 * Expect: gates that add up to 1 and are never 0, so nothing is saved: all experts compute. The softmax only normalises. Logits four
 * and sixteen times as large give gates nearer to one expert, and the shares of the experts over all tokens stay uneven: a softmax does not
 * balance. The gradient of a gate is how much the output of its expert changes the loss: <dL/dy, E_i(x)>.
 */
import { key, random } from "switchyard-moe";
import { DenseRouter, FeedForwardExperts, MoE, entropy } from "switchyard-moe/moe";
import { initializers } from "switchyard-moe/nn";
import { begin, keepPicture } from "./train/lesson.ts";
import { heatMap } from "./train/svg/index.ts";
import { WIDTH, send, vectorsOf, words } from "./train/words.ts";

await begin("The softmax gate");
const experts = 4;
const routerOf = (std: number) =>
  new DenseRouter({ width: WIDTH, experts, random: key(2).at("router"), initializer: initializers.normal(std) });

console.log("logits    mean entropy of a token's gates    share of each expert in all gates");
for (const times of [1, 4, 16]) {
  const { gate } = await send(routerOf(0.2 * times));
  const rows = words.map((_, t) => Array.from(gate.slice(t * experts, (t + 1) * experts)));
  const mean = rows.reduce((sum, row) => sum + entropy(row), 0) / rows.length;
  const shares = Array.from({ length: experts }, (_, e) => rows.reduce((sum, row) => sum + row[e], 0) / rows.length);
  const told = `${mean.toFixed(2)} of ${Math.log2(experts)} bits`;
  console.log(`  x${String(times).padEnd(4)}   ${told.padEnd(34)}  ${shares.map((share) => share.toFixed(2)).join("  ")}`);
  const captions = {
    title: `Gates of the softmax, logits x${times}`,
    description: "How much of each word's answer each expert gives; rows add up to 1",
  };
  keepPicture(
    `10-softmax-gate-x${times}`,
    heatMap({
      ...captions,
      rows: words,
      columns: ["0", "1", "2", "3"],
      values: rows,
      row: "word",
      column: "expert",
      unit: "of the answer",
      format: (x) => x.toFixed(2),
      most: 1,
    }),
  );
}

// The gradient of the router, by the tape and by hand.
const pass = { training: false, random: key(0) };
const network = new FeedForwardExperts({ experts, width: WIDTH, hidden: 16, random: key(4), initializer: initializers.normal(0.4) });
const layer = new MoE({ router: routerOf(0.8), experts: network });
const x = vectorsOf();
const towards = random.normal([words.length, WIDTH], key(5)); // dL/dy
const { output, routing } = layer.forward(x, {}, pass);
const weight = layer.router.parameters()[0];
const [byTape] = output.squeeze(0).mul(towards).sum().gradients([weight]);

const answers = network.forward(routing.dispatch(x.squeeze(0)), routing.layout, pass); // [E, T, D]
const g = answers.mul(towards).sum(2).transpose(0, 1); // [T, E]: <dL/dy, E_i(x)>
const p = x.squeeze(0).matmul(weight).softmax(-1); // [T, E]
const ofLogits = p.mul(g.sub(p.mul(g).sum(1, { keepDims: true }))); // dL/dh_j = p_j (g_j - sum_i p_i g_i)
const byHand = x.squeeze(0).transpose(0, 1).matmul(ofLogits);
console.log(`\nrows at the experts: ${routing.layout.lead.join(" x ")}; every expert computes all ${words.length} words`);
const [norm, difference] = await Promise.all([byTape.norm().item(), byTape.sub(byHand).norm().item()]);
console.log(`gradient of the router: norm ${norm.toFixed(3)} by the tape, ${difference.toExponential(1)} away from the formula`);
