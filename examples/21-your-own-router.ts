/**
 * Lesson 21: write a router and let the laws judge it. What the package holds its own routers to is open to yours: `routerLaws` picks
 * the laws that its traits promise, and any test runner can check them: `for (const law of laws) it(law.name, () => law.check())`.
 *
 * Expect: a router of some thirty lines keeps them all. Then it is got wrong in six ways that would train without complaint, and each is
 * refuted in a case of few tokens. One seat too many shows in the shape of the slots; reading the future, or letting it take one's seat,
 * by changing the future; a gate that is alone and renormalised is always 1, and nothing can be learnt from it.
 */
import { arange, key, where } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { Projection, Router, capacityOf, queue, slotOfChoice, slotRouting, sortedRouting } from "switchyard-moe/moe";
import type { Queue, RouteRequest, RouterTraits, Routing } from "switchyard-moe/moe";
import { initializers } from "switchyard-moe/nn";
import { BrokenLaw, routerLaws } from "switchyard-moe/testing";
import type { RouterLaw, RouterSetting } from "switchyard-moe/testing";
import { begin, keepPicture, short } from "./train/lesson.ts";
import { WIDTH, seats, send } from "./train/words.ts";

/** The best expert, weighed by its probability; first come, first served. B sequences, T tokens of each, G groups, E experts. */
class MyRouter extends Router {
  readonly experts: number;
  readonly projection: Projection;
  readonly group: RouterSetting["group"];
  readonly traits: RouterTraits = { name: "mine", choosing: "tokens", choices: 1, capacity: true, time: "causal", gatesSumToOne: false, learns: true, scores: "softmax", readsIds: false }; // prettier-ignore

  constructor(setting: Omit<RouterSetting, "choices" | "vocabulary">) {
    super();
    this.experts = setting.experts;
    this.group = setting.group;
    this.projection = new Projection(setting);
  }

  route({ tokens, mask, capacityFactor }: RouteRequest): Routing {
    const [batch, length] = tokens.shape;
    const all = batch * length;
    const logits = this.logits(this.projection.input(tokens, mask)).reshape([all, this.experts]); // [B T, E]
    const probs = logits.softmax(-1);
    const best = probs.argmax(-1).reshape([all, 1]);
    const expertOfChoice = this.wish(best, mask?.reshape([all, 1]));
    const books = { real: mask?.reshape([all]) ?? null, expertOfChoice, gate: this.gate(probs.takeAlong(best, 1)), logits, probs };
    if (capacityFactor === "dropless") return sortedRouting({ books, losses: {} }, this.experts);
    const groups = this.group === "batch" ? 1 : batch;
    const capacity = this.seats(capacityOf(all / groups, this.experts, capacityFactor));
    const slots = slotOfChoice(this.line(expertOfChoice.reshape([groups, all / groups, 1])), this.experts, capacity);
    return slotRouting({ books: { ...books, slotOfChoice: slots }, losses: {} }, this.experts, groups * capacity);
  }

  // Places to go wrong
  logits = (input: Tensor): Tensor => this.projection.forward(input);
  wish = (best: Tensor, mask?: Tensor): Tensor => (mask ? where(mask.cast("int32"), best, -1) : best);
  gate = (share: Tensor): Tensor => share;
  seats = (capacity: number): number => capacity;
  line = (expert: Tensor): Queue => queue(expert);
}

/** Places of [G, S] from the last to the first. */
function backwards([groups, size]: readonly number[]): Tensor {
  return arange(0, size, 1, { dtype: "int32" }).flip().reshape([1, size]).broadcastTo([groups, size]);
}

const mistakes: Record<string, (router: MyRouter) => object> = {
  "keeps one token too many": () => ({ seats: (capacity: number) => capacity + 1 }),
  "gives padding a seat": () => ({ wish: (best: Tensor) => best }),
  "drops who came first": () => ({ line: (expert: Tensor) => queue(expert, backwards(expert.shape)) }),
  "renormalises its gate": () => ({ gate: (share: Tensor) => share.div(share) }),
  "reads the whole sequence": ({ projection }) => ({ logits: (x: Tensor) => projection.forward(x.add(x.mean(1, { keepDims: true }))) }),
  "sends its weights no gradient": () => ({ gate: (share: Tensor) => share.detach() }),
};

/** The complaint of a law, or nothing. */
function complaint(law: RouterLaw): string | undefined {
  try {
    law.check();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const where = error instanceof BrokenLaw ? `tokens ${error.counterexample.batch * error.counterexample.length}, experts ${error.counterexample.experts}; ` : ""; // prettier-ignore
    return `${law.statement}\n    ${where}${error.message.split("\n").at(-1)?.trim()}`;
  }
  return undefined;
}

await begin("Your own router before the laws");
const runs = short ? { runs: 4 } : {};
const laws = routerLaws("mine", (setting) => new MyRouter(setting), runs);
const broken = laws.map(complaint).filter((one) => one !== undefined);
console.log(`${laws.length - broken.length} of ${laws.length} laws kept\n${broken.join("\n")}`);
for (const law of laws.slice(0, 3)) console.log(`  ${law.statement}\n    ${law.coverage}`);

for (const [what, wrong] of Object.entries(mistakes).slice(0, short ? 2 : undefined)) {
  const make = (setting: RouterSetting): MyRouter => {
    const router = new MyRouter(setting);
    return Object.assign(router, wrong(router));
  };
  const found = routerLaws("mine", make, runs).map(complaint).filter((one) => one !== undefined); // prettier-ignore
  console.log(`\na router that ${what} breaks ${found.length}:\n  ${found.slice(0, 3).join("\n  ")}`);
}

const mine = new MyRouter({ width: WIDTH, experts: 4, group: "batch", random: key(2), dtype: "float32", initializer: initializers.normal(0.5) }); // prettier-ignore
keepPicture("21-your-own-router", seats(await send(mine), { title: "A router of your own at factor 1.0", description: "Each word to its best expert, first come, first served" })); // prettier-ignore
