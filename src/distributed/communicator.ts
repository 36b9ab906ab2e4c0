/**
 * Collective operations on flat arrays: every rank of a group calls the same ones in the same order, and each call blocks.
 * n ranks, r and s ranks.
 */
import { check, checkOptions, flag, having, instance, listOf, number, oneOf, optional, whole } from "../autograd/arguments.ts";
import type { Kind, Kinds } from "../autograd/arguments.ts";
import { compareCalls, describeCall, fingerprint, fingerprintSize } from "./calls.ts";
import type { Call } from "./calls.ts";
import type { Flat, Reduction } from "./flat.ts";
import { aFlat, accumulate, newLike, total } from "./flat.ts";
import { reduceByRank } from "./ordered.ts";
import { Traffic, noteCall } from "./traffic.ts";
import type { TrafficCounts } from "./traffic.ts";
import type { Transport } from "./transport.ts";

/** How a communicator sums, and what it checks. */
export interface CommunicatorOptions {
  /**
   * Whether sums and other reductions are in the order of ranks, ((x_0 + x_1) + x_2) ..., which gives the same bits on every engine and in every run.
   * Otherwise MPI chooses the order. Threads and single processes always sum in the order of ranks. Default false.
   */
  readonly ordered?: boolean;
  /** How many calls, from the first on, are compared between ranks before they run. Default 1000; Infinity: all; 0: none. */
  readonly checkedCalls?: number;
}

const aTransport = having(
  "a transport, such as mpi() or threads() carry bytes with",
  "allToAllV",
  "allGather",
  "broadcast",
  "barrier",
  "split",
  "abort",
);

export const communicatorKinds: Kinds<CommunicatorOptions> = {
  ordered: optional(flag),
  checkedCalls: optional({ ...number, wanted: "a number of 0 or more", accepts: (value) => typeof value === "number" && value >= 0 }),
};

// Made once: a call of 64 KB takes about 15 microseconds, and making a kind about one.
const aReduction = oneOf("sum", "max", "min");
const aReceiver = optional(aFlat);

/**
 * Where in the program a rank is; shared by all communicators that were split from one. It is kept as data and put into words only in an error,
 * because making a sentence takes as long as a call of 64 KB.
 */
interface Place {
  step: number | null;
  /** The last collective that was entered; null: none yet. */
  call: Call | null;
  /** The place of the call in the sequence of its group, and the size of the group. */
  number: number;
  ranks: number;
}

/**
 * A group of ranks. `mpi()`, `threads()` and `alone()` make one; `split` makes smaller ones.
 *
 * The first calls are checked: where ranks call different collectives, or with other sizes, types or roots, each of them throws
 * an Error that says what every rank called, instead of waiting for ever.
 */
export class Communicator {
  /** This rank, from 0. */
  readonly rank: number;
  /** n */
  readonly size: number;
  readonly description: string;
  readonly ordered: boolean;
  /** Bytes sent and seconds spent, by collective; those of groups split from this one included. */
  readonly traffic: Traffic;
  readonly #transport: Transport;
  readonly #counts: TrafficCounts;
  readonly #place: Place;
  readonly #checked: number;
  readonly #aRoot: Kind;
  readonly #countsOfAll: Kind;
  #even: readonly number[] = [];
  #calls = 0;

  constructor(transport: Transport, options: CommunicatorOptions = {}, parent?: Communicator) {
    check("Communicator", "transport", transport, aTransport);
    check("Communicator", "transport.size", transport.size, whole(1));
    check("Communicator", "transport.rank", transport.rank, whole(0, transport.size - 1));
    checkOptions("Communicator", options, communicatorKinds);
    check("Communicator", "parent", parent, optional(instance(Communicator)));
    this.#transport = transport;
    this.rank = transport.rank;
    this.size = transport.size;
    this.description = transport.description;
    this.#aRoot = whole(0, this.size - 1);
    this.#countsOfAll = listOf(whole(0), this.size);
    this.ordered = options.ordered ?? false;
    this.#checked = options.checkedCalls ?? 1000;
    this.#counts = parent ? parent.#counts : new Map();
    this.traffic = parent ? parent.traffic : new Traffic(this.#counts);
    this.#place = parent ? parent.#place : { step: null, call: null, number: 0, ranks: this.size };
  }

  /** What this rank is doing, for errors: the step of the training, and the last collective it entered. */
  get place(): string {
    const { step } = this.#place;
    return step === null ? nameOf(this.#place) : `step ${step}, ${nameOf(this.#place)}`;
  }

  /** Sets the step that errors name. */
  beginStep(step: number): void {
    check("Communicator.beginStep", "step", step, whole(0));
    this.#place.step = step;
  }

  /** Sends part r of `send`, which holds n parts of one length, to rank r; returns the parts that all ranks sent to this one, in order of ranks. */
  allToAll<F extends Flat>(send: F, receive?: F): F {
    check("allToAll", "send", send, aFlat);
    const { size } = this;
    if (send.length % size !== 0) throw new RangeError(`allToAll: ${send.length} numbers do not divide into parts for ${size} ranks`);
    const counts = this.#evenCounts(send.length / size);
    return this.#exchange("allToAll", send, counts, counts, receive);
  }

  /** `allToAll` with parts of any length: sendCounts[r] numbers for rank r, receiveCounts[r] from it; 0 is allowed. */
  allToAllV<F extends Flat>(send: F, sendCounts: readonly number[], receiveCounts: readonly number[], receive?: F): F {
    check("allToAllV", "send", send, aFlat);
    check("allToAllV", "sendCounts", sendCounts, this.#countsOfAll);
    check("allToAllV", "receiveCounts", receiveCounts, this.#countsOfAll);
    if (total(sendCounts) !== send.length)
      throw new RangeError(
        `allToAllV: sendCounts [${sendCounts.join(", ")}] add up to ${total(sendCounts)}, ${send.length} numbers are given`,
      );
    return this.#exchange("allToAllV", send, sendCounts, receiveCounts, receive);
  }

  /** The same count for each rank, frozen: the last one is kept, and so is what a transport makes of it. */
  #evenCounts(count: number): readonly number[] {
    if (this.#even[0] !== count) this.#even = Object.freeze(new Array<number>(this.size).fill(count));
    return this.#even;
  }

  #exchange<F extends Flat>(
    name: "allToAll" | "allToAllV",
    send: F,
    sendCounts: readonly number[],
    receiveCounts: readonly number[],
    receive?: F,
  ): F {
    const into = room(name, send, total(receiveCounts), receive);
    const own = sendCounts[this.rank] * send.BYTES_PER_ELEMENT;
    const start = this.#enter({ name, data: send, sendCounts, receiveCounts });
    this.#transport.allToAllV(send, sendCounts, into, receiveCounts);
    this.#leave(name, send.byteLength - own, start);
    return into;
  }

  /** Returns what all ranks send, in order of ranks; every rank sends the same length. */
  allGather<F extends Flat>(send: F, receive?: F): F {
    check("allGather", "send", send, aFlat);
    const into = room("allGather", send, send.length * this.size, receive);
    const start = this.#enter({ name: "allGather", data: send });
    this.#transport.allGather(send, into);
    this.#leave("allGather", send.byteLength * (this.size - 1), start);
    return into;
  }

  /** Sums `send`, which holds n parts of one length, over ranks, and returns the part of this rank. The sum is in the order of ranks. */
  reduceScatter<F extends Flat>(send: F, receive?: F): F {
    check("reduceScatter", "send", send, aFlat);
    requireSummable("reduceScatter", "send", send);
    const { size } = this;
    if (send.length % size !== 0) throw new RangeError(`reduceScatter: ${send.length} numbers do not divide into parts for ${size} ranks`);
    const length = send.length / size;
    const into = room("reduceScatter", send, length, receive);
    const counts = this.#evenCounts(length);
    const start = this.#enter({ name: "reduceScatter", data: send });
    const parts = newLike(send, send.length);
    this.#transport.allToAllV(send, counts, parts, counts);
    into.set(parts.subarray(0, length));
    for (let r = 1; r < size; r++) accumulate(into, parts, r * length, "sum");
    this.#leave("reduceScatter", send.byteLength - length * send.BYTES_PER_ELEMENT, start);
    return into;
  }

  /** The sum (or largest, or least) over ranks, element by element, in place and on all of them. Returns `data`. */
  allReduce<F extends Flat>(data: F, how: Reduction = "sum"): F {
    check("allReduce", "data", data, aFlat);
    check("allReduce", "how", how, aReduction);
    requireSummable("allReduce", "data", data);
    const start = this.#enter({ name: "allReduce", data, how });
    if (this.#transport.allReduce && !this.ordered) this.#transport.allReduce(data, how);
    else reduceByRank(this.#transport, data, how);
    this.#leave("allReduce", 2 * data.byteLength * (1 - 1 / this.size), start);
    return data;
  }

  /** Copies `data` of rank `root` to all ranks, in place. Returns `data`. */
  broadcast<F extends Flat>(data: F, root = 0): F {
    check("broadcast", "data", data, aFlat);
    check("broadcast", "root", root, this.#aRoot);
    const start = this.#enter({ name: "broadcast", data, root });
    this.#transport.broadcast(data, root);
    this.#leave("broadcast", this.rank === root ? data.byteLength * (this.size - 1) : 0, start);
    return data;
  }

  /** Returns when all ranks have called it. */
  barrier(): void {
    const start = this.#enter({ name: "barrier" });
    this.#transport.barrier();
    this.#leave("barrier", 0, start);
  }

  /** The group of the ranks that give the same color, ordered by key (default: by rank). */
  split(color: number, key = this.rank): Communicator {
    check("split", "color", color, whole(0, 2 ** 31 - 1));
    check("split", "key", key, whole(0, 2 ** 31 - 1));
    const start = this.#enter({ name: "split" });
    const inner = this.#transport.split(color, key);
    this.#leave("split", 0, start);
    return new Communicator(inner, { ordered: this.ordered, checkedCalls: this.#checked }, this);
  }

  /** A communicator of the same ranks that reduces in the order of ranks. */
  inOrder(): Communicator {
    return new Communicator(this.#transport, { ordered: true, checkedCalls: this.#checked }, this);
  }

  /**
   * Declares that this rank makes no more calls. This is compared like a call, so a rank that still waits for this one throws. `threads`
   * and `mpi` call it.
   */
  finish(): void {
    this.#place.call = { name: "end" };
    if (this.#calls < this.#checked && this.size > 1) this.#compare(this.#place.call);
  }

  /** Ends the program on all ranks; the message names this rank, its step and its last collective. */
  abort(error: unknown): void {
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    this.#transport.abort(`rank ${this.rank} of ${this.size}, ${this.place}: ${reason}`);
  }

  /** Notes the call, and compares it between ranks while calls are checked. Returns the time. */
  #enter(call: Call): number {
    const place = this.#place;
    place.call = call;
    place.number = ++this.#calls;
    place.ranks = this.size;
    if (this.#calls <= this.#checked && this.size > 1) this.#compare(call);
    return performance.now();
  }

  /** Counts the call that `#enter` noted. */
  #leave(name: string, bytes: number, start: number): void {
    noteCall(this.#counts, name, this.size > 1 ? bytes : 0, (performance.now() - start) / 1000);
  }

  #compare(call: Call): void {
    const length = fingerprintSize(this.size);
    const all = new Int32Array(length * this.size);
    this.#transport.allGather(fingerprint(call, this.#calls, this.size), all);
    const fault = compareCalls(all, this.size);
    if (fault) throw new Error(`${fault} (call ${this.#calls} of a group of ${this.size})`);
  }
}

export const aCommunicator: Kind = instance(Communicator, "a Communicator, such as alone() or await mpi()");

/** What a rank is in, for errors: "allReduce sum of a Float32Array of 12 (call 3 of a group of 2)". */
function nameOf({ call, number, ranks }: Place): string {
  if (call === null) return "no collective yet";
  return call.name === "end" ? "its end" : `${describeCall(call)} (call ${number} of a group of ${ranks})`;
}

/** A Uint16Array holds the bits of bfloat16 numbers, which cannot be added as integers. */
function requireSummable(name: string, argument: string, data: Flat): void {
  const adds = data instanceof Float32Array || data instanceof Float64Array || data instanceof Int32Array;
  if (!adds) throw new TypeError(`${name}: ${argument} is a ${data.constructor.name}: want a Float32Array, Float64Array or Int32Array`);
}

/** A new array, or `receive` where it is given. Throws where it has another type or length. */
function room<F extends Flat>(name: string, like: F, length: number, receive?: F): F {
  check(name, "receive", receive, aReceiver);
  if (receive === undefined) return newLike(like, length);
  if (receive.constructor !== like.constructor || receive.length !== length)
    throw new RangeError(
      `${name}: receive is a ${receive.constructor.name} of ${receive.length}: want a ${like.constructor.name} of ${length}`,
    );
  return receive;
}
