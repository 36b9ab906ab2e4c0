/** Expert Choice in a decoder? Change only the last token, and see the first token's output change. */
import { concat, key, random } from "switchyard-moe";
import { ExpertChoiceRouter, FeedForwardExperts, MoE, SwitchRouter } from "switchyard-moe/moe";
import type { Router } from "switchyard-moe/moe";

const [width, experts, length] = [8, 4, 16];
const x = random.normal([1, length, width], key(1));
const changed = concat([x.narrow(1, 0, length - 1), random.normal([1, 1, width], key(9)).mul(3)], 1);

/** How many of the first 15 tokens get another output. */
function moved(router: Router): number {
  const layer = new MoE({ router, experts: new FeedForwardExperts({ experts, width, hidden: 16, random: key(3) }) });
  const output = (input: typeof x) => layer.forward(input, {}, { training: false, random: key(0) }).output;
  const differs = output(x)
    .sub(output(changed))
    .abs()
    .max(2)
    .narrow(1, 0, length - 1);
  return differs.greater(1e-6).sum().itemSync();
}
console.log("earlier tokens that feel the last one: Switch", moved(new SwitchRouter({ width, experts, random: key(2) })));
console.log("                               Expert Choice", moved(new ExpertChoiceRouter({ width, experts, random: key(2), average: 1 })));
