/** Where is the balance loss, and is it added at all? It is in `losses` of the forward pass, with its coefficient; you add it. */
import { key, random } from "switchyard-moe";
import { FeedForwardExperts, MoE, SwitchRouter } from "switchyard-moe/moe";

const [width, experts] = [8, 4];
const router = new SwitchRouter({ width, experts, random: key(1), balance: 0.01, zLoss: 0.001 });
const layer = new MoE({ router, experts: new FeedForwardExperts({ experts, width, hidden: 16, random: key(2) }) });
const x = random.normal([1, 64, width], key(3));

const { output, losses } = layer.forward(x, {}, { training: true, random: key(4) });
for (const [name, loss] of Object.entries(losses)) console.log(name, loss.itemSync().toFixed(6));
const total = Object.values(losses).reduce((sum, loss) => sum.add(loss), output.sub(x).square().mean());
console.log("total", total.itemSync().toFixed(6));
