/** The memory that threads share: what ends a run, and what a group of one can be asked for without threads. */
import { expect } from "chai";
import { AbortedError, SharedGroup, abortMessage, abortWorld, newOutboxes, newSharedWorld } from "../../src/distributed/sharedWorld.ts";
import type { SharedWorld } from "../../src/distributed/sharedWorld.ts";

const newWorld = (ranks = 1): SharedWorld => newSharedWorld(newOutboxes(ranks), 0.2);

describe("a shared world", () => {
  it("is ended once: the first message stays", () => {
    const world = newWorld();
    expect(abortMessage(world)).to.equal(undefined);
    abortWorld(world, "rank 1: no such token");
    abortWorld(world, "rank 0: it had nobody to talk to");
    expect(abortMessage(world)).to.equal("rank 1: no such token");
    expect(() => new SharedGroup(world, 0, [0], 0).barrier()).to.throw(AbortedError, /^rank 1: no such token$/);
  });

  it("keeps the beginning of a message that is too long, in whole characters", () => {
    const world = newWorld();
    abortWorld(world, `a${"é".repeat(3000)}`); // 1 + 2 * 2047 bytes are below 4096, one more é is above
    expect(abortMessage(world)).to.equal(`a${"é".repeat(2047)}`);
  });

  it("has a limit: who waits longer than that for others names them, and not those who came", () => {
    const world = newWorld(4);
    const [first, second] = [1, 0].map((rank) => new SharedGroup(world, 5, [0, 1, 3], rank));
    expect(() => first.barrier()).to.throw("waited 0.2 s for rank 0, 2 of a group of 3");
    expect(() => second.barrier()).to.throw("waited 0.2 s for rank 2 of a group of 3");
  });

  it("tells how much a rank can send at once", () => {
    const group = new SharedGroup(newSharedWorld(newOutboxes(1, 2 ** 17), 1), 0, [0], 0);
    const send = (bytes: number) => group.allGather(new Uint8Array(bytes), new Uint8Array(bytes));
    expect(() => send(2 ** 17)).to.not.throw();
    expect(() => send(2 ** 17 + 1)).to.throw("threads: a rank sends at most 131072 bytes at once, not 131073");
  });

  it("has room for messages of any size: an outbox grows and keeps its size", () => {
    const outboxes = newOutboxes(1);
    const group = new SharedGroup(newSharedWorld(outboxes, 1), 0, [0], 0);
    const before = outboxes[0].byteLength;
    for (const length of [before / 4, before, 3]) {
      const data = Float32Array.from({ length }, (_, i) => i);
      const arrived = new Float32Array(length);
      group.allGather(data, arrived);
      expect(arrived).to.deep.equal(data);
      const exchanged = new Float32Array(length);
      group.allToAllV(data, [length], exchanged, [length]);
      expect(exchanged).to.deep.equal(data);
    }
    expect(outboxes[0].byteLength).to.equal(8 * before); // twice what it was is less than the parts and where they begin, so it took twice twice
  });

  it("has 4,095 groups beside the world, and says so", () => {
    const group = new SharedGroup(newWorld(), 0, [0], 0);
    for (let i = 1; i < 4096; i++) group.split(0, 0);
    expect(() => group.split(0, 0)).to.throw(RangeError, "split: a run of threads has at most 4096 groups");
  });

  it("describes itself, and its groups know their place", () => {
    const group = new SharedGroup(newWorld(3), 0, [2, 0], 1);
    expect([group.rank, group.size, group.description]).to.deep.equal([1, 2, "3 threads of one process"]);
    const alone = new SharedGroup(newWorld(), 0, [0], 0).split(7, 3);
    expect([alone.rank, alone.size]).to.deep.equal([0, 1]);
  });
});
