/**
 * Every law can fail: for each there is a router that breaks it. A law that no router here breaks, or that has no line here, fails this test.
 * G groups, S tokens of a group, E experts, K choices.
 */
import { expect } from "chai";
import { arange, key, random, tensor } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import type { Choices, GroupedTokens, RouteRequest, Routing } from "switchyard-moe/moe";
import { BrokenLaw, routerLaws } from "switchyard-moe/testing";
import type { RouterSetting, SeatsByHand } from "switchyard-moe/testing";
import { uniformLike } from "../../src/autograd/random.ts";
import { claims, laws } from "../../src/testing/laws/index.ts";
import { OwnRouter } from "./ownRouter.ts";

/** What a wrong router does otherwise. */
interface Fault {
  readonly choose?: (right: Choices, tokens: GroupedTokens, x: Tensor) => Choices;
  readonly route?: (router: OwnRouter, request: RouteRequest, right: (request: RouteRequest) => Routing) => Routing;
  readonly capacity?: (size: number, request: RouteRequest) => number | "dropless";
  readonly traits?: ConstructorParameters<typeof OwnRouter>[1];
  readonly choices?: number;
}

function routerOf(fault: Fault): new (setting: RouterSetting) => OwnRouter {
  return class Wrong extends OwnRouter {
    constructor(setting: RouterSetting) {
      super(setting, fault.traits);
    }

    protected override choose(x: Tensor, tokens?: GroupedTokens): Choices {
      const right = super.choose(x);
      return fault.choose && tokens ? fault.choose(right, tokens, x) : right;
    }

    override route(request: RouteRequest): Routing {
      return fault.route ? fault.route(this, request, (r) => super.route(r)) : super.route(request);
    }

    protected override capacity(size: number, request: RouteRequest): number | "dropless" {
      return fault.capacity ? fault.capacity(size, request) : super.capacity(size, request);
    }
  };
}

/** Positions 0, 1, 2, ... along an axis of x [G, S, n]. */
const count = (x: Tensor, axis: 1 | 2): Tensor =>
  arange(0, x.shape[axis], 1, { dtype: x.dtype }).reshape(axis === 1 ? [1, x.shape[1], 1] : [1, 1, x.shape[2]]);

/** The K best of other logits, weighed by their softmax. */
function again(right: Choices, logits: Tensor): Choices {
  const probs = logits.softmax(-1);
  const best = probs.topK(right.expertOfChoice.shape[2]).indices;
  return { ...right, expertOfChoice: best, gate: probs.takeAlong(best, 2), logits, probs };
}

const combined = (change: (y: Tensor, rows: Tensor) => Tensor): Fault => ({
  route(_, request, right) {
    const routing = right(request);
    return { ...routing, combine: (rows) => change(routing.combine(rows), rows) };
  },
});

/** Something else where a mask leaves out three tokens more than the law's own padding. */
const padded = (wrong: (right: Routing) => Routing): Fault => ({
  route(_, request, right) {
    const routing = right(request);
    const masked = request.mask ? Array.from(request.mask.dataSync()).filter((x) => x === 0).length : 0;
    return masked >= 3 ? wrong(routing) : routing;
  },
});

let calls = 0;
const losing = (loss: (tokens: GroupedTokens, x: Tensor) => Tensor): Fault => ({
  choose: (right, tokens, x) => ({ ...right, losses: { mine: loss(tokens, x) } }),
});
/** Other losses, computed from the right choices. */
const scoring = (loss: (right: Choices) => Tensor): Fault => ({ choose: (right) => ({ ...right, losses: { mine: loss(right) } }) });
/** Other books than those that the routing keeps to. */
const telling = (wrong: (books: Routing["books"], request: RouteRequest) => Partial<Routing["books"]>): Fault => ({
  route(_, request, right) {
    const { books, ...routing } = right(request);
    return { ...routing, books: { ...books, ...wrong(books, request) } };
  },
});
/** 0, whatever `x` is, and a derivative that is not. */
const still = (x: Tensor): Tensor => x.sum().sub(x.sum().detach());
/** What sorted rows give, changed. */
const sorted = (change: (y: Tensor) => Tensor): Fault => ({
  route(_, request, right) {
    const routing = right(request);
    return routing.kind === "sorted" ? { ...routing, combine: (y) => change(routing.combine(y)) } : routing;
  },
});
/** The choices of no router. */
const nobody: SeatsByHand = (c) => ({
  expert: c.ids.map(() => [-1]),
  slot: c.ids.map(() => [-1]),
  gates: tensor(new Float64Array(c.ids.length * c.experts), { shape: [c.ids.length, c.experts] }),
});

/** By how the statement of a law begins; what follows a comma tells which of several demands of the law is missed. */
const faults: Readonly<Record<string, Fault>> = {
  "P2 P14": { choose: (right) => ({ ...right, position: right.expertOfChoice.mul(0) }) },
  "P2 P14, different experts": { choose: (right) => ({ ...right, expertOfChoice: right.expertOfChoice.mul(0) }), choices: 2 },
  "P2 P14, the owner of a slot": {
    ...telling(({ expertOfChoice: e }) => ({ expertOfChoice: e.add(1).mod(Math.max(1, e.max().itemSync() + 1)) })),
    choices: 1,
  },
  "P16 P17 P22": {},
  "P16 P17: an": { capacity: (size, { capacityFactor: factor }) => (factor === "dropless" ? factor : Math.min(size, 1)) },
  "P16 P17: an, its first slots": {
    choose: (right) => ({ ...right, position: right.expertOfChoice.mul(0).add(count(right.expertOfChoice, 1)).add(1) }),
    choices: 1,
  },
  P90: { choose: (right) => ({ ...right, position: right.expertOfChoice.mul(0).add(count(right.expertOfChoice, 1)).add(1) }), choices: 1 },
  P31: { route: (_, { mask: __, ...request }, right) => right(request) },
  P21: { capacity: (size, { capacityFactor: f }) => (f === "dropless" ? f : f > 1 ? 1 : Math.max(1, size - 1)) },
  P30: { route: (_, request, right) => right({ ...request, tokens: request.tokens.add(request.tokens.mean(0, { keepDims: true })) }) },
  "P18 P25": {},
  P20: sorted((y) => y.mul(2)),
  "P20, its gradients": sorted((y) => y.add(still(y))),
  "P20, its second derivatives": sorted((y) => y.add(still(y).square())),
  "P20, its slots": {
    route(_, request, right) {
      const { books, ...routing } = right(request);
      return { ...routing, books: { ...books, slotOfChoice: books.slotOfChoice.mul(0).sub(1) } };
    },
  },
  "P20, its kind": { route: (_, request, right) => right({ ...request, capacityFactor: "dropless" }) },
  "P25: a token": combined((y) => y.add(1)),
  "P25: a token, and padding": {
    route(_, request, right) {
      const routing = right(request);
      const padding = request.mask?.reshape([request.mask.size, 1]).sub(1);
      return padding ? { ...routing, combine: (y) => routing.combine(y).add(padding) } : routing;
    },
  },
  "P25 P39": { route: (_, request, right) => {
    const routing = right(request);
    return { ...routing, losses: { mine: request.tokens.mean() } };
  } }, // prettier-ignore
  P28: combined((y, rows) => y.add(rows.mean().mul(0))),
  "P28, what empty slots hold": {
    route(_, request, right) {
      const routing = right(request);
      return { ...routing, dispatch: (x) => routing.dispatch(x).add(1) };
    },
  },
  "P9 P19": combined((y) => y.mul(1.5)),
  "P9 P19, at most 1": { choose: (right) => ({ ...right, gate: right.gate.mul(0).add(0.9) }), choices: 2 },
  "P9 P19, the trait": { traits: { gatesSumToOne: true } },
  P54: { choose: (right) => ({ ...right, gate: right.gate.detach() }) },
  P55: combined((y, rows) => y.add(rows.sum().mul(1e-3))),
  P53: { choose: (right) => ({ ...right, gate: right.gate.detach() }) },
  P10: { choose: (right) => again(right, right.logits.add(count(right.logits, 2))) },
  "P10, its losses": scoring(({ probs }) => probs.narrow(2, 0, 1).mean()),
  "P11, its losses": losing((_, x) => x.mul(count(x, 1)).mean()),
  P11: { choose: (right) => again(right, right.logits.add(count(right.logits, 1).mul(count(right.logits, 2)))) },
  P12: { choose: (right) => ({ ...right, gate: right.logits.takeAlong(right.expertOfChoice, 2).sigmoid() }) },
  "P12, its z-loss": { choose: (right) => ({ ...right, losses: { z: tensor(1, { dtype: "float64" }) } }) },
  "P12, its losses": scoring(({ logits }) => logits.square().mean()),
  P13: { choose: (right) => again(right, right.logits.add(count(right.logits, 2).mul(2))) },
  P38: losing(({ capacity }) => tensor(capacity ?? 0)),
  "P39: padding": losing((_, x) => x.square().mean()),
  "P39: padding, its output": padded((routing) => ({ ...routing, combine: (y) => routing.combine(y).add(1) })),
  "P39: padding, its slots": padded(({ books, ...routing }) => {
    const { slotOfChoice } = books; // the first slot is empty, the books say
    return { ...routing, books: { ...books, slotOfChoice: slotOfChoice.sub(slotOfChoice.equal(0).cast(slotOfChoice.dtype)) } };
  }),
  P40: losing((_, x) => x.sum()),
  "P74: later": {
    choose: (right, _, x) => again(right, right.logits.add(right.logits.sum(1, { keepDims: true })).add(x.sum().mul(0))),
    choices: 1,
  },
  "P74: without": { choose: (right) => again(right, right.logits.add(right.logits.sum(1, { keepDims: true }))), choices: 2 },
  P89: { route: (_, { causal: __, ...request }, right) => right(request), traits: { time: "acausal" } },
  P60: { choose: (right, { pass }) => again(right, right.logits.add(uniformLike(right.logits, pass.random.at("noise")))) },
  "P60, its books": telling(({ probs }, { pass }) => ({ probs: probs.add(uniformLike(probs, pass.random.at("noise"))) })),
  P64: { choose: (right) => again(right, right.logits.add(random.normal(right.logits.shape, key(calls++), { dtype: "float64" }))) },
  P61: {
    route(_, request, right) {
      const routing = right(request);
      return { ...routing, dispatch: (x) => routing.dispatch(x.mul(1.01)) };
    },
  },
  P68: { choose: (right) => ({ ...right, gate: right.logits.exp().takeAlong(right.expertOfChoice, 2) }) },
  "P68, in the output alone": combined((y) => y.add(y.detach().mul(0).add(Infinity))),
  "P68, backward": combined((y) => y.add(still(y).square().sqrt())),
  "P87, its losses": {
    route: (router, request, right) => ({
      ...right(request),
      losses: { mine: random.normal([], router.setting.random, { dtype: "float64" }) },
    }),
  },
  P87: { choose: (right) => right, route: (router, request, right) => {
    const hidden = random.normal([router.experts], router.setting.random.at("hidden"), { dtype: "float64" });
    const routing = right(request);
    return { ...routing, books: { ...routing.books, probs: routing.books.probs.add(hidden) } };
  } }, // prettier-ignore
  "P74: a later": { traits: { time: "dropless" }, choices: 1 },
  "P19: gates": { choose: (right) => ({ ...right, gate: right.gate.div(right.gate.sum(2, { keepDims: true })) }) },
};

describe("every law can fail", () => {
  const all = [...laws, ...claims].map(({ name }) => ({
    name,
    own: Object.keys(faults).filter((start) => name.startsWith(start.split(",")[0])),
  }));
  it("and has one router for each of its demands", () => {
    for (const { name, own } of all) expect(new Set(own.map((start) => start.split(",")[0])), name).to.have.property("size", 1);
  });

  for (const { name, fault, demand } of all.flatMap(({ name, own }) =>
    own.map((start) => ({ name, fault: faults[start], demand: start.split(",")[1] ?? "" })),
  ))
    it(name + demand, () => {
      const Wrong = routerOf(fault);
      const make = (setting: RouterSetting): OwnRouter =>
        new Wrong({ ...setting, choices: Math.min(setting.experts, fault.choices ?? setting.choices) });
      const needsSeats = name.startsWith("P16 P17 P22") || name.startsWith("P18 P25");
      const law = routerLaws("wrong", make, needsSeats ? { seats: nobody } : {}).find(({ statement }) => statement === name);
      expect(law, "selected by the traits").not.to.equal(undefined);
      let broken: unknown;
      try {
        law?.check();
      } catch (error) {
        broken = error;
      }
      const isClaim = claims.some((claim) => claim.name === name);
      expect(broken, String(broken)).to.be.instanceOf(isClaim ? Error : BrokenLaw);
      expect(String(broken), "by what it says, not by an error").not.to.include("it threw");
    });
});
