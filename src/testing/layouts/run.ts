/**
 * The same three steps of training, twice: on many ranks, by the parts of `switchyard-moe/distributed`; and in one process over the same shards,
 * by plain loops that share no code with them.
 */
import { callable, check, oneOf, whole } from "../../autograd/arguments.ts";
import { aCommunicator } from "../../distributed/communicator.ts";
import { scope } from "../../index.ts";
import type { Tensor } from "../../index.ts";
import {
  Replicas,
  SharedState,
  ShardedExperts,
  afterGlobalStep,
  globalBalance,
  gatherUneven,
  globalSum,
  layoutOf,
  openShards,
  restoreShards,
  saveShards,
  wholeState,
} from "../../distributed/index.ts";
import type { Communicator, ExpertShare, Layout } from "../../distributed/index.ts";
import type { Routing } from "../../moe/index.ts";
import { afterStep } from "../../moe/index.ts";
import type { OptimizerState } from "../../nn/index.ts";
import { AdamW, clipScale, crossEntropy, gradNorm } from "../../nn/index.ts";
import { BALANCE, LayoutModel, checkCase, expertKey, passOf, shardOf } from "./cases.ts";
import type { LayoutCase, MakeExperts, Shard } from "./cases.ts";
import { D, F } from "./sizes.ts";

export type Precision = "float32" | "float64";
export const STEPS = 3;
export const CLIP = 0.5;
export const ADAM = { lr: 0.05, weightDecay: 0.01 } as const;

/** Numbers by name. */
export type Numbers = Record<string, readonly number[]>;

/** What the ranks are held to. Tensors of experts are whole, [E, ...]. */
export interface LayoutResult {
  /** Logits of the shards of this rank, by step and shard. */
  readonly outputs: Numbers;
  /** By step: the loss of all ranks and the norm before clipping. */
  readonly losses: readonly number[];
  readonly norms: readonly number[];
  /** Of the first step, summed over shards. */
  readonly gradients: Numbers;
  readonly parameters: Numbers;
  readonly state: Numbers;
  /** Tokens of each expert that the shards of this rank chose in the first step. */
  readonly chosen: readonly number[];
}

/** Three steps on this rank. Broken variants override one method. The constructor throws for a case that is none. */
export class LayoutRun {
  readonly case: LayoutCase;
  readonly precision: Precision;
  readonly layout: Layout;
  readonly model: LayoutModel;
  readonly replicas: Replicas;
  readonly shared: SharedState | null;
  readonly optimizer: AdamW;
  /** Milliseconds that each rank sleeps in each part of a step. */
  delays: readonly number[] = [];

  constructor(c: LayoutCase, world: Communicator, precision: Precision, make: MakeExperts) {
    checkCase("LayoutRun", c);
    check("LayoutRun", "world", world, aCommunicator);
    check("LayoutRun", "precision", precision, oneOf("float32", "float64"));
    check("LayoutRun", "make", make, callable);
    this.case = c;
    this.precision = precision;
    this.layout = layoutOf(world, { expertsOver: Math.min(c.expertsOver, world.size) });
    this.model = this.build(make);
    this.replicas = new Replicas(this.model, this.layout, { shards: c.shards.length, bucketBytes: 100 });
    this.shared = c.sharedState ? new SharedState(this.replicas) : null;
    this.optimizer = new AdamW(this.shared?.own ?? this.model, ADAM);
  }

  protected build(make: MakeExperts): LayoutModel {
    const experts = new ShardedExperts({
      communicator: this.layout.experts,
      experts: this.case.expertsOver * this.case.expertsEach,
      make: (share) => make({ share, width: D, hidden: F, random: this.expertKey(share), dtype: this.precision }),
    });
    return new LayoutModel(this.case, this.precision, experts);
  }

  protected expertKey(_share: ExpertShare): ReturnType<typeof expertKey> {
    return expertKey(this.case);
  }

  protected shardOf(step: number, shard: number): Shard {
    return shardOf(this.case, step, shard, this.precision);
  }

  protected passOf(step: number, shard: number): ReturnType<typeof passOf> {
    return passOf(this.case, step, shard);
  }

  /** The loss of one shard, of which those of all shards are the loss of the step. */
  protected loss(shard: Shard, out: ReturnType<LayoutModel["forward"]>, all: number): Tensor {
    const own = crossEntropy(out.logits, shard.targets, { reduction: "sum" }).mul(1 / all);
    const share = Object.values(out.losses).reduce((sum, loss) => sum.add(loss.mul(shard.tokens / all)), own);
    return this.case.balance === "global" ? share.add(globalBalance(out.routing, this.layout.world, BALANCE)) : share;
  }

  protected totalTokens(own: number): number {
    return Math.max(1, globalSum(own, this.layout.world));
  }

  protected reduce(): void {
    this.replicas.reduce();
  }

  protected norm(): Tensor {
    return this.replicas.gradNorm();
  }

  protected move(norm: Tensor): void {
    this.optimizer.step({ gradScale: clipScale(norm, CLIP) });
    this.shared?.share();
  }

  protected afterStep(routings: readonly Routing[][]): void {
    afterGlobalStep(this.model, this.layout.world, ...routings);
  }

  #sleep(): void {
    const { [this.layout.world.rank]: milliseconds = 0 } = this.delays;
    if (milliseconds > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
  }

  /** Takes one step and returns its numbers. Throws for a step that is no whole number of 0 or more. */
  step(step: number): { outputs: Numbers; loss: number; norm: number; gradients: Numbers; chosen: number[] } {
    check("LayoutRun.step", "step", step, whole());
    const { world } = this.layout;
    world.beginStep(step);
    const shards = this.replicas.ownShards.map((s) => ({ s, shard: this.shardOf(step, s) }));
    const all = this.totalTokens(shards.reduce((sum, { shard }) => sum + shard.tokens, 0));
    const routings: Routing[][] = [];
    const outputs: Record<string, number[]> = {};
    let loss = 0;
    for (const { s, shard } of shards) {
      this.#sleep();
      const out = this.model.forward(shard, this.passOf(step, s));
      const own = this.loss(shard, out, all);
      outputs[`step ${step}, shard ${s}`] = numbers(out.logits);
      loss += own.itemSync();
      this.backward(own);
      routings.push([out.routing]);
    }
    this.#sleep();
    this.reduce();
    const gradients = this.gradients();
    const norm = this.norm();
    this.move(norm);
    this.optimizer.zeroGrad();
    this.model.zeroGrad();
    this.afterStep(routings);
    return { outputs, loss: globalSum(loss, world), norm: norm.itemSync(), gradients, chosen: chosenOf(routings.flat()) };
  }

  protected backward(loss: Tensor): void {
    this.replicas.backward(loss);
  }

  /** Writes a checkpoint, each rank what it holds. Collective. */
  async save(folder: string): Promise<void> {
    const { model, replicas, optimizer } = this;
    await saveShards(folder, { model, replicas, optimizer: optimizer.state() });
  }

  /** Takes up the training from a checkpoint of any layout. Collective. */
  load(folder: string): void {
    restoreShards(openShards(folder), this.model, this.replicas, this.optimizer);
  }

  protected gradients(): Numbers {
    const grads = this.model.namedParameters().map(([name, { grad }]): [string, Tensor] => [name, grad ?? missing(name)]);
    return numbersOf(wholeState(new Map(grads), this.replicas));
  }

  /** Takes `steps` more steps; after a checkpoint was loaded, those that follow it. Throws for more than 1000. */
  run(steps = STEPS): LayoutResult {
    check("LayoutRun.run", "steps", steps, whole(0, 1000));
    const first = this.optimizer.steps;
    const taken = Array.from({ length: steps }, (_, step) => scope(() => this.step(first + step)));
    return {
      outputs: Object.assign({}, ...taken.map(({ outputs }) => outputs)) as Numbers,
      losses: taken.map(({ loss }) => loss),
      norms: taken.map(({ norm }) => norm),
      gradients: taken[0]?.gradients ?? {},
      chosen: taken[0]?.chosen ?? [],
      ...this.held(),
    };
  }

  /** Parameters, and the state of the optimiser. */
  held(): Pick<LayoutResult, "parameters" | "state"> {
    const { tensors } = this.optimizer.state();
    return scope(() => ({
      parameters: numbersOf(wholeState(this.model.state(), this.replicas)),
      state: this.shared ? this.#ofAllOwners(numbersOf(tensors)) : numbersOf(wholeState(tensors, this.replicas)),
    }));
  }

  /** State that is shared out: each rank tells what it keeps. Parts of experts follow each other in the order of the ranks that hold them. */
  #ofAllOwners(own: Numbers): Numbers {
    const { world, experts } = this.layout;
    const told = new TextEncoder().encode(JSON.stringify({ place: experts.rank, own }));
    const parts = gatherUneven(told, world).map((bytes) => JSON.parse(new TextDecoder().decode(bytes)) as { place: number; own: Numbers });
    const sorted = parts.toSorted((a, b) => a.place - b.place);
    const names = new Set(sorted.flatMap((part) => Object.keys(part.own)));
    return Object.fromEntries([...names].map((name) => [name, sorted.flatMap((part) => part.own[name] ?? [])]));
  }
}

/** How often each expert was chosen. */
function chosenOf(routings: readonly Routing[]): number[] {
  const experts = routings[0]?.layout.experts ?? 0;
  const choices = routings.flatMap(({ books }) => numbers(books.expertOfChoice));
  return Array.from({ length: experts }, (_, e) => choices.filter((choice) => choice === e).length);
}

function missing(name: string): never {
  throw new ReferenceError(`"${name}" has no gradient`);
}

export function numbersOf(tensors: ReadonlyMap<string, Tensor>): Numbers {
  return Object.fromEntries([...tensors].map(([name, tensor]) => [name, numbers(tensor)]));
}

const numbers = (x: Tensor): number[] => Array.from(x.dataSync());

/** The same in one process, shard after shard. */
export function oneProcess(c: LayoutCase, precision: Precision, make: MakeExperts): LayoutResult {
  const count = c.expertsOver * c.expertsEach;
  const share: ExpertShare = { first: 0, count, initializer: (whole) => whole };
  const model = new LayoutModel(c, precision, make({ share, width: D, hidden: F, random: expertKey(c), dtype: precision }));
  const optimizer = new AdamW(model, ADAM);
  const outputs: Record<string, number[]> = {};
  const [losses, norms]: number[][] = [[], []];
  let gradients: Numbers = {};
  let chosen: number[] = [];
  for (let step = 0; step < STEPS; step++)
    scope(() => {
      const shards = c.shards.map((_, s) => shardOf(c, step, s, precision));
      const all = Math.max(
        1,
        shards.reduce((sum, { tokens }) => sum + tokens, 0),
      );
      const out = shards.map((shard, s) => model.forward(shard, passOf(c, step, s)));
      const parts = shards.map((shard, s) =>
        Object.values(out[s].losses).reduce(
          (sum, loss) => sum.add(loss.mul(shard.tokens / all)),
          crossEntropy(out[s].logits, shard.targets, { reduction: "sum" }).mul(1 / all),
        ),
      );
      const aux =
        c.balance === "global"
          ? [
              balanceOfAll(
                out.map(({ routing }) => routing),
                all,
              ),
            ]
          : [];
      const loss = [...parts, ...aux].reduce((sum, part) => sum.add(part));
      out.forEach(({ logits }, s) => (outputs[`step ${step}, shard ${s}`] = numbers(logits)));
      losses.push(loss.itemSync());
      loss.backward();
      for (const parameter of model.parameters()) if (!parameter.grad) parameter.accumulateGrad(parameter.detach().mul(0));
      const norm = gradNorm(model.parameters());
      norms.push(norm.itemSync());
      if (step === 0) chosen = chosenOf(out.map(({ routing }) => routing));
      if (step === 0)
        gradients = numbersOf(new Map(model.namedParameters().flatMap(([name, { grad }]) => (grad ? [[name, grad] as const] : []))));
      optimizer.step({ gradScale: clipScale(norm, CLIP) });
      optimizer.zeroGrad();
      afterStep(model, ...out.map(({ routing }) => [routing]));
    });
  return { outputs, losses, norms, gradients, chosen, parameters: numbersOf(model.state()), state: stateOf(optimizer.state()) };
}

function stateOf({ tensors }: OptimizerState): Numbers {
  return numbersOf(tensors);
}

/** E sum f P over the tokens of all shards: f counted on the host, P summed over shards. */
function balanceOfAll(routings: readonly Routing[], tokens: number): Tensor {
  const experts = routings[0].books.probs.shape[1];
  const chosen = routings.flatMap(({ books }) => Array.from(books.expertOfChoice.dataSync()));
  const choices = routings[0].books.expertOfChoice.shape[1];
  const f = Array.from({ length: experts }, (_, e) => chosen.filter((x) => x === e).length / (tokens * choices));
  const parts = routings.map(({ books: { probs, real } }) => {
    const weighed = real ? probs.mul(real.cast(probs.dtype).unsqueeze(1)) : probs;
    return weighed.sum(0).split(experts).map((p, e) => p.sum().mul(f[e])).reduce((sum, p) => sum.add(p)); // prettier-ignore
  });
  return parts.reduce((sum, p) => sum.add(p)).mul((BALANCE * experts) / tokens);
}
