/** What thread ranks run in the tests beside this file. */
import { gradients, key, random, tensor } from "../../src/index.ts";
import type { Tensor } from "../../src/index.ts";
import type { Communicator, Flat, Reduction } from "../../src/distributed/index.ts";
import { allGatherRows, allReduceSum, allToAllRows, broadcastFrom, reduceScatterRows } from "../../src/distributed/index.ts";

/** The first n ranks run `program`, the others nothing. */
export function among<D extends { readonly ranks: number }, R>(
  program: (group: Communicator, data: D) => R,
): (world: Communicator, data: unknown) => R | null {
  return (world, data) => {
    const group = world.split(world.rank < (data as D).ranks ? 0 : 1);
    return world.rank < (data as D).ranks ? program(group, data as D) : null;
  };
}

export interface CollectiveCase {
  readonly ranks: number;
  /** counts[r][s]: what rank r sends to rank s. */
  readonly counts: readonly (readonly number[])[];
  readonly length: number;
  readonly root: number;
  readonly how: Reduction;
  readonly type: "Float32Array" | "Float64Array" | "Int32Array";
}

const types = { Float32Array, Float64Array, Int32Array } as const;

/** Whole numbers, so that sums are exact: of sender, receiver and place. */
export function sent(type: CollectiveCase["type"], from: number, to: number, length: number): Flat {
  return new types[type](Array.from({ length }, (_, i) => 100 * from + 10 * to + i));
}

/** Every collective once. */
export const collectives = among((group, { counts, length, root, how, type }: CollectiveCase) => {
  const { rank, size } = group;
  const Type = types[type];
  const join = (parts: readonly Flat[]): Flat => Type.from(parts.flatMap((part) => Array.from(part)));
  const to = Array.from({ length: size }, (_, s) => s);
  const even = join(to.map((s) => sent(type, rank, s, length)));
  return {
    allToAll: Array.from(group.allToAll(even)),
    allToAllV: Array.from(
      group.allToAllV(
        join(to.map((s) => sent(type, rank, s, counts[rank][s]))),
        counts[rank],
        to.map((s) => counts[s][rank]),
      ),
    ),
    allGather: Array.from(group.allGather(sent(type, rank, 0, length))),
    reduceScatter: Array.from(group.reduceScatter(even)),
    allReduce: Array.from(group.allReduce(sent(type, rank, 0, length), how)),
    broadcast: Array.from(group.broadcast(sent(type, rank, 0, length), root)),
    groups: Array.from(group.split(rank % 2, size - rank).allGather(Int32Array.of(rank))),
  };
});

type Crossing = (x: Tensor, group: Communicator) => Tensor;

/** Rows of rank r: r + 1 of them, or what divides. */
const crossings: Record<string, { rows: (rank: number, size: number) => number; apply: Crossing }> = {
  allToAllRows: {
    rows: (rank, size) => size * (rank + 1),
    apply: (x, group) =>
      allToAllRows(x, group, {
        send: Array.from({ length: group.size }, () => group.rank + 1),
        receive: Array.from({ length: group.size }, (_, r) => r + 1),
      }),
  },
  allGatherRows: { rows: () => 2, apply: allGatherRows },
  reduceScatterRows: { rows: (_, size) => 2 * size, apply: reduceScatterRows },
  allReduceSum: { rows: () => 3, apply: allReduceSum },
  broadcastFrom: { rows: () => 2, apply: (x, group) => broadcastFrom(x, group, group.size - 1) },
};

export const crossingNames = Object.keys(crossings);

/**
 * The loss of all ranks, sum_r sum sin(c_r y_r), moved along a random direction: its first and second derivative by the tape against
 * differences. Answers with [tape, difference] of either order.
 */
export const derivatives = among((group, { name }: { readonly ranks: number; readonly name: string }) => {
  const { rows, apply } = crossings[name];
  const at = key(5).at(name, group.rank);
  const shape = [rows(group.rank, group.size), 2];
  const draw = (part: string): Tensor => random.normal(shape, at.at(part), { dtype: "float64" });
  const [start, direction] = [draw("x"), draw("direction")];
  const sum = (x: number): number => group.allReduce(Float64Array.of(x))[0];
  const leaf = (step: number): Tensor =>
    tensor(Float64Array.from(start.add(direction.mul(step)).dataSync()), { shape, requiresGrad: true });
  const lossOf = (x: Tensor): Tensor => {
    const y = apply(x, group);
    return y
      .mul(random.normal(y.shape, at.at("c"), { dtype: "float64" }))
      .sin()
      .sum();
  };
  const value = (step: number): number => sum(lossOf(leaf(step)).itemSync());
  const slope = (step: number): Tensor => {
    const x = leaf(step);
    const [g] = gradients(lossOf(x), [x], { createGraph: true });
    return g.mul(direction).sum();
  };
  const curvature = (): Tensor => {
    const x = leaf(0);
    const [g] = gradients(lossOf(x), [x], { createGraph: true });
    const [h] = gradients(g.mul(direction).sum(), [x]);
    return h.mul(direction).sum();
  };
  const step = 1e-4;
  return [
    [sum(slope(0).itemSync()), (value(step) - value(-step)) / (2 * step)],
    [sum(curvature().itemSync()), (sum(slope(step).itemSync()) - sum(slope(-step).itemSync())) / (2 * step)],
  ];
});

// What goes wrong

/** Rank 1 calls something else than the others. */
export function disagrees(world: Communicator, data: unknown): void {
  const one = world.rank === 1;
  if (data === "name") one ? world.barrier() : world.allReduce(new Float32Array(3));
  if (data === "size") world.allReduce(new Float32Array(one ? 4 : 3));
  if (data === "type") world.allGather(one ? new Float64Array(3) : new Float32Array(3));
  if (data === "root") world.broadcast(new Float32Array(3), one ? 1 : 0);
  if (data === "counts") world.allToAllV(new Float32Array(1), one ? [1, 0] : [0, 1], [0, 0]);
  if (data === "end" && !one) world.barrier();
}

export function throws(world: Communicator): void {
  world.beginStep(7);
  world.allReduce(new Float32Array(5));
  if (world.rank === 1) throw new RangeError("no such token");
  for (;;) world.barrier();
}

export function leaves(world: Communicator): void {
  if (world.rank === 1) process.exit(3);
  world.barrier();
}

/** Rank 1 is busy with something else. */
export function comesLate(world: Communicator): void {
  if (world.rank === 1) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000);
  world.barrier();
}

export function throwsText(): never {
  // eslint-disable-next-line @typescript-eslint/only-throw-error
  throw "only words";
}

export const returnsFunction = (): unknown => () => 0;

export const answersLater = (_: Communicator, data: unknown): Promise<unknown> => Promise.resolve(data);
