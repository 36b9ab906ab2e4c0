/**
 * Experts spread over the ranks of a group: each rank holds some of them, and the rows of tokens are sent to the ranks of their experts. Router,
 * routing and layer are the same as on one rank.
 * n ranks of the group, E experts, L = E / n of them here, N rows of each expert in G groups, M rows, D and F widths before and after.
 *
 * Slots are sent as blocks whose size follows from shapes; of sorted rows the counts are sent first. Either way there are two exchanges, to the
 * experts and back, and two more in the backward pass, with the counts swapped. Fedus et al. 2021, arXiv:2101.03961, section 5.
 */
import { checkOptions, callable, whole } from "../autograd/arguments.ts";
import { context } from "../autograd/context.ts";
import { formatShape } from "../autograd/contract.ts";
import { tensor } from "../autograd/create.ts";
import { Key } from "../autograd/random.ts";
import { concat, gatherRows } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { Experts, checkForward } from "../moe/experts.ts";
import { evenLayout, sortedLayout } from "../moe/routing.ts";
import type { RowLayout } from "../moe/routing.ts";
import type { Initializer } from "../nn/initializers.ts";
import type { Held } from "../nn/fields.ts";
import { ownTensors } from "../nn/module.ts";
import type { Cost, Module, Pass } from "../nn/module.ts";
import { allToAllRows, requireHost } from "./collectives.ts";
import type { RowCounts } from "./collectives.ts";
import { aCommunicator } from "./communicator.ts";
import type { Communicator } from "./communicator.ts";
import { total } from "./flat.ts";

/** Which of the E experts a rank holds. */
export interface ExpertShare {
  /** Index of the first expert here, among all of them. */
  readonly first: number;
  /** L */
  readonly count: number;
  /** Draws the weights of the experts here as they would be drawn among all E: initial weights do not depend on the layout. */
  initializer(whole: Initializer): Initializer;
}

/** Options of `ShardedExperts`. */
export interface ShardedExpertsOptions {
  /** The group over whose ranks the experts are spread: `layout.experts`. */
  readonly communicator: Communicator;
  /** E; the group's size divides it. */
  readonly experts: number;
  /** Makes the L experts of this rank; the first axis of all their parameters has size L. */
  make(share: ExpertShare): Experts;
}

/** The gradients of the local parameters that came from the rows of one rank, in order of `namedParameters`. */
export type SourceGradients = readonly (Tensor | null)[];

/**
 * Spreads experts over the ranks of a group; any experts whose parameters have E as first axis. Names, state and cost are those of the local experts:
 * a parameter [E, ...] of one process is here [L, ...] under the same name. Experts that draw random numbers (dropout) are refused in training,
 * because a mask would depend on the layout.
 *
 * With an `ordered` communicator the experts compute the rows of each rank separately, and gradients are kept separate too (`takeGradients`), so that
 * `Replicas` sums them in the order of ranks.
 */
export class ShardedExperts extends Experts {
  /** E */
  readonly count: number;
  readonly share: ExpertShare;
  readonly #local: Experts;
  readonly #communicator: Communicator;
  /** By rank of the group: leaves that stand for the parameters while the rows of that rank are computed. */
  #leaves: Tensor[][] = [];

  constructor(options: ShardedExpertsOptions) {
    super();
    checkOptions<ShardedExpertsOptions>("ShardedExperts", options, { communicator: aCommunicator, experts: whole(1), make: callable });
    const { communicator, experts, make } = options;
    const { rank, size } = communicator;
    if (experts % size !== 0) throw new RangeError(`ShardedExperts: ${experts} experts do not divide over ${size} ranks`);
    this.count = experts;
    this.share = shareOf(experts / size, rank);
    this.#communicator = communicator;
    this.#local = make(this.share);
    requireLocal(this.#local, this.share);
  }

  override namedModules(prefix = ""): [string, Module][] {
    return [...this.#local.namedModules(prefix), [prefix, this]];
  }

  override cost(length: number): Cost {
    return this.#local.cost(length);
  }

  /** Gradients since the last call, one list for each rank of the group; null: nothing was recorded, or `ordered` is off. */
  takeGradients(): readonly SourceGradients[] | null {
    if (this.#leaves.length === 0) return null;
    const taken = this.#leaves.map((leaves) => leaves.map(({ grad }) => grad));
    for (const leaf of this.#leaves.flat()) {
      leaf.grad = null;
      leaf.dispose();
    }
    this.#leaves = [];
    return taken;
  }

  forward(rows: Tensor, layout: RowLayout, pass: Pass): Tensor {
    checkForward("ShardedExperts", rows, layout, pass, this.count);
    requireHost("ShardedExperts", rows.backend);
    const drawn = this.#communicator.size > 1 ? { ...pass, random: new ForbiddenKey() } : pass;
    return layout.offsets ? this.#sorted(rows, layout.offsets, drawn) : this.#slots(rows, layout.filled, drawn);
  }

  /** rows [E, N, D], filled [E, G] or null -> [E, N, F]. N and G may differ between ranks. */
  #slots(rows: Tensor, filled: Tensor | null, pass: Pass): Tensor {
    const [E, N, D] = rows.shape;
    const L = this.share.count;
    const sizes = this.#communicator.allGather(Int32Array.of(N, filled?.shape[1] ?? 0)); // [n, 2]
    const each = Array.from({ length: sizes.length / 2 }, (_, r) => sizes[2 * r]); // N of each rank
    const used = this.#filledHere(filled, each.map((_, r) => sizes[2 * r + 1])); // prettier-ignore
    const counts: RowCounts = { send: each.map(() => L * N), receive: each.map((n) => L * n) };
    const arrived = allToAllRows(rows.reshape([E * N, D]), this.#communicator, counts); // rank by rank [L, N, D]
    const parts = cut(arrived, counts.receive).map((part, r) => part.reshape([L, each[r], D]));
    const done = this.#communicator.ordered
      ? this.#bySource(parts, (r) => evenLayout(L, each[r], tableOf(used[r], rows)), pass)
      : this.#together(parts, each, merged(used, each), pass);
    const F = done[0].shape[2];
    const back = concat(done.map((part, r) => part.reshape([L * each[r], F])));
    return allToAllRows(back, this.#communicator, turned(counts)).reshape([E, N, F]);
  }

  /** From each rank, how many of its rows for the experts here hold a token: [L][G of the rank]. */
  #filledHere(filled: Tensor | null, groups: readonly number[]): number[][][] {
    const L = this.share.count;
    const own = Int32Array.from(filled?.dataSync() ?? []);
    const sent = groups.map(() => own.length / groups.length);
    const received = groups.map((G) => L * G);
    const all = this.#communicator.allToAllV(own, sent, received);
    return groups.map((G, r) => {
      const start = total(received.slice(0, r));
      return Array.from({ length: L }, (_, e) => Array.from(all.subarray(start + e * G, start + (e + 1) * G)));
    });
  }

  /** Blocks [L, N, D] of all ranks as one batched product [L, sum of N, D]. */
  #together(parts: readonly Tensor[], each: readonly number[], filled: readonly number[][] | null, pass: Pass): Tensor[] {
    const all = parts.length === 1 ? parts[0] : concat(parts, 1);
    const done = this.#local.forward(all, evenLayout(this.share.count, total(each), tableOf(filled, all)), pass);
    return cut(done, each, 1);
  }

  /** rows [M, D] sorted by expert, offsets [E + 1] -> [M, F]; rows beyond the last offset are empty. */
  #sorted(rows: Tensor, offsets: Tensor, pass: Pass): Tensor {
    const { size } = this.#communicator;
    const L = this.share.count;
    const ends = Array.from(offsets.dataSync());
    const own = ends.slice(1).map((end, e) => end - ends[e]); // rows of each expert, [E]
    const all = this.#communicator.allGather(Int32Array.from(own)); // [n, E]
    const here = Array.from({ length: size }, (_, r) => Array.from(all.subarray(r * this.count + this.share.first).subarray(0, L))); // [n, L]
    const counts: RowCounts = { send: here.map((_, r) => total(own.slice(r * L, (r + 1) * L))), receive: here.map(total) };
    const used = ends[this.count];
    const arrived = allToAllRows(rows.narrow(0, 0, used), this.#communicator, counts);
    const done = this.#communicator.ordered ? this.#sortedBySource(arrived, here, pass) : this.#sortedTogether(arrived, here, pass);
    return allToAllRows(done, this.#communicator, turned(counts)).pad([[0, rows.shape[0] - used]]);
  }

  #sortedBySource(arrived: Tensor, here: readonly (readonly number[])[], pass: Pass): Tensor {
    const parts = cut(arrived, here.map(total));
    return concat(this.#bySource(parts, (r) => sortedOf(here[r], arrived), pass));
  }

  /** Rows of all ranks, sorted by expert, then by rank. */
  #sortedTogether(arrived: Tensor, here: readonly (readonly number[])[], pass: Pass): Tensor {
    const perExpert = here[0].map((_, e) => total(here.map((counts) => counts[e])));
    const layout = sortedOf(perExpert, arrived);
    if (here.length === 1) return this.#local.forward(arrived, layout, pass);
    const place = placesByExpert(here, perExpert); // of each row that arrived
    const table = (of: Int32Array): Tensor => tensor(of, { shape: [of.length, 1], backend: arrived.backend });
    const [from, to] = [table(inverse(place)), table(place)];
    return gatherRows(this.#local.forward(gatherRows(arrived, from, to), layout, pass), to, from);
  }

  /**
   * The rows of each rank apart. Backward the tape is walked from its end, so the last rank goes first: what leaves do not keep apart
   * is then summed from rank 0 on.
   */
  #bySource(parts: readonly Tensor[], layoutOf: (rank: number) => RowLayout, pass: Pass): Tensor[] {
    const done = new Array<Tensor>(parts.length);
    for (let r = parts.length - 1; r >= 0; r--) done[r] = this.#withLeaves(r, () => this.#local.forward(parts[r], layoutOf(r), pass));
    return done;
  }

  /** Runs with leaves of one rank's own in place of the parameters, so that their gradients stay apart. */
  #withLeaves(rank: number, run: () => Tensor): Tensor {
    if (!context().recording) return run();
    const places = parameterPlaces(this.#local);
    const leaves = places.map(({ value }) => leafOf(value));
    (this.#leaves[rank] ??= []).push(...leaves);
    try {
      places.forEach((place, i) => place.replace(leaves[i]));
      return run();
    } finally {
      for (const { value, replace } of places) replace(value);
    }
  }
}

function shareOf(count: number, rank: number): ExpertShare {
  const first = rank * count;
  const initializer =
    (whole: Initializer): Initializer =>
    (shape, at, options) =>
      whole(shape, at, { ...options, first: first * shape.slice(1).reduce((product, n) => product * n, 1) });
  return { first, count, initializer };
}

function requireLocal(local: unknown, { count }: ExpertShare): asserts local is Experts {
  if (!(local instanceof Experts)) throw new TypeError("ShardedExperts: make returned no Experts");
  if (local.count !== count) throw new RangeError(`ShardedExperts: make returned ${local.count} experts: want the ${count} of this rank`);
  for (const [name, parameter] of local.namedParameters())
    if (parameter.shape[0] !== count)
      throw new RangeError(
        `ShardedExperts: parameter "${name}" ${formatShape(parameter.shape)}: want the ${count} experts of this rank as first axis`,
      );
}

/** The places that hold parameters, in order of `namedParameters`. */
function parameterPlaces(root: Module): Held<Tensor>[] {
  return root.namedModules().flatMap(([, module]) => ownTensors(module).filter(({ value }) => value.requiresGrad));
}

/** Another leaf that reads the same numbers. */
function leafOf(parameter: Tensor): Tensor {
  const leaf = parameter.wrap(parameter, parameter.storage, parameter.strides, parameter.offset);
  leaf.name = parameter.name;
  return leaf.requireGrad();
}

/** Parts of the given lengths along an axis. */
function cut(x: Tensor, lengths: readonly number[], axis = 0): Tensor[] {
  let at = 0;
  return lengths.map((length) => {
    at += length;
    return x.narrow(axis, at - length, at);
  });
}

/** Counts [L][G] as a tensor; null where there are none. */
function tableOf(counts: readonly (readonly number[])[] | null, { backend }: Tensor): Tensor | null {
  const groups = counts?.[0]?.length ?? 0;
  return counts && groups > 0 ? tensor(Int32Array.from(counts.flat()), { shape: [counts.length, groups], backend }) : null;
}

/** The counts of all ranks side by side, [L][sum of G]; null where their groups differ in size, for products take groups of one size. */
function merged(used: readonly number[][][], each: readonly number[]): number[][] | null {
  const some = used.flatMap((counts, r) => (each[r] > 0 ? [{ counts, size: each[r] / counts[0].length }] : []));
  if (some.length === 0 || some.some(({ size }) => size !== some[0].size)) return null;
  return some[0].counts.map((_, e) => some.flatMap(({ counts }) => counts[e]));
}

function turned({ send, receive }: RowCounts): RowCounts {
  return { send: receive, receive: send };
}

/** The layout of rows sorted by expert, `perExpert` of each. */
function sortedOf(perExpert: readonly number[], { backend }: Tensor): RowLayout {
  const offsets = Int32Array.from([0, ...perExpert]);
  for (let e = 1; e < offsets.length; e++) offsets[e] += offsets[e - 1];
  return sortedLayout(perExpert.length, offsets[perExpert.length], tensor(offsets, { backend }));
}

/** Where each arrived row, by rank then by expert, stands when sorted by expert then by rank. here [n, L] */
function placesByExpert(here: readonly (readonly number[])[], perExpert: readonly number[]): Int32Array {
  const next = perExpert.map((_, e) => total(perExpert.slice(0, e)));
  return Int32Array.from(here.flatMap((counts) => counts.flatMap((n, e) => Array.from({ length: n }, () => next[e]++))));
}

function inverse(permutation: Int32Array): Int32Array {
  const result = new Int32Array(permutation.length);
  permutation.forEach((to, from) => (result[to] = from));
  return result;
}

/** Refuses to draw. */
class ForbiddenKey extends Key {
  constructor() {
    super(0, 0);
  }

  override at(): Key {
    return this;
  }

  override bits(): number {
    throw new RangeError(
      "ShardedExperts: the experts draw random numbers (dropout), which would depend on the layout; use dropout outside of the experts",
    );
  }
}
