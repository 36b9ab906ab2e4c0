/**
 * Why is one expert worse than dense? It need not be: with a gate of 1 and the same weights it is the dense layer. Capacity is what parts
 * them.
 */
import { key, random } from "switchyard-moe";
import { FeedForwardExperts, MoE, SwitchRouter } from "switchyard-moe/moe";

const width = 8;
const x = random.normal([1, 32, width], key(1));
const experts = new FeedForwardExperts({ experts: 1, width, hidden: 16, random: key(2) });
const router = new SwitchRouter({ width, experts: 1, random: key(3), jitter: 0 });

function output(trainingCapacityFactor: number | "dropless") {
  return new MoE({ router, experts, trainingCapacityFactor }).forward(x, {}, { training: true, random: key(4) }).output;
}
const all = output("dropless");
const difference = (factor: number): string => all.sub(output(factor)).abs().max().itemSync().toFixed(3);
console.log("largest difference to the layer without drops: factor 1:", difference(1), " factor 0.5:", difference(0.5));
