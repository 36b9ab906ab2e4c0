/** Why is the loss-free bias centred, and moved by sign? Only differences choose; the sign bounds the step. */
import { key, random, scope } from "switchyard-moe";
import { TopKRouter, measure, readBooks } from "switchyard-moe/moe";

const [width, experts] = [16, 8];
const router = new TopKRouter({ width, experts, choices: 1, random: key(2), balance: 0, biasRate: 0.01 });
const x = random.normal([1, 512, width], key(1)).add(0.5);

async function look(): Promise<string> {
  const { load, maxViolation } = measure(
    await readBooks(router.route({ tokens: x, capacityFactor: "dropless", pass: { training: false, random: key(0) } })),
  );
  return `load ${load.join(" ")}; MaxVio ${maxViolation.toFixed(2)}`;
}
console.log("before:                ", await look());
for (let step = 0; step < 60; step++)
  scope(() => router.afterStep(router.route({ tokens: x, capacityFactor: "dropless", pass: { training: true, random: key(3).at(step) } })));
console.log("after 60 steps of 0.01:", await look());
router.bias?.assign(router.bias.add(5));
console.log("all biases plus 5:     ", await look());
