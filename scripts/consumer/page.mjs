// What a page does with the package: trains a sparse layer on the fast backend, and throws where it does not learn.
import { key, random, scope, useBackend } from "switchyard-moe";
import { FeedForwardExperts, MoE, SwitchRouter } from "switchyard-moe/moe";
import { AdamW } from "switchyard-moe/nn";

const backend = await useBackend("wasm");
const sizes = { experts: 4, width: 8, random: key(1) };
const layer = new MoE({ router: new SwitchRouter(sizes), experts: new FeedForwardExperts({ ...sizes, hidden: 16 }) });
const optimizer = new AdamW(layer, { lr: 1e-2 });
const x = random.normal([1, 32, 8], key(2));

const losses = [];
for (let step = 0; step < 10; step++) {
  const shown = scope(() => {
    const { output } = layer.forward(x, {}, { training: true, random: key(3).at(step) });
    const loss = output.sub(x.abs()).square().mean();
    loss.backward();
    optimizer.step();
    optimizer.zeroGrad();
    return loss.detach();
  });
  losses.push(await shown.item());
}
const [first, last] = [losses[0], losses[losses.length - 1]];
if (!(last < first)) throw new Error(`the loss went from ${first} to ${last}`);
console.log(`${backend.name}: loss from ${first.toFixed(3)} to ${last.toFixed(3)}`);
backend.close();
