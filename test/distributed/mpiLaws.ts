/** The laws of layouts on the processes of mpirun: `mpirun -n 2 node --import=./scripts/typescript.mjs --conditions=source test/distributed/mpiLaws.ts`. */
import { mpi } from "../../src/distributed/index.ts";
import { layoutLaws } from "../../src/testing/index.ts";

const world = await mpi({ checkedCalls: Infinity });
for (const law of layoutLaws(world.description, null, { ranks: [world.size], world })) {
  await law.check();
  if (world.rank === 0) console.log(`  ${law.name}`);
}
