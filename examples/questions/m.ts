/** Why does an output depend on its companions in the batch? Capacity is shared. Groups and dropless layers end that. */
import { concat, key, random } from "switchyard-moe";
import { FeedForwardExperts, MoE, SwitchRouter } from "switchyard-moe/moe";

const [width, experts, length] = [8, 4, 16];
const mine = random.normal([1, length, width], key(1));
const companions = random.normal([3, length, width], key(7));

function difference(group: "batch" | "sequence", evaluationCapacityFactor: number | "dropless"): string {
  const router = new SwitchRouter({ width, experts, random: key(2), group });
  const layer = new MoE({
    router,
    experts: new FeedForwardExperts({ experts, width, hidden: 16, random: key(3) }),
    evaluationCapacityFactor,
  });
  const output = (x: typeof mine) => layer.forward(x, {}, { training: false, random: key(0) }).output;
  const [alone, together] = [output(mine), output(concat([companions, mine])).narrow(0, 3, 4)];
  return alone.sub(together).abs().max().itemSync().toFixed(4);
}
console.log("largest difference, alone or in company");
console.log("factor 1, capacity of the batch:      ", difference("batch", 1));
console.log("factor 1, capacity of each sequence:  ", difference("sequence", 1));
console.log("nothing dropped:                      ", difference("batch", "dropless"));
