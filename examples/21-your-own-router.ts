/**
 * Lesson 21: write a router and test it with the laws. Your own router is written like the built-in ones: it has a formula, `choose`; the
 * base class checks the request, groups tokens, gives slots and adds losses. `routerLaws` selects the laws that its traits promise, and any
 * test runner can check them: `for (const law of laws) it(law.name, () => law.check())`.
 *
 * Expect: a router of some twenty lines keeps all laws. Then five mistakes are made in it, with which a model would still train, and each
 * breaks a law in a case of few tokens. A slot too many shows in the shape of the rows. Reading later tokens, or giving them the slot of an
 * earlier one, shows when later tokens are changed. A single gate that is renormalised is always 1, and nothing can be learnt from it.
 */
import { arange, key } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { Projection, Router, capacityOf } from "switchyard-moe/moe";
import type { Choices, RouteRequest } from "switchyard-moe/moe";
import { initializers } from "switchyard-moe/nn";
import { BrokenLaw, routerLaws } from "switchyard-moe/testing";
import type { RouterLaw, RouterSetting } from "switchyard-moe/testing";
import { begin, keepPicture, short } from "./train/lesson.ts";
import { WIDTH, slotsPicture, send } from "./train/words.ts";

/** The best expert, weighed by its probability; first come, first served. G groups, S tokens of a group, E experts, D width. */
class MyRouter extends Router {
  readonly projection: Projection;

  constructor(setting: Omit<RouterSetting, "choices" | "vocabulary">) {
    const { width, experts, random, dtype, initializer } = setting;
    super(setting, {
      name: "mine",
      choosing: "tokens",
      choices: 1,
      capacity: true,
      time: "causal",
      gatesSumToOne: false,
      learns: true,
      scores: "softmax",
      readsIds: false,
    });
    this.projection = new Projection({ width, experts, random, dtype, initializer });
  }

  protected choose(x: Tensor): Choices {
    const logits = this.logits(x); // [G, S, E]
    const probs = logits.softmax(-1);
    const best = probs.argmax(-1).unsqueeze(2); // [G, S, 1]
    return { expertOfChoice: best, gate: this.gate(probs.takeAlong(best, 2)), logits, probs };
  }

  // Places to go wrong
  logits = (x: Tensor): Tensor => this.projection.forward(x);
  gate = (probability: Tensor): Tensor => probability;
}

/** Positions [G, S] from the last to the first. */
function backwards([groups, size]: readonly number[]): Tensor {
  return arange(0, size, 1, { dtype: "int32" }).flip().reshape([1, size]).broadcastTo([groups, size]);
}

/** What each wrong router does otherwise: in its formula, or in a rule of the base class. */
const mistakes: Record<string, (router: MyRouter) => object> = {
  "keeps one token too many": ({ experts }) => ({
    capacity: (size: number, { capacityFactor: factor }: RouteRequest) =>
      factor === "dropless" ? factor : capacityOf(size, experts, factor) + 1,
  }),
  "drops who came first": () => ({ order: (gate: Tensor) => backwards(gate.shape) }),
  "renormalises its gate": () => ({ gate: (probability: Tensor) => probability.div(probability) }),
  "reads the whole sequence": ({ projection }) => ({ logits: (x: Tensor) => projection.forward(x.add(x.mean(1, { keepDims: true }))) }),
  "sends its weights no gradient": () => ({ gate: (probability: Tensor) => probability.detach() }),
};

/** The size of the smallest case that refutes a law, where one was found. */
function caseOf(error: Error): string {
  if (!(error instanceof BrokenLaw)) return "";
  const { batch, length, experts } = error.counterexample;
  return `tokens ${batch * length}, experts ${experts}; `;
}

/** The complaint of a law, or nothing. */
function complaint(law: RouterLaw): string | undefined {
  try {
    law.check();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return `${law.statement}\n    ${caseOf(error)}${error.message.split("\n").at(-1)?.trim()}`;
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

const mine = new MyRouter({
  width: WIDTH,
  experts: 4,
  group: "batch",
  random: key(2),
  dtype: "float32",
  initializer: initializers.normal(0.5),
});
keepPicture(
  "21-your-own-router",
  slotsPicture(await send(mine), {
    title: "A router of your own at factor 1.0",
    description: "Each word to its best expert, first come, first served",
  }),
);
