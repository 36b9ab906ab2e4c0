/** The laws on a router of a user's own: the right one keeps them all, each wrong one breaks the law that speaks of its fault. */
import { expect } from "chai";
import { defaultBackend, tensor } from "switchyard-moe";
import { BrokenLaw, capacityByHand, largest, routerLaws, seatByHand } from "switchyard-moe/testing";
import type { LawOptions, RouterLaw, RouterSetting, SeatsByHand } from "switchyard-moe/testing";
import { OwnRouter, wrong } from "./ownRouter.ts";

type Kind = new (setting: RouterSetting) => OwnRouter;

function lawsOf(Kind: Kind, choices?: number, options?: LawOptions): RouterLaw[] {
  return routerLaws("own", (setting) => new Kind({ ...setting, choices: choices ?? setting.choices }), options);
}

/** What a law throws. */
function fault(law: RouterLaw | undefined): Error {
  if (!law) return expect.fail("no such law was selected");
  try {
    law.check();
  } catch (error) {
    if (error instanceof Error) return error;
  }
  return expect.fail(`${law.name}: kept`);
}

const named = (laws: readonly RouterLaw[], start: string): RouterLaw | undefined =>
  laws.find(({ statement }) => statement.startsWith(start));

/** The K most probable experts, by loops over numbers. */
const byHand: SeatsByHand = (c, { router, tokens }) => {
  if (!(router instanceof OwnRouter)) throw new TypeError("our own router");
  const all = c.batch * c.length;
  const probs = tokens.reshape([all, tokens.shape[2]]).matmul(router.projection.weight).softmax(-1);
  const flat = Array.from(probs.dataSync());
  const choices = router.setting.choices;
  const expert = Array.from({ length: all }, (_, t) => {
    const real = t % c.length < c.length - c.padding[Math.floor(t / c.length)];
    const best = largest(flat.slice(t * c.experts, (t + 1) * c.experts), choices);
    return best.map((e) => (real ? e : -1));
  });
  const groupSize = c.factor === "dropless" || c.group === "batch" ? all : c.length;
  const capacity = c.factor === "dropless" ? all : capacityByHand(groupSize, choices, c.experts, c.factor);
  const positions = seatByHand({ choices: expert, experts: c.experts, groupSize, capacity });
  const slot = positions.map((row, t) => row.map((p) => (p < 0 ? -1 : Math.floor(t / groupSize) * capacity + p)));
  return { expert, slot, gates: probs };
};

describe("laws for any router", () => {
  for (const choices of [1, undefined])
    describe(`a right router of ${choices ?? "any number of"} choices`, () => {
      for (const law of lawsOf(OwnRouter, choices, { seats: byHand })) it(law.name, () => law.check());
    });

  describe("wrong routers", () => {
    for (const { what, Kind, choices, law, says } of wrong)
      it(`one that ${what} breaks ${law.replace(":", "")}`, () => {
        expect(fault(named(lawsOf(Kind, choices), law)).message).to.match(says);
      });

    it("without seats by hand, nothing says who should be dropped of a router that is not causal; with them, a law does", () => {
      const { Kind } = wrong[3];
      for (const law of lawsOf(Kind)) law.check();
      expect(fault(named(lawsOf(Kind, undefined, { seats: byHand }), "P16 P17 P22")).message).to.match(/choices that have a slot/);
    });
  });

  describe("what is told", () => {
    const greedy = (): RouterLaw[] => lawsOf(wrong[0].Kind);

    it("is the law, the smallest case as data, what the router did and what the law wants", () => {
      const error = fault(named(greedy(), "P16 P17:"));
      if (!(error instanceof BrokenLaw)) return expect.fail(`a BrokenLaw, not ${error}`);
      const [head, inCase, did, wants] = error.message.split("\n  ");
      expect(head).to.equal('own breaks the law "P16 P17: an expert keeps as many choices of each group as it has slots, in its first slots, in training too"'); // prettier-ignore
      expect(inCase).to.equal(`case: ${JSON.stringify(error.counterexample).replace("null", "Infinity")}`);
      expect(error.counterexample).to.include({ batch: 1, length: 1, experts: 1, choices: 1 });
      expect(did).to.match(/^router: by token, experts \[\[0\]\], slots \[\[0\]\], gates \[\[1\]\]$/);
      expect(wants).to.equal("law: [experts, slots of each]: [1,2], wanted [1,1]");
    });

    it("is the same for the same seed", () => {
      const told = (seed: number): string => fault(named(lawsOf(wrong[0].Kind, undefined, { seed }), "P16 P17:")).message;
      expect(told(3)).to.equal(told(3));
    });

    it("is the router's own error, where it throws one", () => {
      const { message } = fault(named(lawsOf(OwnRouter, 2), "P31:"));
      expect(message).to.match(/"experts":1,[\s\S]*\n {2}it threw RangeError: topK: k = 2 of an axis of 1/);
    });

    it("has the coverage of the last check", () => {
      const law = named(lawsOf(OwnRouter, 1, { runs: 40 }), "P31:");
      law?.check();
      law?.check();
      expect(String(law?.coverage)).to.match(/^40 cases: drops \d+ %/);
      expect(law?.coverage.share("padding")).to.be.greaterThan(0.3);
    });

    it("leaves the backend in use as it was", () => {
      const before = defaultBackend();
      fault(named(greedy(), "P16 P17:"));
      expect(defaultBackend()).to.equal(before);
      expect(tensor(1).backend).to.equal(before);
    });
  });

  describe("exceptions", () => {
    it("are named with their reason, and must be real", () => {
      const except = { P16: "it likes company" };
      const law = named(lawsOf(wrong[0].Kind, undefined, { except }), "P16 P17:");
      expect(law?.name).to.match(/^own: P16 P17: .*: except that it likes company$/);
      law?.check();
      expect(fault(named(lawsOf(OwnRouter, undefined, { except }), "P16 P17:")).message).to.match(
        /^own keeps the law "P16 P17: .*" after all; strike/,
      );
    });

    it("of what a trait does not promise must be real too", () => {
      const except = { "P19: gates": "it was said to be" };
      named(lawsOf(wrong[4].Kind, undefined, { except }), "P19:")?.check();
      expect(fault(named(lawsOf(OwnRouter, undefined, { except }), "P19:")).message).to.match(/strike the exception/);
    });

    it("are by number or by the beginning of a statement, and an error where nothing is so named", () => {
      const excepted = (name: string): string[] =>
        lawsOf(OwnRouter, undefined, { except: { [name]: "so" } }).filter(({ exception }) => exception).map(({ statement }) => statement); // prettier-ignore
      expect(excepted("P25").length).to.equal(2);
      expect(excepted("P25: a token")).to.deep.equal(["P25: a token without a slot gets exactly 0, and so does padding"]);
      expect(() => excepted("P3")).to.throw(RangeError, 'except "P3" names no law');
    });
  });
});
