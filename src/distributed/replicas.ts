/**
 * Training on many ranks: over which ranks the gradient of each parameter is summed, and the global norm. n ranks, S shards of a step, P = S / n of
 * them on each rank: rank r takes shards r P to (r + 1) P - 1.
 *
 * The loss of a step is the sum over shards: each shard divides by global counts (`globalSum`), and nothing is divided afterwards.
 */
import { check, checkOptions, instance, number, optional, positive, whole } from "../autograd/arguments.ts";
import { noGrad } from "../autograd/context.ts";
import type { TypedArray } from "../autograd/contract.ts";
import { tensor, zeros } from "../autograd/create.ts";
import { concat } from "../autograd/operations.ts";
import { scope } from "../autograd/scope.ts";
import { Storage } from "../autograd/storage.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { aTensor } from "../autograd/arguments.ts";
import { Module } from "../nn/module.ts";
import { requireHost } from "./collectives.ts";
import { aCommunicator } from "./communicator.ts";
import type { Communicator } from "./communicator.ts";
import { accumulate, newLike, total } from "./flat.ts";
import { aLayout } from "./layout.ts";
import type { Layout } from "./layout.ts";
import { ShardedExperts } from "./shardedExperts.ts";

/** Into how many shards a batch is cut, and how gradients travel. */
export interface ReplicasOptions {
  /** S, the number of shards of all ranks together; a multiple of n. Default n. */
  readonly shards?: number;
  /** The most bytes of gradients that one reduction carries. Default 4 MiB. */
  readonly bucketBytes?: number;
}

/** A parameter, and which ranks hold it. */
export interface Held {
  readonly name: string;
  readonly parameter: Tensor;
  /** "all": every rank. "experts": the ranks that hold the same experts. */
  readonly by: "all" | "experts";
}

/**
 * The gradients of a model that many ranks train. In a step each rank calls `backward` with the loss of each of its shards, then `reduce`,
 * and every parameter's `.grad` is the sum over all shards; replicas of a parameter get the same bits.
 *
 * With the world's `ordered` the gradients of shards are kept apart and summed in order of shards: the bits do not depend on n. The
 * constructor throws where the shards do not divide over the ranks.
 */
export class Replicas {
  readonly layout: Layout;
  readonly shards: number;
  readonly held: readonly Held[];
  readonly #bucketBytes: number;
  readonly #experts: readonly { readonly experts: ShardedExperts; readonly parameters: readonly Tensor[] }[];
  /** With `ordered`: for each shard the gradients of the parameters that all ranks hold, and those of the experts. */
  #kept: { readonly all: (Tensor | null)[][]; readonly experts: { shard: number; gradients: readonly (Tensor | null)[] }[] } = {
    all: [],
    experts: [],
  };

  constructor(model: Module, layout: Layout, options: ReplicasOptions = {}) {
    check("Replicas", "model", model, instance(Module, "a Module"));
    check("Replicas", "layout", layout, aLayout);
    checkOptions<ReplicasOptions>("Replicas", options, { shards: optional(whole(1)), bucketBytes: optional(positive) });
    const { size } = layout.world;
    this.layout = layout;
    this.shards = options.shards ?? size;
    if (this.shards % size !== 0) throw new RangeError(`Replicas: ${this.shards} shards do not divide over ${size} ranks`);
    this.#bucketBytes = options.bucketBytes ?? 2 ** 22;
    this.#experts = shardedOf(model).map((experts) => ({ experts, parameters: experts.parameters() }));
    const sharded = new Set(this.#experts.flatMap(({ parameters }) => parameters));
    this.held = model.namedParameters().map(([name, parameter]) => ({ name, parameter, by: sharded.has(parameter) ? "experts" : "all" }));
    for (const { parameter } of this.held) requireHost("Replicas", parameter.backend);
  }

  /** The shards of this rank. */
  get ownShards(): number[] {
    const each = this.shards / this.layout.world.size;
    return Array.from({ length: each }, (_, i) => this.layout.world.rank * each + i);
  }

  /** The backward pass from the loss of one shard, a scalar. Call it for the shards in the order of `ownShards`. Throws where it is no tensor. */
  backward(loss: Tensor): void {
    check("Replicas.backward", "loss", loss, aTensor);
    loss.backward({ release: true });
    if (this.layout.world.ordered) this.#keep();
  }

  /** Puts the gradients of the last shard aside. */
  #keep(): void {
    const part = this.#kept.all.length;
    this.#kept.all.push(this.#of("all").map(({ parameter }) => taken(parameter)));
    const each = this.shards / this.layout.world.size;
    const group = this.layout.experts;
    const firstRank = this.layout.world.rank - group.rank;
    const sources = this.#experts.map(({ experts, parameters }) => experts.takeGradients() ?? [parameters.map(taken)]);
    for (let r = 0; r < group.size; r++)
      this.#kept.experts.push({
        shard: (firstRank + r) * each + part,
        gradients: sources.flatMap((perSource, i) => perSource[r] ?? this.#experts[i].parameters.map(() => null)),
      });
  }

  #of(by: Held["by"]): Held[] {
    return this.held.filter((held) => held.by === by);
  }

  /**
   * Sums the gradients of all shards over the ranks that hold each parameter, into `.grad`. A parameter that no shard used gets zeros.
   * Collective.
   */
  reduce(): void {
    noGrad(() =>
      scope(() => {
        const { world, replicas } = this.layout;
        const parameters = this.#experts.flatMap(({ parameters: own }) => own);
        if (!world.ordered) {
          this.#sum(
            this.#of("all").map(({ parameter }) => parameter),
            world,
            (group) => [group.map(({ grad }) => grad)],
          );
          this.#sum(parameters, replicas, (group) => [group.map(({ grad }) => grad)]);
          return;
        }
        const kept = this.#kept;
        this.#kept = { all: [], experts: [] };
        const all = this.#of("all").map(({ parameter }) => parameter);
        const byShard = kept.experts.toSorted((a, b) => a.shard - b.shard).map(({ gradients }) => gradients);
        this.#sum(all, world, (group) => kept.all.map((gradients) => group.map((p) => gradients[all.indexOf(p)])));
        this.#sum(parameters, replicas, (group) => byShard.map((gradients) => group.map((p) => gradients[parameters.indexOf(p)])));
        for (const g of [...kept.all, ...byShard].flat()) g?.dispose();
      }),
    );
  }

  /** Sums in buckets. `partsOf` returns, for each shard here, the gradients of a bucket's parameters. */
  #sum(
    parameters: readonly Tensor[],
    group: Communicator,
    partsOf: (bucket: readonly Tensor[]) => readonly (readonly (Tensor | null)[])[],
  ): void {
    for (const bucket of bucketsOf(parameters, this.#bucketBytes)) {
      const parts = partsOf(bucket).map((gradients) => flattened(bucket, gradients));
      const sum = sumOver(group, parts);
      let at = 0;
      for (const parameter of bucket) {
        parameter.zeroGrad();
        parameter.grad = sum
          .narrow(0, at, at + parameter.size)
          .reshape(parameter.shape)
          .cast(parameter.dtype)
          .persist();
        at += parameter.size;
      }
    }
  }

  /**
   * The Euclidean norm of all gradients of the model, each expert counted once, the same on every rank: squares are summed by parameter and by
   * expert, and these sums are added in one order, in float64. A scalar for `clipScale`. Collective. Throws before `reduce`.
   */
  gradNorm(): Tensor {
    const first = this.held[0].parameter;
    const sum = noGrad(() => scope(() => this.#squares()));
    return tensor(Math.sqrt(sum), { dtype: first.dtype === "float64" ? "float64" : "float32", backend: first.backend });
  }

  #squares(): number {
    const own = this.#of("all").map(({ parameter }) => squaresOf(parameter, 0));
    const perExpert = this.#of("experts").map(({ parameter }) => squaresOf(parameter, 1)); // [parameters][L]
    const all = this.layout.experts.allGather(Float64Array.from(perExpert.flat())); // [G, parameters, L]
    return total([...own.flat(), ...byExpert(all, this.layout.experts.size, perExpert.length)]);
  }
}

/** [G, parameters, L] in the order of one process: [parameters, E]. */
function byExpert(all: Float64Array, ranks: number, parameters: number): number[] {
  const each = parameters > 0 ? all.length / ranks / parameters : 0;
  const start = (r: number, p: number): number => (r * parameters + p) * each;
  return Array.from({ length: parameters }, (_, p) =>
    Array.from({ length: ranks }, (_r, r) => Array.from(all.subarray(start(r, p), start(r, p) + each))),
  ).flat(2);
}

/** Sums of squares of a gradient: one number, or one for each index of the first axis. */
function squaresOf({ grad }: Tensor, axes: 0 | 1): number[] {
  if (!grad) throw new ReferenceError("Replicas.gradNorm: a parameter has no gradient; call reduce() first");
  const squares = grad.atLeast("float32").square();
  const rest = squares.shape.flatMap((_, axis) => (axis < axes ? [] : [axis]));
  return Array.from(squares.sum(rest).dataSync());
}

/** The gradient, taken away from its parameter. */
function taken(parameter: Tensor): Tensor | null {
  const { grad } = parameter;
  parameter.grad = null;
  return grad;
}

function shardedOf(model: Module): ShardedExperts[] {
  return [...new Set(model.namedModules().flatMap(([, module]) => (module instanceof ShardedExperts ? [module] : [])))];
}

/** The parameters in order, cut into lists of one dtype and of at most `bytes`, or of one parameter. */
function bucketsOf(parameters: readonly Tensor[], bytes: number): Tensor[][] {
  const buckets: Tensor[][] = [];
  let filled = Infinity;
  for (const parameter of parameters) {
    const size = parameter.size * (parameter.dtype === "float64" ? 8 : 4); // as it is sent
    const last = buckets.at(-1);
    if (last && filled + size <= bytes && last[0].dtype === parameter.dtype) last.push(parameter);
    else buckets.push([parameter]);
    filled = buckets.at(-1)?.length === 1 ? size : filled + size;
  }
  return buckets;
}

/**
 * One gradient after the other, flat, in at least float32 (sums of bfloat16 are rounded once, at the end); zeros where there is none, so that every
 * rank sends the same amount in every step.
 */
function flattened(bucket: readonly Tensor[], gradients: readonly (Tensor | null)[]): Tensor {
  const all = bucket.map((p, i) => (gradients[i] ?? zeros(p.shape, { dtype: p.dtype, backend: p.backend })).reshape([p.size]));
  return concat(all).atLeast("float32");
}

/** The sum of all parts of all ranks, by rank and part where the communicator is ordered. */
function sumOver(group: Communicator, parts: readonly Tensor[]): Tensor {
  const [first] = parts;
  const { backend } = first;
  requireHost("Replicas", backend);
  const sum = (out: TypedArray, ...given: TypedArray[]): void => {
    if (group.ordered) return sumInOrder(group, out, given);
    out.set(given[0]);
    group.allReduce(out);
  };
  const buffer = backend.onHost?.("sumGradients", first, parts, sum);
  if (!buffer) throw new TypeError(`Replicas: the backend ${backend.name} has no host memory`);
  return first.wrap(first, new Storage(backend, buffer));
}

/** Each rank sums one stretch of all parts of all ranks, in order, and gives it to all. */
function sumInOrder(group: Communicator, out: TypedArray, parts: readonly TypedArray[]): void {
  const { size, rank } = group;
  const most = Math.ceil(out.length / size);
  const stretch = (x: TypedArray, r: number): TypedArray => x.subarray(Math.min(x.length, r * most), Math.min(x.length, (r + 1) * most));
  const lengths = Array.from({ length: size }, (_, r) => stretch(out, r).length);
  const send = newLike(out, parts.length * out.length);
  let at = 0;
  for (let r = 0; r < size; r++)
    for (const part of parts) {
      send.set(stretch(part, r), at);
      at += lengths[r];
    }
  const own = lengths[rank];
  const counts = new Array<number>(size).fill(parts.length * own);
  const arrived = group.allToAllV(
    send,
    lengths.map((n) => parts.length * n),
    counts,
  );
  const sum = newLike(out, most);
  const used = sum.subarray(0, own);
  used.set(arrived.subarray(0, own));
  for (let i = 1; i < size * parts.length; i++) accumulate(used, arrived, i * own, "sum");
  out.set(group.allGather(sum).subarray(0, out.length));
}

/**
 * The sum of a number over all ranks: tokens of a step, for losses that every token weighs equally. Exact for whole numbers. Throws where
 * `n` is no number.
 */
export function globalSum(n: number, communicator: Communicator): number {
  check("globalSum", "n", n, number);
  check("globalSum", "communicator", communicator, aCommunicator);
  return communicator.allReduce(Float64Array.of(n))[0];
}
