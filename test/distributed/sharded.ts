/** Experts over thread ranks, and what one process with all of them does: rows as they come, no router. */
import { key, random, tensor } from "../../src/index.ts";
import type { Tensor } from "../../src/index.ts";
import { ShardedExperts, alone } from "../../src/distributed/index.ts";
import type { Communicator } from "../../src/distributed/index.ts";
import { FeedForwardExperts } from "../../src/moe/index.ts";
import { evenLayout, sortedLayout } from "../../src/moe/routing.ts";
import { initializers } from "../../src/nn/index.ts";
import { among } from "./programs.ts";

/** E experts, n ranks, D width. */
export interface ShardedCase {
  readonly ranks: number;
  readonly experts: number;
  /** counts[r][e]: rows of rank r for expert e. As slots they are padded to equally many of each expert. */
  readonly counts: readonly (readonly number[])[];
  readonly rows: "sorted" | "slots";
  /** Rows beyond those of any expert. */
  readonly spare: number;
  readonly dropout?: number;
}

const D = 2;

export interface Outcome {
  readonly output: number[];
  readonly gradient: number[];
  /** By name: of the experts here. */
  readonly parameters: Record<string, number[]>;
}

/** One rank's rows through the experts of its group: output, gradient of the rows, and gradients of the parameters here. */
export function outcome(communicator: Communicator, c: ShardedCase, rank = communicator.rank): Outcome {
  const experts = new ShardedExperts({
    communicator,
    experts: c.experts,
    make: ({ count, initializer }) =>
      new FeedForwardExperts({ experts: count, width: D, hidden: 3, random: key(1), dtype: "float64", initializer: initializer(initializers.normal(1)), dropout: c.dropout ?? 0 }), // prettier-ignore
  });
  const rows = rowsOf(c, rank);
  const pass = { training: c.dropout !== undefined, random: key(2) };
  const { counts } = c;
  const offsets = counts[rank].reduce((ends, n) => [...ends, ends[ends.length - 1] + n], [0]);
  const filled = tensor(Int32Array.from(counts[rank]), { shape: [c.experts, 1] });
  const layout = c.rows === "sorted" ? sortedLayout(c.experts, rows.shape[0], tensor(Int32Array.from(offsets))) : evenLayout(c.experts, rows.shape[1], rows.shape[1] > 0 ? filled : null); // prettier-ignore
  const output = experts.forward(rows, layout, pass);
  output.square().sum().backward();
  return { output: listOf(output), gradient: listOf(rows.grad), parameters: gradientsOf(experts) };
}

/** [M, D] or [E, N, D]: random where a row is in use, else 0. */
function rowsOf({ counts, rows, experts, spare }: ShardedCase, rank: number): Tensor {
  const own = counts[rank];
  const used = own.reduce((a, b) => a + b, 0);
  const most = Math.max(...own) + spare;
  const shape = rows === "sorted" ? [used + spare, D] : [experts, most, D];
  const drawn = random.normal(shape, key(7).at(rank), { dtype: "float64" }).dataSync();
  const isUsed = (row: number): boolean => (rows === "sorted" ? row < used : row % most < own[Math.floor(row / most)]);
  return tensor(
    Float64Array.from(drawn, (x, i) => (isUsed(Math.floor(i / D)) ? x : 0)),
    { shape, requiresGrad: true },
  );
}

/** Those of the rows of all ranks together, where they were kept apart too. */
function gradientsOf(experts: ShardedExperts): Outcome["parameters"] {
  const apart = experts.takeGradients();
  const names = experts.namedParameters();
  const sum = (lists: readonly number[][]): number[] => lists.reduce((a, b) => a.map((x, i) => x + b[i]));
  return Object.fromEntries(
    names.map(([name, { grad }], i) => [name, apart ? sum(apart.map((source) => listOf(source[i]))) : listOf(grad)]),
  );
}

const listOf = (x: Tensor | null): number[] => Array.from(x?.dataSync() ?? []);

export const sharded = among((group, c: ShardedCase) => outcome(group, c));

/** What each rank should get, and the gradients of all E experts. */
export function inOneProcess(c: ShardedCase): { ranks: Outcome[]; parameters: Outcome["parameters"] } {
  const ranks = Array.from({ length: c.ranks }, (_, r) => outcome(alone(), c, r));
  const sum = (name: string): number[] =>
    ranks[0].parameters[name].map((_, i) => ranks.reduce((x, { parameters }) => x + parameters[name][i], 0));
  return { ranks, parameters: Object.fromEntries(Object.keys(ranks[0].parameters).map((name) => [name, sum(name)])) };
}
