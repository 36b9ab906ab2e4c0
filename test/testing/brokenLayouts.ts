/**
 * Bugs of distributed training that others had, each as one overridden method of the run that the laws of layouts hold. Threads are cited as
 * they were read.
 */
import { fullLike, key, noGrad, scope, tensor } from "../../src/index.ts";
import type { Key, Tensor } from "../../src/index.ts";
import { globalBalance, globalSum, openShards, restoreShards } from "../../src/distributed/index.ts";
import type { ExpertShare } from "../../src/distributed/index.ts";
import { crossEntropy } from "../../src/nn/index.ts";
import type { Routing } from "../../src/moe/index.ts";
import type { Pass } from "../../src/nn/index.ts";
import { LayoutRun } from "../../src/testing/index.ts";
import { CLIP } from "../../src/testing/layouts/run.ts";
import { BALANCE, passOf } from "../../src/testing/layouts/cases.ts";
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

/** The balance loss over the global batch, divided by the number of ranks once more. Megatron#3672, PR#3769. */
export class GlobalBalanceTooSmall extends LayoutRun {
  protected override loss(shard: Shard, out: ReturnType<LayoutModel["forward"]>, all: number): Tensor {
    const { size } = this.layout.world;
    const whole = super.loss(shard, out, all);
    return this.case.balance === "global" ? whole.add(globalBalance(out.routing, this.layout.world, BALANCE).mul(1 / size - 1)) : whole;
  }
}

/** Every shard adds its auxiliary losses whole: they grow with the number of shards. megablocks#85. */
export class AuxiliaryOfEveryShard extends LayoutRun {
  protected override loss(shard: Shard, out: ReturnType<LayoutModel["forward"]>, all: number): Tensor {
    return Object.values(out.losses).reduce((sum, loss) => sum.add(loss.mul(1 - shard.tokens / all)), super.loss(shard, out, all));
  }
}

/** Each rank clips what all hold by a norm with its own experts in it. Automodel#3816. */
export class ClipByOwnExperts extends LayoutRun {
  protected override move(norm: Tensor): void {
    const squares = noGrad(() => scope(() => this.model.parameters().map(({ grad }) => grad?.square().sum().itemSync() ?? 0)));
    const own = Math.sqrt(squares.reduce((sum, part) => sum + part, 0));
    scaleGradients(this, "all", Math.min(1, CLIP / (own + 1e-6)));
    scaleGradients(this, "experts", Math.min(1, CLIP / (norm.itemSync() + 1e-6)));
    super.move(fullLike(norm, 0));
  }
}

/** The router's gradient is what this rank's tokens say, never summed. transformers PR#48205. */
export class ScoresNotReduced extends LayoutRun {
  protected override reduce(): void {
    const own = this.model.sparse.router.parameters().map(({ grad }) => grad?.detach().mul(1).persist() ?? null);
    super.reduce();
    this.model.sparse.router.parameters().forEach(({ grad }, i) => {
      const kept = own[i];
      if (kept) grad?.assign(kept);
    });
  }
}

/** Experts are taken for dense layers: the gradients of different experts are summed. Megatron#1628. */
export class ExpertsReducedAsDense extends LayoutRun {
  protected override reduce(): void {
    super.reduce();
    for (const { by, parameter } of this.replicas.held) {
      if (by !== "experts" || !parameter.grad) continue;
      const sum = this.layout.experts.allReduce(Float64Array.from(parameter.grad.dataSync()));
      parameter.grad.assign(tensor(sum, { shape: parameter.shape, dtype: "float64" }).cast(parameter.dtype));
    }
  }
}

/** A rank without tokens does not walk back: the others wait for its collectives. Megatron PR#4851, PaddleFormers PR#3010. */
export class NoTokensNoBackward extends LayoutRun {
  #tokens = 0;

  protected override loss(shard: Shard, out: ReturnType<LayoutModel["forward"]>, all: number): Tensor {
    this.#tokens = shard.tokens;
    return super.loss(shard, out, all);
  }

  protected override backward(loss: Tensor): void {
    if (this.#tokens > 0) super.backward(loss);
  }
}

/** Experts that no token chose have no gradient, so that the optimiser passes them over: no decay, no fading of moments. Automodel PR#2995. */
export class UnusedExpertsStandStill extends LayoutRun {
  protected override move(norm: Tensor): void {
    for (const { by, parameter } of this.replicas.held)
      if (by === "experts" && parameter.grad?.dataSync().every((x) => x === 0)) parameter.grad = null;
    super.move(norm);
  }
}

/** A rank with many tokens calls a collective that the others do not. vllm#43547, Megatron#5749. */
export class BranchOnData extends LayoutRun {
  protected override totalTokens(own: number): number {
    if (own > 3) this.layout.world.barrier();
    return super.totalTokens(own);
  }
}

/** What all hold begins differently on each rank. Megatron-Bridge PR#5396. */
export class SharedWeightsByRank extends LayoutRun {
  protected override build(make: MakeExperts): LayoutModel {
    const model = super.build(make);
    noGrad(() => model.last.weight.assign(model.last.weight.mul(1 + this.layout.world.rank)));
    return model;
  }
}

/** All ranks load the first ranks' experts. DeepSpeed#6589, vllm PR#51130. */
export class LoadsFirstExperts extends LayoutRun {
  override load(folder: string): void {
    const checkpoint = openShards(folder);
    const first = { ...checkpoint, read: (name: string, from = 0, to = Infinity) => checkpoint.read(name, 0, to - from) };
    restoreShards(first, this.model, this.replicas, this.optimizer);
  }
}

/** One rank's experts are saved as those of all. KempnerForge#202, UniRL PR#158, verl#2086. */
export class SavesOneRanksExperts extends LayoutRun {
  override async save(folder: string): Promise<void> {
    const { experts } = this.layout;
    for (const { by, parameter } of this.replicas.held)
      if (by === "experts") parameter.assign(tensor(experts.broadcast(Float64Array.from(parameter.dataSync())), { shape: parameter.shape, dtype: "float64" }).cast(parameter.dtype)); // prettier-ignore
    await super.save(folder);
  }
}

/** The moments of the optimiser go to the experts of another rank. DeepSpeed#8147, PR#8198. */
export class MomentsOfOtherExperts extends LayoutRun {
  override load(folder: string): void {
    const checkpoint = openShards(folder);
    const turned = (name: string, from = 0, to = Infinity): Tensor => {
      const [rows] = checkpoint.tensors.get(name)?.shape ?? [];
      if (!name.startsWith("optimizer/") || to === Infinity || rows === undefined) return checkpoint.read(name, from, to);
      const start = to % rows;
      return checkpoint.read(name, start, start + to - from);
    };
    restoreShards({ ...checkpoint, read: turned }, this.model, this.replicas, this.optimizer);
  }
}

/** Weights are marked as loaded and never copied. Automodel PR#2682. */
export class WeightsNeverCopied extends LayoutRun {
  override load(folder: string): void {
    const before = new Map([...this.model.state()].map(([name, of]) => [name, of.detach().mul(1).persist()]));
    super.load(folder);
    this.model.load(before);
  }
}

/** Those that the law of checkpoints sees; the others are seen by the law of one process. */
export const ofCheckpoints = ["LoadsFirstExperts", "SavesOneRanksExperts", "MomentsOfOtherExperts", "WeightsNeverCopied"];
