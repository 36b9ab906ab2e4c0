/**
 * Input that is hardly any, or wrong: what each router of the table makes of it. Either it has a meaning, which is stated here and held,
 * or it is an error that says what was given.
 */
import { expect } from "chai";
import { gradients, key, scope, tensor } from "../../src/index.ts";
import * as moe from "../../src/moe/index.ts";
import type { RouterCase, World } from "../../src/testing/cases.ts";
import { D, booksOf, list, normals, settingOf, vectors, world } from "../../src/testing/cases.ts";
import type { Tensor } from "../../src/index.ts";
import { DenseFeedForward, Module } from "../../src/nn/index.ts";
import { routers } from "./routers.ts";

const plain: RouterCase = {
  seed: 3,
  batch: 1,
  length: 4,
  experts: 3,
  choices: 2,
  factor: 2,
  group: "batch",
  ids: [0, 1, 2, 3],
  repeats: false,
  twins: false,
  padding: [0],
  training: true,
};
const none: RouterCase = { ...plain, length: 0, ids: [] };
const modes = [true, false];
const factors: readonly moe.CapacityFactor[] = [1, "dropless"];

/** Output, losses, and the gradients of their sum by everything there is. */
function all(w: World): { output: number[]; losses: number[]; gradients: number[][]; books: ReturnType<typeof booksOf> } {
  const { output, losses, routing } = w.forward();
  const total = Object.values(losses).reduce((sum, loss) => sum.add(loss), output.sum());
  return {
    output: list(output),
    losses: Object.values(losses).map((loss) => loss.itemSync()),
    gradients: gradients(total, [w.tokens, ...w.layer.parameters()]).map(list),
    books: booksOf(routing),
  };
}

const finite = (...numbers: (readonly number[])[]): boolean => numbers.every((xs) => xs.every(Number.isFinite));
const zero = (xs: readonly number[]): boolean => xs.every((x) => x === 0);

for (const row of routers)
  describe(`bad input: ${row.name}`, () => {
    const each = (c: RouterCase, check: (w: World, c: RouterCase) => void): void => {
      for (const training of modes) for (const factor of factors) scope(() => check(world(row, { ...c, training, factor }), { ...c, training, factor })); // prettier-ignore
    };

    it("no tokens: no output, losses and gradients of 0", () =>
      each(none, (w) => {
        const { output, losses, gradients: slopes } = all(w);
        expect(output).to.deep.equal([]);
        expect(zero(losses), `losses ${losses}`).to.equal(true);
        expect(slopes.every(zero), "gradients").to.equal(true);
      }));

    it("all tokens padding: as if there were none", () =>
      each({ ...plain, padding: [4] }, (w) => {
        const { output, losses, gradients: slopes, books } = all(w);
        expect(
          books.expert.flat().every((e) => e === -1),
          "choices",
        ).to.equal(true);
        expect(
          books.slot.flat().every((s) => s === -1),
          "slots",
        ).to.equal(true);
        expect([zero(output), zero(losses), slopes.every(zero)], "output, losses, gradients").to.deep.equal([true, true, true]);
      }));

    it("one expert: it serves whoever it has room for", () =>
      each({ ...plain, experts: 1 }, (w) => {
        const { output, losses, gradients: slopes, books } = all(w);
        expect(finite(output, losses, ...slopes)).to.equal(true);
        expect(
          books.slot.every((slots) => slots.some((s) => s >= 0)),
          "served",
        ).to.equal(true);
      }));

    it("fewer tokens than experts: an expert has one slot at least", () =>
      each({ ...plain, length: 1, ids: [2], experts: 5 }, (w) => {
        const { output, losses, gradients: slopes, books } = all(w);
        expect(finite(output, losses, ...slopes)).to.equal(true);
        expect(
          books.slot[0].some((s) => s >= 0),
          "served",
        ).to.equal(true);
      }));

    it("a token that is NaN: losses say so, seats are real ones, and in evaluation others never hear of it, where tokens choose", () =>
      each(plain, (healthy, given) => {
        const c = { ...given, factor: given.factor === "dropless" ? given.factor : Infinity };
        const { choosing, readsIds } = healthy.router.traits;
        const { output, losses, books } = all(world(row, c, { vectors: vectors(c).map((x, i) => (i < D ? NaN : x)) }));
        const own = output.slice(0, D);
        expect(own.every(Number.isNaN) || (choosing === "experts" && zero(own)), `its own output: ${own}`).to.equal(true);
        expect(losses.some(Number.isNaN), `losses: ${losses}`).to.equal(losses.length > 0 && !readsIds);
        expect(
          books.expert.flat().every((e) => e >= -1 && e < c.experts),
          "experts",
        ).to.equal(true);
        const slots = books.slot.flat().filter((s) => s >= 0);
        expect(new Set(slots).size, "slots").to.equal(choosing === "mixtures" ? c.experts : slots.length);
        if (choosing === "tokens" && !c.training)
          expect(output.slice(D), "the others").to.deep.equal(list(world(row, c).forward().output).slice(D));
      }));

    for (const factor of [0, -1, NaN])
      it(`a capacity factor of ${factor} is refused`, () => {
        const w = world(row, plain);
        const route = (): unknown => w.router.route({ tokens: w.tokens, ids: w.ids, capacityFactor: factor, pass: { training: true, random: key(1) } }); // prettier-ignore
        expect(route).to.throw(RangeError, `route: capacityFactor ${factor}: want a number above 0`);
      });

    for (const experts of [0, -1, 1.5])
      it(`${experts} experts are refused`, () => {
        expect(() => row.make(settingOf({ ...plain, experts }))).to.throw(RangeError, String(experts));
      });

    it("shapes that do not fit are named", () => {
      const w = world(row, plain);
      const route = (change: object): unknown =>
        w.router.route({ tokens: w.tokens, ids: w.ids, capacityFactor: 1, pass: { training: true, random: key(1) }, ...change });
      const flat = tensor(new Float64Array(4 * D), { shape: [4, D] });
      const short = tensor(new Float64Array(3), { shape: [1, 3] });
      expect(() => route({ tokens: flat })).to.throw(TypeError, `route: tokens (a Tensor of shape [4, ${D}]): want a tensor [B, T, D]`);
      expect(() => route({ mask: short })).to.throw(RangeError, "route: mask [1, 3]: want [1, 4], one entry for each token");
      expect(() => route({ ids: short.cast("int32") })).to.throw(RangeError, "route: ids [1, 3]: want [1, 4], one entry for each token");
    });
  });

describe("bad options", () => {
  const base = { width: D, experts: 2, random: key(1), dtype: "float64" } as const;

  it("more choices than experts, none, or half a one are refused", () => {
    for (const choices of [3, 0, -1, 1.5, NaN])
      for (const make of [
        () => new moe.TopKRouter({ ...base, choices }),
        () => new moe.NoisyTopKRouter({ ...base, choices }),
        () => new moe.BalancedRouter({ ...base, choices }),
      ])
        expect(make).to.throw(RangeError, `choices ${choices}: want a whole number from 1 to 2`);
    for (const attempts of [3, 0]) expect(() => new moe.SwitchRouter({ ...base, attempts })).to.throw(RangeError, `attempts ${attempts}`);
    for (const average of [0, -1, NaN]) expect(() => new moe.ExpertChoiceRouter({ ...base, average })).to.throw(RangeError, `average ${average}`); // prettier-ignore
    for (const slots of [0, 1.5]) expect(() => new moe.SoftRouter({ ...base, slots })).to.throw(RangeError, `slots ${slots}`);
  });

  it("a cap below the average, or of half an expert, is refused", () => {
    expect(() => new moe.ExpertChoiceRouter({ ...base, average: 2, cap: 1 })).to.throw(RangeError, "cap 1: want at least the average of 2");
    expect(() => new moe.ExpertChoiceRouter({ ...base, average: 1, cap: 1.5 })).to.throw(RangeError, "cap 1.5: want a whole number");
  });

  it("a hash without ids, and ids or experts beyond the table", () => {
    const router = new moe.HashRouter({ experts: 2, table: [0, 1] });
    const request = { tokens: tensor(Float64Array.from(normals(2 * D, key(1))), { shape: [1, 2, D] }), capacityFactor: 1, pass: { training: false, random: key(1) } } as const; // prettier-ignore
    expect(() => router.route(request)).to.throw(TypeError, "HashRouter.route: ids are missing");
    expect(() => router.route({ ...request, ids: tensor(Int32Array.of(1, 2), { shape: [1, 2] }) })).to.throw(
      RangeError,
      "index 2 at 1 is outside 0 to 1",
    );
    expect(() => new moe.HashRouter({ experts: 2, table: [0, 2] })).to.throw(
      RangeError,
      "HashRouter: table[1] 2: want a whole number from 0 to 1",
    );
    expect(() => new moe.HashRouter({ experts: 2, table: [] })).to.throw(RangeError, "HashRouter: number of ids in table 0");
  });
});

describe("parts that do not fit each other", () => {
  const pass = { training: false, random: key(0) };
  const options = { width: D, experts: 6, random: key(1) };
  const floats = (...shape: number[]) => tensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), { shape });
  const router = new moe.SwitchRouter(options);
  const request = { tokens: floats(1, 4, D), capacityFactor: 1, pass };
  const base = router.route(request);
  const books = { tokens: 1, experts: 2, choices: 1, rows: 1, slotOfChoice: Int32Array.of(0), gate: Float64Array.of(1) };
  const groups = (count: number, keep: number) => new moe.TopKRouter({ ...options, choices: 2, expertGroups: { count, keep } });

  class Holder extends Module {
    readonly part: Module;
    constructor(part: Module) {
      super();
      this.part = part;
    }
  }
  const random = key(2);
  const sparse = (experts: moe.Experts) => new Holder(new moe.MoE({ router, experts }));
  const dense = new DenseFeedForward(D, 4, { random });
  const narrow = new moe.FeedForwardExperts({ width: D, hidden: 3, experts: 6, random });
  class Same extends Module {
    forward(rows: Tensor): Tensor {
      return rows;
    }
  }
  const modules = new moe.ModuleExperts(Array.from({ length: 6 }, () => new Same()));
  const unbiased = new moe.FeedForwardExperts({ width: D, hidden: 4, experts: 6, bias: false, random });

  // prettier-ignore
  const cases: readonly (readonly [string, () => unknown, string])[] = [
    ["groups of slots", () => moe.slotRouting(base, 6, 3, 2), "slotRouting: groups 2: want a number that divides the 3 rows"],
    ["experts of mixed slots", () => moe.softRouting(base, 3, { dispatch: floats(1, 4, 3), combine: floats(1, 3, 4) }), "softRouting: experts 3: want a number that divides the 4 slots of dispatch"],
    ["logits of other tokens", () => moe.loadProbability(floats(1, 2, 3), floats(1, 1, 3), floats(1, 2, 3), 1), "loadProbability: noisy [1, 1, 3]: want the shape of clean, [1, 2, 3]"],
    ["ids that are no integers", () => router.route({ ...request, ids: floats(1, 4) }), "SwitchRouter.route: ids of float32: want int32"],
    ["groups of experts", () => groups(4, 1), "TopKRouter: expertGroups: want a count that divides the 6 experts, not 4"],
    ["more groups than there are", () => groups(2, 3), "TopKRouter: expertGroups: 3 of 2 groups of 3: want groups that hold 2 choices"],
    ["groups with too few experts", () => groups(6, 1), "TopKRouter: expertGroups: 1 of 6 groups of 1: want groups that hold 2 choices"],
    ["an expert that there is not", () => moe.measure({ ...books, expertOfChoice: Int32Array.of(2) }), "measure: books: expertOfChoice[0] 2: want -1 to 1"],
    ["experts of another kind", () => moe.upcycle(new Holder(dense), sparse(modules)), 'upcycle: "part" has experts that are not feed-forward networks'],
    ["a dense model without the layer", () => moe.upcycle(new Holder(router), sparse(narrow)), 'upcycle: the dense model has no feed-forward layer at "part"'],
    ["experts of another width", () => moe.upcycle(new Holder(dense), sparse(narrow)), `upcycle: "part": hidden is float32 [6, ${D}, 3] in the experts, float32 [${D}, 4] in the dense layer`],
    ["experts without a bias", () => moe.upcycle(new Holder(dense), sparse(unbiased)), 'upcycle: "part": hidden bias is missing in the experts, float32 [4] in the dense layer'],
  ];
  for (const [what, attempt, message] of cases) it(`are refused: ${what}`, () => expect(attempt).to.throw(message));
});
