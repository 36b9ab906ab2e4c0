import { expect } from "chai";
import { key, ones, tensor } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { ShardedExperts, alone } from "switchyard-moe/distributed";
import { Experts, MoE, SwitchRouter } from "switchyard-moe/moe";
import type { Routing } from "switchyard-moe/moe";

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
