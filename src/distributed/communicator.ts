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
import type { Books } from "./traffic.ts";
import type { Transport } from "./transport.ts";

/** How a communicator sums, and what it checks. */
export interface CommunicatorOptions {
  /**
   * Sums and other reductions go by rank: ((x_0 + x_1) + x_2) ..., the same bits on every engine and run. Else MPI's own reduction
   * may choose its order. Threads and single processes always go by rank.
   */
  readonly ordered?: boolean;
  /** So many first calls are compared between ranks before they run. Default 1000; Infinity: all; 0: none. */
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

// Made once: a call of 64 KB takes some 15 microseconds, and a kind with its sentence one.
const aReduction = oneOf("sum", "max", "min");
const aReceiver = optional(aFlat);

/**
 * Where in the program a rank stands; shared by all communicators that were split from one. Errors put it into words: a call of 64 KB
 * takes no longer than a sentence.
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
  readonly #books: Books;
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
    this.#books = parent ? parent.#books : new Map();
    this.traffic = parent ? parent.traffic : new Traffic(this.#books);
    this.#place = parent ? parent.#place : { step: null, call: null, number: 0, ranks: this.size };
  }

  /** What this rank is doing, for errors: the step of the training, and the last collective it entered. */
  get place(): string {
    const { step } = this.#place;
    return step === null ? nameOf(this.#place) : `step ${step}, ${nameOf(this.#place)}`;
  }

  /** Names the step that errors tell of. */
  beginStep(step: number): void {
    check("Communicator.beginStep", "step", step, whole(0));
    this.#place.step = step;
  }

  /** Each rank gets part r of what rank r sends: `send` holds n parts of one length. */
  allToAll<F extends Flat>(send: F, receive?: F): F {
    check("allToAll", "send", send, aFlat);
    const { size } = this;
    if (send.length % size !== 0) throw new RangeError(`allToAll: ${send.length} numbers do not divide into parts for ${size} ranks`);
    const counts = this.#evenCounts(send.length / size);
    return this.#exchange("allToAll", send, counts, counts, receive);
  }

  /** The same with parts of any length: sendCounts[r] numbers for rank r, receiveCounts[r] from it; 0 is allowed. */
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

  /** What all ranks send, one after the other; every rank sends equally much. */
  allGather<F extends Flat>(send: F, receive?: F): F {
    check("allGather", "send", send, aFlat);
    const into = room("allGather", send, send.length * this.size, receive);
    const start = this.#enter({ name: "allGather", data: send });
    this.#transport.allGather(send, into);
    this.#leave("allGather", send.byteLength * (this.size - 1), start);
    return into;
  }

  /** Part `rank` of the sum over ranks: `send` holds n parts of one length. The sum goes by rank. */
  reduceScatter<F extends Flat>(send: F, receive?: F): F {
    check("reduceScatter", "send", send, aFlat);
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

  /** The sum (or largest, or least) over ranks, element by element, in place and on all of them. Answers with `data`. */
  allReduce<F extends Flat>(data: F, how: Reduction = "sum"): F {
    check("allReduce", "data", data, aFlat);
    check("allReduce", "how", how, aReduction);
    const reduces = data instanceof Float32Array || data instanceof Float64Array || data instanceof Int32Array;
    if (!reduces) throw new TypeError(`allReduce: data is a ${data.constructor.name}: want a Float32Array, Float64Array or Int32Array`);
    const start = this.#enter({ name: "allReduce", data, how });
    if (this.#transport.allReduce && !this.ordered) this.#transport.allReduce(data, how);
    else reduceByRank(this.#transport, data, how);
    this.#leave("allReduce", 2 * data.byteLength * (1 - 1 / this.size), start);
    return data;
  }

  /** `data` of rank `root` on all ranks, in place. Answers with `data`. */
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

  /** The same ranks, with reductions by rank. */
  inOrder(): Communicator {
    return new Communicator(this.#transport, { ordered: true, checkedCalls: this.#checked }, this);
  }

  /** Says that this rank calls nothing more, which is compared too: a rank that still waits for it throws. `threads` and `mpi` call it. */
  finish(): void {
    this.#place.call = { name: "end" };
    if (this.#calls < this.#checked && this.size > 1) this.#compare(this.#place.call);
  }

  /** Ends the program on all ranks; the message names this rank, its step and its last collective. */
  abort(error: unknown): void {
    const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    this.#transport.abort(`rank ${this.rank} of ${this.size}, ${this.place}: ${reason}`);
  }

  /** Notes the call, and compares it between ranks while calls are checked. Answers with the time. */
  #enter(call: Call): number {
    const place = this.#place;
    place.call = call;
    place.number = ++this.#calls;
    place.ranks = this.size;
    if (this.#calls <= this.#checked && this.size > 1) this.#compare(call);
    return performance.now();
  }

  /** Puts the call that `#enter` noted into the books. */
  #leave(name: string, bytes: number, start: number): void {
    noteCall(this.#books, name, this.size > 1 ? bytes : 0, (performance.now() - start) / 1000);
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

/** `receive`, if it is of the right type and length; else a new array. */
function room<F extends Flat>(name: string, like: F, length: number, receive?: F): F {
  check(name, "receive", receive, aReceiver);
  if (receive === undefined) return newLike(like, length);
  if (receive.constructor !== like.constructor || receive.length !== length)
    throw new RangeError(
      `${name}: receive is a ${receive.constructor.name} of ${receive.length}: want a ${like.constructor.name} of ${length}`,
    );
  return receive;
}
