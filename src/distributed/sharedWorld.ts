/**
 * The transport between worker threads of one process. Each rank has an outbox, a shared buffer that grows. In a call each rank writes what it sends
 * into its outbox, all meet, each reads its parts from the outboxes of the others, and all meet again. So an outbox is free when a call returns,
 * and one for each rank is enough for all groups.
 *
 * A meeting (a barrier) is a counter and a generation: the last rank to come raises the generation and wakes the others, which sleep in Atomics.wait.
 */
/// <reference lib="es2024.sharedmemory" />
import type { Flat } from "./flat.ts";
import { bytesOf, newLike } from "./flat.ts";
import type { Transport } from "./transport.ts";

/** What all ranks of one run share. */
export interface SharedWorld {
  /**
   * How many ranks ended the run, the length of the message, the next group, then a counter and a generation for each group, then a line
   * for each rank.
   */
  readonly control: SharedArrayBuffer;
  /** Why the run was ended, UTF-8. */
  readonly message: SharedArrayBuffer;
  /** One for each rank. */
  readonly outboxes: readonly SharedArrayBuffer[];
  /** Seconds that a rank waits for another. */
  readonly limit: number;
}

const [ENDINGS, MESSAGE_LENGTH, NEXT_GROUP, GROUPS] = [0, 1, 2, 4];
const MOST_GROUPS = 4096;
const RANKS = GROUPS + 2 * MOST_GROUPS;
/** Slices of waiting, in milliseconds: an abort is noticed after so long at most. */
const SLICE = 50;
const MOST_OUTBOX = 2 ** 32;

/** `most`: bytes that a rank can send at once. An address is set aside for each of them, which a browser on a phone has not without end. */
export function newOutboxes(ranks: number, most = MOST_OUTBOX): SharedArrayBuffer[] {
  return Array.from({ length: ranks }, () => new SharedArrayBuffer(2 ** 16, { maxByteLength: most }));
}

export function newSharedWorld(outboxes: readonly SharedArrayBuffer[], limit: number): SharedWorld {
  const control = new SharedArrayBuffer(4 * (RANKS + outboxes.length));
  new Int32Array(control)[NEXT_GROUP] = 1; // 0 is the world
  return { control, message: new SharedArrayBuffer(4096), outboxes, limit };
}

/** Thrown in a rank whose run another rank ended. */
export class AbortedError extends Error {
  override readonly name = "AbortedError";
}

/** Ends the run with a message that is not empty; the first one stays. Ranks that wait throw an AbortedError with it. */
export function abortWorld({ control, message }: SharedWorld, text: string): void {
  const state = new Int32Array(control);
  if (Atomics.add(state, ENDINGS, 1) > 0) return;
  const bytes = new Uint8Array(message.byteLength); // encoders refuse shared memory
  const { written } = new TextEncoder().encodeInto(text, bytes); // whole characters only
  new Uint8Array(message).set(bytes);
  Atomics.store(state, MESSAGE_LENGTH, written);
}

/** Why the run was ended; undefined: it was not. */
export function abortMessage({ control, message }: SharedWorld): string | undefined {
  const state = new Int32Array(control);
  const length = Atomics.load(state, MESSAGE_LENGTH); // stored when the message is whole
  return length > 0 ? new TextDecoder().decode(new Uint8Array(message).slice(0, length)) : undefined;
}

/** A group of thread ranks. `members` are ranks of the world. */
export class SharedGroup implements Transport {
  readonly rank: number;
  readonly size: number;
  readonly description: string;
  readonly #world: SharedWorld;
  readonly #state: Int32Array;
  readonly #group: number;
  readonly #members: readonly number[];
  /** Meetings so far. */
  #meetings = 0;

  constructor(world: SharedWorld, group: number, members: readonly number[], rank: number) {
    this.#world = world;
    this.#state = new Int32Array(world.control);
    this.#group = group;
    this.#members = members;
    this.rank = rank;
    this.size = members.length;
    this.description = `${world.outboxes.length} threads of one process`;
  }

  allToAllV(send: Flat, sendCounts: readonly number[], receive: Flat, receiveCounts: readonly number[]): void {
    const unit = send.BYTES_PER_ELEMENT;
    const head = 8 * this.size; // where the part for each rank begins
    const starts = new Float64Array(this.size);
    for (let r = 1; r < this.size; r++) starts[r] = starts[r - 1] + sendCounts[r - 1] * unit;
    const outbox = this.#outbox(head + send.byteLength);
    outbox.set(bytesOf(starts));
    outbox.set(bytesOf(send), head);
    this.#meet();
    const into = bytesOf(receive);
    let at = 0;
    for (let r = 0; r < this.size; r++) {
      const bytes = receiveCounts[r] * unit;
      const start = head + new Float64Array(this.#world.outboxes[this.#members[r]], 0, this.size)[this.rank];
      into.set(this.#inbox(r, start, bytes), at);
      at += bytes;
    }
    this.#meet();
  }

  allGather(send: Flat, receive: Flat): void {
    this.#outbox(send.byteLength).set(bytesOf(send));
    this.#meet();
    const into = bytesOf(receive);
    for (let r = 0; r < this.size; r++) into.set(this.#inbox(r, 0, send.byteLength), r * send.byteLength);
    this.#meet();
  }

  broadcast(data: Flat, root: number): void {
    if (this.rank === root) this.#outbox(data.byteLength).set(bytesOf(data));
    this.#meet();
    if (this.rank !== root) bytesOf(data).set(this.#inbox(root, 0, data.byteLength));
    this.#meet();
  }

  barrier(): void {
    this.#meet();
  }

  split(color: number, key: number): Transport {
    const own = Int32Array.of(color, key);
    const all = newLike(own, 2 * this.size);
    this.allGather(own, all);
    const members = Array.from({ length: this.size }, (_, r) => r)
      .filter((r) => all[2 * r] === color)
      .sort((r, s) => all[2 * r + 1] - all[2 * s + 1]); // equal ones stay in order
    const leads = members[0] === this.rank;
    const groups = newLike(own, this.size);
    this.allGather(Int32Array.of(leads ? this.#newGroup() : -1), groups);
    const places = members.map((r) => this.#members[r]);
    return new SharedGroup(this.#world, groups[members[0]], places, members.indexOf(this.rank));
  }

  #newGroup(): number {
    const group = Atomics.add(this.#state, NEXT_GROUP, 1);
    if (group >= MOST_GROUPS) throw new RangeError(`split: a run of threads has at most ${MOST_GROUPS} groups`);
    return group;
  }

  abort(message: string): void {
    abortWorld(this.#world, message);
  }

  /** This rank's outbox, grown to hold `bytes`. */
  #outbox(bytes: number): Uint8Array {
    const box = this.#world.outboxes[this.#members[this.rank]];
    const most = box.maxByteLength;
    if (bytes > most) throw new RangeError(`threads: a rank sends at most ${most} bytes at once, not ${bytes}`);
    if (box.byteLength < bytes) box.grow(Math.min(most, Math.max(bytes, 2 * box.byteLength)));
    return new Uint8Array(box, 0, bytes);
  }

  #inbox(rank: number, start: number, bytes: number): Uint8Array {
    return new Uint8Array(this.#world.outboxes[this.#members[rank]], start, bytes);
  }

  /** Returns when all ranks of the group have come. */
  #meet(): void {
    const [count, generation] = [GROUPS + 2 * this.#group, GROUPS + 2 * this.#group + 1];
    this.#meetings++;
    Atomics.store(this.#state, RANKS + this.#members[this.rank], this.#meeting);
    this.#checkAborted();
    const before = Atomics.load(this.#state, generation);
    if (Atomics.add(this.#state, count, 1) === this.size - 1) {
      Atomics.store(this.#state, count, 0);
      Atomics.add(this.#state, generation, 1);
      Atomics.notify(this.#state, generation);
      return;
    }
    const start = performance.now();
    while (Atomics.load(this.#state, generation) === before) {
      Atomics.wait(this.#state, generation, before, SLICE);
      this.#checkAborted();
      if (performance.now() - start > 1000 * this.#world.limit && Atomics.load(this.#state, generation) === before) throw this.#late();
    }
  }

  #checkAborted(): void {
    const message = abortMessage(this.#world);
    if (message !== undefined) throw new AbortedError(message);
  }

  /** Tells this meeting from others of the same ranks: group, then number. */
  get #meeting(): number {
    return this.#meetings + (this.#group << 20);
  }

  /** The error that names the ranks which have not come to this meeting. */
  #late(): Error {
    const missing = this.#members.flatMap((member, r) => (Atomics.load(this.#state, RANKS + member) === this.#meeting ? [] : [r]));
    return new Error(`waited ${this.#world.limit} s for rank ${missing.join(", ")} of a group of ${this.size}`);
  }
}
