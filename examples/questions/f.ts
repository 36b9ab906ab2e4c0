/** Why is MoE slower than dense at equal FLOPs? Count what has to be read, computed for nothing, and remembered. */
import { key, random } from "switchyard-moe";
import { FeedForwardExperts, MoE, SwitchRouter, measure, readBooks } from "switchyard-moe/moe";

const [width, hidden, experts, tokens] = [128, 512, 16, 1024];
const router = new SwitchRouter({ width, experts, random: key(1) });
const layer = new MoE({ router, experts: new FeedForwardExperts({ experts, width, hidden, random: key(2), bias: false }) });
const { routing } = layer.forward(random.normal([1, tokens, width], key(3)), {}, { training: true, random: key(4) });
const { utilisation, dropped } = measure(await readBooks(routing));

const dense = 2 * width * hidden;
console.log(`weights read for a batch: dense ${dense.toLocaleString("en")}, sparse ${(experts * dense).toLocaleString("en")}`);
console.log(`rows of a product: dense ${tokens}, each expert ${routing.layout.lead[1]}`);
console.log(
  `rows computed for no token at factor 1.25: ${(100 * (1 - utilisation)).toFixed(0)} %; dropped ${(100 * dropped).toFixed(1)} %`,
);
console.log(
  `multiply-adds of the router for a token: ${(width * experts).toLocaleString("en")}, of its expert ${dense.toLocaleString("en")}`,
);
console.log(`Adam updates ${experts} times as many numbers: ${((3 * experts * dense * 4) / 1e6).toFixed(1)} MB read and written a step`);
