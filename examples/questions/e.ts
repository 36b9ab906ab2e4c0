/** Can routing collapse in spite of capacity? Yes: capacity drops tokens, it does not teach the router to send them elsewhere. */
import { key, random, scope } from "switchyard-moe";
import { FeedForwardExperts, MoE, SwitchRouter, measure, readBooks } from "switchyard-moe/moe";
import { AdamW, initializers } from "switchyard-moe/nn";

const [width, experts] = [8, 8];
const x = random.normal([1, 256, width], key(1)).add(1); // tokens that have something in common

/** Trains a layer to return |x|, and prints who got the tokens at the end. */
async function train(balance: number): Promise<void> {
  const router = new SwitchRouter({ width, experts, random: key(2), balance, jitter: 0, initializer: initializers.normal(1) });
  const layer = new MoE({
    router,
    experts: new FeedForwardExperts({ experts, width, hidden: 16, random: key(3) }),
    trainingCapacityFactor: 1.25,
  });
  const optimizer = new AdamW(layer, { lr: 1e-2 });
  for (let step = 0; step < 150; step++)
    scope(() => {
      const { output, losses } = layer.forward(x, {}, { training: true, random: key(4).at(step) });
      const task = output.sub(x.abs()).square().mean();
      (losses["balance"] ? task.add(losses["balance"]) : task).backward();
      optimizer.step();
      optimizer.zeroGrad();
    });
  const { routing } = layer.forward(x, {}, { training: true, random: key(4) });
  const { load, dropped, maxViolation } = measure(await readBooks(routing));
  console.log(
    `alpha ${balance}: tokens per expert ${load.join(" ")}; MaxVio ${maxViolation.toFixed(2)}; dropped ${(100 * dropped).toFixed(0)} %`,
  );
}

await train(0);
await train(0.1);
