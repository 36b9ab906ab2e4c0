import { expect } from "chai";
import fc from "fast-check";
import {
  Communicator,
  Replicas,
  ThreadWorld,
  alone,
  layoutOf,
  mpi,
  openShards,
  restoreShards,
  saveShards,
  threads,
} from "../../src/distributed/index.ts";
import type { ReplicasOptions, Transport } from "../../src/distributed/index.ts";
import { key, zeros } from "../../src/index.ts";
import { Linear, Module } from "../../src/nn/index.ts";
import type { CollectiveCase } from "./programs.ts";
import { crossingNames } from "./programs.ts";
import { specification } from "./specification.ts";

const module = new URL("programs.ts", import.meta.url).href;

const cases: fc.Arbitrary<CollectiveCase> = fc.integer({ min: 1, max: 4 }).chain((ranks) =>
  fc.record({
    ranks: fc.constant(ranks),
    counts: fc.array(fc.array(fc.nat(3), { minLength: ranks, maxLength: ranks }), { minLength: ranks, maxLength: ranks }),
    length: fc.oneof(fc.nat(4), fc.constant(5000)),
    root: fc.nat(ranks - 1),
    how: fc.constantFrom("sum" as const, "max" as const, "min" as const),
    type: fc.constantFrom("Float32Array" as const, "Float64Array" as const, "Int32Array" as const),
  }),
);

describe("replicas", () => {
  class Three extends Module {
    readonly a = zeros([2 ** 19], { requiresGrad: true }); // 2 MiB
    readonly b = zeros([2 ** 19], { requiresGrad: true });
    readonly c = zeros([2 ** 19], { requiresGrad: true });
  }

  it("sum gradients in buckets of 4 MiB, unless told otherwise", () => {
    const sums = (options: ReplicasOptions, ordered: boolean): number => {
      const layout = layoutOf(alone({ ordered }));
      let calls = 0;
      const world = new Proxy(layout.world, {
        get(inner, name) {
          if (name === "allReduce" || name === "allGather") calls++;
          const member: unknown = Reflect.get(inner, name, inner);
          return typeof member === "function" ? (member.bind(inner) as unknown) : member;
        },
      });
      const model = new Three();
      const replicas = new Replicas(model, { ...layout, world }, options);
      replicas.backward(model.a.sum().add(model.b.sum()).add(model.c.sum()));
      replicas.reduce();
      return calls;
    };
    for (const ordered of [false, true]) {
      const one = sums({ bucketBytes: 2 ** 23 }, ordered);
      expect(one).to.be.above(0);
      expect(sums({}, ordered)).to.equal(2 * one);
      expect(sums({ bucketBytes: 1 }, ordered)).to.equal(3 * one);
    }
  });
});

describe("collectives of thread ranks", function () {
  this.timeout(120_000);
  let world: ThreadWorld;
  before(async () => (world = await ThreadWorld.start(4)));
  after(() => world.close());

  it("are their one-line specification for every world, counts of zero included", async () => {
    await fc.assert(
      fc.asyncProperty(cases, async (c) => {
        const results = await world.run({ module, export: "collectives", data: c }, { checkedCalls: Infinity });
        for (let r = 0; r < c.ranks; r++) expect(results[r]).to.deep.equal(specification(c, r));
      }),
      { seed: 3, numRuns: 25 },
    );
  });

  for (const name of crossingNames)
    it(`${name} has its derivatives across ranks, to second order`, async () => {
      const results = (await world.run({ module, export: "derivatives", data: { ranks: 3, name } })) as ([number, number][] | null)[];
      for (const pairs of results.slice(0, 3))
        for (const [tape, difference] of pairs ?? []) {
          expect(difference).to.not.equal(0);
          expect(tape).to.be.closeTo(difference, 1e-6 * Math.max(1, Math.abs(difference)));
        }
    });
});

describe("a world in which something goes wrong", function () {
  this.timeout(120_000);
  let world: ThreadWorld;
  beforeEach(async () => {
    if (!world || world.ended) world = await ThreadWorld.start(2);
  });
  after(() => world.close());

  const failure = async (name: string, data?: unknown, limit = 20): Promise<string> => {
    try {
      await world.run({ module, export: name, data }, { limit });
    } catch (error) {
      return (error as Error).message;
    }
    throw new Error("nothing was thrown");
  };

  const mismatches: Record<string, RegExp> = {
    name: /different collectives: rank 0 allReduce sum of a Float32Array of 3 as its call 1, rank 1 barrier as its call 1/,
    size: /rank 0 allReduce sum of a Float32Array of 3 .*rank 1 allReduce sum of a Float32Array of 4/,
    type: /rank 0 allGather of a Float32Array of 3 .*rank 1 allGather of a Float64Array of 3/,
    root: /rank 0 broadcast of a Float32Array of 3 from rank 0 .*rank 1 broadcast of a Float32Array of 3 from rank 1/,
    counts: /allToAllV: rank 0 sends 1 numbers to rank 1, which expects 0/,
    end: /rank 0 barrier as its call 1, rank 1 end/,
  };
  for (const [what, message] of Object.entries(mismatches))
    it(`ends on all ranks where a call differs in its ${what}`, async () => expect(await failure("disagrees", what)).to.match(message));

  it("names the rank that threw, its step and its last collective", async () => {
    expect(await failure("throws")).to.match(
      /^rank 1 of 2, step 7, allReduce sum of a Float32Array of 5 \(call 1 of a group of 2\): RangeError: no such token/,
    );
  });

  it("notices a rank that disappears", async () => {
    expect(await failure("leaves")).to.match(/^rank 1 of 2 ended with exit code 3/);
  });

  it("names a rank that does not come in time", async () => {
    expect(await failure("comesLate", undefined, 0.3)).to.match(/rank 0 of 2, .*waited 0.3 s for rank 1 of a group of 2/);
  });

  it("says which program it lacks", async () => {
    expect(await failure("nothingOfThatName")).to.match(/programs\.[jt]s exports no function nothingOfThatName/);
  });

  it("is started and ended by threads()", async () => {
    const told = await threads(2, { module, export: "throws" }).then(
      () => "it ran",
      (error: Error) => error.message,
    );
    expect(told).to.match(/rank 1.*no such token/s);
  });
});

describe("a communicator's arguments", () => {
  const world = alone();
  const two = new Communicator({ ...transport(), rank: 0, size: 2 });
  const wrong: Record<string, [() => unknown, RegExp]> = {
    "data of no typed array": [() => world.allReduce([1] as never), /allReduce: data \[1\]: want a Float32Array/],
    "a reduction nobody knows": [
      () => world.allReduce(new Float32Array(1), "mean" as never),
      /allReduce: how "mean": want "sum", "max" or "min"/,
    ],
    "bytes to sum": [() => world.allReduce(new Uint8Array(1)), /allReduce: data is a Uint8Array: want a Float32Array/],
    "parts that do not divide": [() => two.allToAll(new Float32Array(3)), /allToAll: 3 numbers do not divide into parts for 2 ranks/],
    "too few counts": [() => two.allToAllV(new Float32Array(3), [3], [0, 0]), /sendCounts \[3\]: want an array of 2/],
    "counts that do not add up": [() => two.allToAllV(new Float32Array(3), [1, 1], [0, 0]), /add up to 2, 3 numbers are given/],
    "a root that is no rank": [() => two.broadcast(new Float32Array(1), 2), /broadcast: root 2: want a whole number from 0 to 1/],
    "a place of the wrong size": [
      () => world.allGather(new Float32Array(2), new Float32Array(3)),
      /receive is a Float32Array of 3: want a Float32Array of 2/,
    ],
    "an option nobody knows": [() => alone({ sorted: true } as never), /Communicator: there is no option sorted/],
  };
  for (const [what, [call, message]] of Object.entries(wrong)) it(`refuse ${what}`, () => expect(call).to.throw(message));

  const linear = new Linear(2, 2, { random: key(1) });
  const replicas = new Replicas(linear, layoutOf(world));
  const program = { module, export: "collectives" };
  const none = undefined as never;
  const later: Record<string, readonly [() => unknown, string]> = {
    "MPI with an option nobody knows": [() => mpi({ sorted: true } as never), "mpi: there is no option sorted"],
    "half a thread": [() => threads(0.5, program), "threads: n 0.5: want a whole number from 1 to 256"],
    "no program": [() => threads(1, none), "threads: options undefined: want an object with module, export"],
    "a program without a name": [() => threads(1, { module } as never), "threads: export is missing: want a string"],
    "a wait of 0 seconds": [() => threads(1, program, { limit: 0 }), "threads: limit 0: want a finite number above 0"],
    "a world of no threads": [() => ThreadWorld.start(0), "ThreadWorld.start: n 0: want a whole number from 1 to 256"],
    "a checkpoint without a folder": [() => saveShards("", { model: linear, replicas, optimizer: null }), 'saveShards: folder "": want the path of a folder'],
    "a checkpoint of nothing": [() => saveShards("a", none), "saveShards: options undefined: want an object with model, replicas, optimizer"],
    "a checkpoint of no module": [() => saveShards("a", { model: {} as never, replicas, optimizer: null }), "saveShards: model {  }: want a Module"],
    "an optimiser for its state": [() => saveShards("a", { model: linear, replicas, optimizer: 3 as never }), "saveShards: optimizer 3: want the state() of an optimiser, or null"],
    "no folder to open": [() => openShards(none), "openShards: folder is missing: want the path of a folder"],
    "a folder that is not there": [() => openShards("no such folder"), "openShards: no such folder/latest cannot be read"],
    "a path for a checkpoint": [() => restoreShards("a" as never, linear, replicas), 'restoreShards: checkpoint "a": want a checkpoint, such as openShards(folder)'],
    "a restore into no module": [() => restoreShards({ step: 0, tensors: new Map(), read: none } as never, none, replicas), "restoreShards: model is missing: want a Module"],
  }; // prettier-ignore
  for (const [what, [call, message]] of Object.entries(later))
    it(`refuse ${what}`, async () => {
      const error = await Promise.resolve()
        .then(call)
        .then(() => "nothing", String);
      expect(error).to.include(message);
    });
});

/** Carries nothing. */
function transport(): Transport {
  const nothing = (): void => undefined;
  return {
    rank: 0,
    size: 1,
    description: "none",
    allToAllV: nothing,
    allGather: nothing,
    broadcast: nothing,
    barrier: nothing,
    split: transport,
    abort: nothing,
  };
}
