/** Every collective on the processes of mpirun against its one line; the first rank says what ran. */
import { deepStrictEqual, strictEqual, throws } from "node:assert";
import { mpi, ranksOnHost, startedRanks } from "../../src/distributed/index.ts";
import { collectives } from "./programs.ts";
import type { CollectiveCase } from "./programs.ts";
import { specification } from "./specification.ts";

const world = await mpi({ checkedCalls: Infinity });
strictEqual(await mpi({ checkedCalls: Infinity, ordered: false }), world);
strictEqual(await mpi(), world); // an option that is not given is as before
throws(() => mpi({ checkedCalls: 1 }), /mpi: called with ordered false and checkedCalls 1, before with false and Infinity/);
throws(() => mpi({ ordered: true }), /mpi: called with ordered true .*, before with false/);
// Else UCX replaces libc's memory functions, which V8 survives only most of the time.
deepStrictEqual(process.env["UCX_MEM_EVENTS"], "n");
const { rank, size } = world;
deepStrictEqual({ ...startedRanks(), host: ranksOnHost() }, { rank, size, host: size });
const counts = Array.from({ length: size }, (_, r) => Array.from({ length: size }, (_of, s) => (r + 2 * s) % 3)); // zeros among them
for (const type of ["Float32Array", "Float64Array", "Int32Array"] as const)
  for (const [length, how] of [
    [0, "sum"],
    [3, "max"],
    [5000, "sum"],
    [7, "min"],
  ] as const) {
    // prettier-ignore
    const c: CollectiveCase = { ranks: size, counts, length, root: size - 1, how, type };
    deepStrictEqual(collectives(world, c), specification(c, rank));
  }
// Types that only travel: bfloat16 as Uint16Array, and bytes.
for (const Type of [Uint16Array, Uint8Array]) {
  deepStrictEqual(world.allGather(Type.of(rank, 200 + rank)), Type.from(counts.flatMap((_, r) => [r, 200 + r])));
  deepStrictEqual(world.broadcast(Type.of(rank, 7, rank)), Type.of(0, 7, 0));
}
if (rank === 0) console.log(world.description);
