/** What thread ranks of the lessons run. */
import { noGrad, scope } from "switchyard-moe";
import { threads } from "switchyard-moe/distributed";
import type { Communicator } from "switchyard-moe/distributed";
import { LayoutRun, layoutProgram } from "switchyard-moe/testing";
import type { LayoutCase } from "switchyard-moe/testing";

/** The run of the laws of layouts, as it is. */
export class RightRun extends LayoutRun {}

/** Multiplies the gradients of experts by the number of ranks that share them. */
export class ExpertGradientsTimesRanks extends LayoutRun {
  protected override reduce(): void {
    super.reduce();
    const { size } = this.layout.experts;
    noGrad(() =>
      scope(() => {
        for (const { by, parameter } of this.replicas.held) if (by === "experts") parameter.grad?.assign(parameter.grad.mul(size));
      }),
    );
  }
}

/** Two ranks that share four experts. */
const twoRanks: LayoutCase = {
  seed: 1,
  ranks: 2,
  expertsOver: 2,
  expertsEach: 2,
  router: "switch",
  factor: 1.25,
  shards: [3, 3],
  padding: [0, 0],
  balance: "rank",
  sharedState: false,
};

export function program(world: Communicator, data: unknown): ReturnType<typeof layoutProgram> {
  return layoutProgram(world, data);
}

/** The loss of each step of one of the runs above, on two threads. */
export async function lossesOf(name: "RightRun" | "ExpertGradientsTimesRanks", steps: number): Promise<readonly number[]> {
  const module = import.meta.url;
  const order = { case: twoRanks, precision: "float32", backend: "cpu", steps, make: null, variant: { module, export: name }, delays: [], save: null, load: null }; // prettier-ignore
  const [first] = await threads(2, { module, export: "program", data: order });
  return (first as NonNullable<Awaited<ReturnType<typeof layoutProgram>>>).losses;
}
