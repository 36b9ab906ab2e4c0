/** What a user writes on the first day; it must compile against the packed declarations without skipLibCheck. */
import { key, random, scope, tensor } from "switchyard-moe";
import type { Backend, Tensor } from "switchyard-moe";
import { cpu } from "switchyard-moe/backend";
import { FeedForwardExperts, MoE, SwitchRouter } from "switchyard-moe/moe";
import type { Routing } from "switchyard-moe/moe";
import { AdamW, Linear, Module } from "switchyard-moe/nn";
import type { Pass } from "switchyard-moe/nn";
import { routerLaws } from "switchyard-moe/testing";
import type { RouterLaw } from "switchyard-moe/testing";

class Model extends Module {
  readonly linear = new Linear(4, 4, { random: key(0).at("linear") });
  readonly moe = new MoE({
    router: new SwitchRouter({ experts: 2, width: 4, random: key(0).at("router") }),
    experts: new FeedForwardExperts({ experts: 2, width: 4, hidden: 8, random: key(0).at("experts") }),
  });

  forward(x: Tensor, pass: Pass): { output: Tensor; routing: Routing } {
    return this.moe.forward(this.linear.forward(x), {}, pass);
  }
}

const backend: Backend = cpu();
const x: Tensor = tensor([[[1, 2, 3, 4]]], { backend });
const model = new Model();
const { output } = model.forward(x, { training: true, random: key(1) });
export const loss: number = await output.square().mean().item();
export const noise: Tensor = scope(() => random.normal([2, 2], key(2)));
export const laws: RouterLaw[] = routerLaws("mine", ({ width, experts, random }) => new SwitchRouter({ width, experts, random }), {
  runs: 5,
  except: { P31: "a reason" },
});
export { AdamW };
