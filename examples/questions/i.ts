/** Active or total parameters, and memory? All experts, their gradients and Adam's two moments are held; a token pays for one. */
import { key } from "switchyard-moe";
import { FeedForwardExperts, MoE, SwitchRouter } from "switchyard-moe/moe";
import { summary } from "switchyard-moe/nn";

const [width, hidden] = [128, 512];
console.log("experts  parameters  active per token  MB while training (float32: weight, gradient, two moments)");
for (const experts of [1, 8, 64, 256]) {
  const router = new SwitchRouter({ width, experts, random: key(1) });
  const layer = new MoE({ router, experts: new FeedForwardExperts({ experts, width, hidden, random: key(2), bias: false }) });
  const { parameters, active } = summary(layer);
  console.log(
    [
      String(experts).padStart(7),
      parameters.toLocaleString("en").padStart(11),
      active.toLocaleString("en").padStart(17),
      ((parameters * 16) / 1e6).toFixed(1).padStart(8),
    ].join(" "),
  );
}
