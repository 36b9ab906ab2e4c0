/** Experts over ranks against one process that has them all: rows sorted or in slots, none for a rank or an expert, spare rows at the end. */
import { expect } from "chai";
import fc from "fast-check";
import { key, ones, tensor } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { ShardedExperts, ThreadWorld, alone } from "switchyard-moe/distributed";
import { Experts, FeedForwardExperts, MoE, SwitchRouter } from "switchyard-moe/moe";
import type { Routing } from "switchyard-moe/moe";
import { close } from "../../src/testing/check.ts";
import { inOneProcess } from "./sharded.ts";
import type { Outcome, ShardedCase } from "./sharded.ts";

const module = new URL("sharded.ts", import.meta.url).href;

const cases: fc.Arbitrary<ShardedCase> = fc
  .record({ ranks: fc.integer({ min: 2, max: 3 }), each: fc.integer({ min: 1, max: 2 }) })
  .chain(({ ranks, each }) =>
    fc.record({
      ranks: fc.constant(ranks),
      experts: fc.constant(ranks * each),
      counts: fc.array(fc.array(fc.nat(3), { minLength: ranks * each, maxLength: ranks * each }), { minLength: ranks, maxLength: ranks }),
      rows: fc.constantFrom("sorted" as const, "slots" as const),
      spare: fc.nat(1),
    }),
  );

describe("experts over ranks", function () {
  this.timeout(120_000);
  let world: ThreadWorld;
  before(async () => (world = await ThreadWorld.start(3)));
  after(() => world.close());

  for (const ordered of [false, true])
    it(`give outputs and gradients of one process${ordered ? ", rank by rank" : ""}`, async () => {
      await fc.assert(
        fc.asyncProperty(cases, async (c) => {
          const wanted = inOneProcess(c);
          const got = (await world.run({ module, export: "sharded", data: c }, { ordered })) as (Outcome | null)[];
          got.slice(0, c.ranks).forEach((outcome, r) => {
            if (!outcome) return expect.fail("a rank gave nothing");
            close(outcome.output, wanted.ranks[r].output, `output of rank ${r}`, 1e-12);
            close(outcome.gradient, wanted.ranks[r].gradient, `gradient of the rows of rank ${r}`, 1e-12);
            for (const [name, all] of Object.entries(wanted.parameters)) {
              const share = all.length / c.ranks;
              close(outcome.parameters[name], all.slice(r * share, (r + 1) * share), `gradient of ${name} on rank ${r}`, 1e-12);
            }
          });
        }),
        { numRuns: 20 },
      );
    });

  it("refuse dropout in training, which would depend on the layout, but not in a world of one", async () => {
    const c: ShardedCase = { ranks: 2, experts: 2, counts: [[3, 3], [3, 3]], rows: "sorted", spare: 0, dropout: 0.2 }; // prettier-ignore
    const told = await world.run({ module, export: "sharded", data: c }).then(() => "it ran", String);
    expect(told).to.match(/ShardedExperts: the experts draw random numbers \(dropout\), which would depend on the layout/);
    expect(inOneProcess({ ...c, ranks: 1 }).ranks[0].output.some((x) => x !== 0)).to.equal(true);
  });

  it("refuse what make returns, unless it is the experts of this rank", () => {
    const make = (experts: number) => () => new FeedForwardExperts({ experts, width: 2, hidden: 2, random: key(1) });
    const sharded = (made: () => Experts) => () => new ShardedExperts({ communicator: alone(), experts: 2, make: made });
    expect(sharded(make(2))).to.not.throw();
    expect(sharded(make(3))).to.throw(RangeError, "ShardedExperts: make returned 3 experts: want the 2 of this rank");
    expect(sharded(() => [] as never)).to.throw(TypeError, "ShardedExperts: make returned no Experts");
    class Odd extends Experts {
      readonly count = 2;
      readonly shared = ones([3, 2], { requiresGrad: true });
      forward(rows: Tensor): Tensor {
        return rows;
      }
    }
    expect(sharded(() => new Odd())).to.throw(RangeError, 'parameter "shared" [3, 2]: want the 2 experts of this rank as first axis');
  });
});

type RowLayout = Routing["layout"];

/** Scales the rows of its experts twice; holds what it scales by as it is told. */
class Scales<H> extends Experts {
  readonly count = 2;
  readonly held: H;
  readonly #of: (held: H) => Tensor[];

  constructor(held: H, of: (held: H) => Tensor[]) {
    super();
    this.held = held;
    this.#of = of;
  }

  forward(rows: Tensor, layout: RowLayout): Tensor {
    return this.#of(this.held).reduce((x, scale) => x.mul(layout.spread(scale)), rows);
  }
}

const scale = (value: number): Tensor => ones([2, 3]).mul(value).detach().requireGrad();

describe("experts whose gradients are kept apart by rank", () => {
  const holders: Record<string, () => Experts> = {
    "an array": () => new Scales([scale(2), scale(3)], (held) => held),
    "a Map": () => new Scales(new Map([["a", scale(2)], ["b", scale(3)]]), (held) => [...held.values()]), // prettier-ignore
    "an object": () => new Scales({ a: scale(2), b: scale(3) }, ({ a, b }) => [a, b]),
  };
  const gradientsOf = (make: () => Experts, ordered: boolean): (number[] | undefined)[] => {
    const experts = new ShardedExperts({ communicator: alone({ ordered }), experts: 2, make });
    const before = [...experts.state().values()];
    const layer = new MoE({ router: new SwitchRouter({ width: 3, experts: 2, random: key(1) }), experts });
    layer.forward(tensor([[[1, 2, 3], [3, 1, 2]]]), {}, { training: true, random: key(2) }).output.sum().backward(); // prettier-ignore
    expect([...experts.state().values()], "the parameters stand where they stood").to.have.ordered.members(before);
    const gradients = ordered ? experts.takeGradients()?.[0] : experts.parameters().map(({ grad }) => grad);
    return (gradients ?? []).map((gradient) => gradient && [...gradient.dataSync()]).map((list) => list ?? undefined);
  };
  for (const [what, make] of Object.entries(holders))
    it(`have them of parameters in ${what} too`, () => {
      const wanted = gradientsOf(make, false);
      expect(wanted.flat().some((x) => x !== undefined && x !== 0)).to.equal(true);
      expect(gradientsOf(make, true)).to.deep.equal(wanted);
    });
});
