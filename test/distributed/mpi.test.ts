/** Both engines, where they are installed. The laws of layouts run on them in CI: test/distributed/mpiLaws.ts. */
import { spawnSync } from "node:child_process";
import { expect } from "chai";
import { bundled } from "../bundled.ts";
import { allowed, itWith } from "./installed.ts";

describe("collectives of processes", function () {
  this.timeout(120_000);
  for (const [mpirun, name] of [
    ["mpirun.openmpi", "Open MPI"],
    ["mpirun.mpich", "MPICH"],
  ] as const)
    // prettier-ignore
    itWith(mpirun, `are their one-line specification under ${name}, which the description names`, () => {
      const command = [process.execPath, bundled("test/distributed/mpiCollectives.ts")];
      const { stdout, stderr, status } = spawnSync(mpirun, ["-n", "2", ...command], { encoding: "utf8", env: allowed });
      expect(status, stderr).to.equal(0);
      expect(stdout).to.match(new RegExp(`^${name} .*, 2 processes`));
      return Promise.resolve();
    });
});
