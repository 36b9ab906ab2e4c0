/**
 * Bugs of distributed training that others had, each as one overridden method of the run that the laws of layouts hold. Threads are cited as
 * they were read.
 */
import { fullLike, key, noGrad, scope } from "../../src/index.ts";
import type { Key, Tensor } from "../../src/index.ts";
import { globalSum } from "../../src/distributed/index.ts";
import type { ExpertShare } from "../../src/distributed/index.ts";
import { crossEntropy } from "../../src/nn/index.ts";
import type { Routing } from "../../src/moe/index.ts";
import type { Pass } from "../../src/nn/index.ts";
import { LayoutRun } from "../../src/testing/index.ts";
import { CLIP } from "../../src/testing/layouts/run.ts";
import { passOf } from "../../src/testing/layouts/cases.ts";
import type { LayoutModel, MakeExperts, Shard } from "../../src/testing/layouts/cases.ts";

/** Every gradient of those parameters times a number. */
function scaleGradients(run: LayoutRun, by: "all" | "experts", factor: number): void {
  noGrad(() =>
    scope(() => {
      for (const held of run.replicas.held) if (held.by === by) held.parameter.grad?.assign(held.parameter.grad.mul(factor));
    }),
  );
}

/** Expert gradients exactly as many times too large as ranks share the experts. pytorch#160285, DeepSpeed PR#5259, megablocks PR#20. */
export class ExpertGradientsTimesRanks extends LayoutRun {
  protected override reduce(): void {
    super.reduce();
    scaleGradients(this, "experts", this.layout.experts.size);
  }
}

/** The loss times the number of ranks. transformers#48690. */
export class LossTimesWorld extends LayoutRun {
  protected override loss(shard: Shard, out: ReturnType<LayoutModel["forward"]>, all: number): Tensor {
    return super.loss(shard, out, all).mul(this.layout.world.size);
  }
}

/** The mean of each rank's mean, whatever their numbers of tokens. torchtitan PR#2206, transformers#34242. */
export class MeanOfMeans extends LayoutRun {
  protected override loss(shard: Shard, out: ReturnType<LayoutModel["forward"]>): Tensor {
    const own = crossEntropy(out.logits, shard.targets, { reduction: "sum" }).mul(1 / Math.max(1, shard.tokens));
    return Object.values(out.losses).reduce((sum, loss) => sum.add(loss), own).mul(1 / this.case.shards.length); // prettier-ignore
  }
}

/** Clipping by the norm of the experts of this rank alone. ColossalAI#2192, fastmoe#29, Megatron PR#5916. */
export class NormOfLocalExperts extends LayoutRun {
  protected override norm(): Tensor {
    const squares = this.model.parameters().map((parameter) => parameter.grad?.square().sum() ?? fullLike(parameter, 0).sum());
    return noGrad(() => squares.reduce((sum, part) => sum.add(part)).sqrt());
  }
}

/** Norms averaged over ranks. DeepSpeed#8475. */
export class MeanOfNorms extends NormOfLocalExperts {
  protected override norm(): Tensor {
    const own = super.norm();
    return fullLike(own, globalSum(own.itemSync(), this.layout.world) / this.layout.world.size);
  }
}

/** The experts' optimiser clips by their norm, the others' by theirs. Megatron#785. */
export class TwoClips extends LayoutRun {
  protected override move(norm: Tensor): void {
    const all = this.replicas.held.filter(({ by }) => by === "all");
    const squares = noGrad(() => scope(() => all.map(({ parameter }) => parameter.grad?.square().sum().itemSync() ?? 0)));
    const dense = Math.sqrt(squares.reduce((sum, part) => sum + part, 0));
    const experts = Math.sqrt(Math.max(0, norm.itemSync() ** 2 - dense ** 2));
    scaleGradients(this, "all", Math.min(1, CLIP / (dense + 1e-6)));
    scaleGradients(this, "experts", Math.min(1, CLIP / (experts + 1e-6)));
    super.move(fullLike(norm, 0));
  }
}

/** Experts that several groups hold are not reduced. fairseq#4220. */
export class ExpertReplicasNotReduced extends LayoutRun {
  protected override reduce(): void {
    const own = this.replicas.held.map(({ by, parameter }) =>
      by === "experts" ? (parameter.grad?.detach().mul(1).persist() ?? null) : null,
    );
    super.reduce();
    this.replicas.held.forEach(({ parameter }, i) => {
      const grad = own[i];
      if (grad) parameter.grad?.assign(grad);
    });
  }
}

/** Gradients of what all hold are not reduced: replicas drift. torchtitan#2387, Megatron#599. */
export class RouterNotReduced extends LayoutRun {
  protected override reduce(): void {
    const { weight } = this.model.first;
    const own = weight.grad?.detach().mul(1).persist() ?? null;
    super.reduce();
    if (own) weight.grad?.assign(own);
  }
}

/** All ranks draw their experts from one key: the same experts everywhere. fastmoe PR#4. */
export class ExpertsAllAlike extends LayoutRun {
  protected override build(make: MakeExperts): LayoutModel {
    return super.build((setting) => make({ ...setting, share: { ...setting.share, initializer: (whole) => whole } }));
  }
}

/** First weights depend on the rank. modalities PR#426, Megatron-Bridge PR#5396. */
export class WeightsByRank extends LayoutRun {
  protected override expertKey({ first }: ExpertShare): Key {
    return key(this.case.seed).at("rank", first);
  }
}

/** The same noise on all shards. transformers#31412, tt-metal#55947. */
export class SameMaskEverywhere extends LayoutRun {
  protected override passOf(step: number): Pass {
    return passOf(this.case, step, 0);
  }
}

/** Counts of a rank alone move the bias of its router: routers drift. The global counts of the loss-free bias, arXiv:2408.15664. */
export class BiasByOwnCounts extends LayoutRun {
  protected override afterStep(routings: readonly Routing[][]): void {
    noGrad(() => scope(() => this.model.sparse.router.afterStep(...routings.map(([routing]) => routing))));
  }
}
