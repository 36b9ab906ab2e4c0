/** Which MPI is here to be tested with. Where CI runs, a missing one is a failure. */
import { spawnSync } from "node:child_process";
import type { Test } from "mocha";

/** Why nothing can be started under a launcher such as mpirun.openmpi; null: it can. */
export function missing(mpirun: string): string | null {
  if (process.env["CI"]) return null;
  const { error, status } = spawnSync(mpirun, ["--version"]);
  return error || status !== 0 ? `no ${mpirun}: apt-get install ${mpirun.endsWith("mpich") ? "mpich" : "openmpi-bin"}` : null;
}

/** A test that needs the launcher; without it a skipped one whose name says what is missing. */
export function itWith(mpirun: string, title: string, run: () => Promise<void>): Test {
  const why = missing(mpirun);
  return why === null ? it(title, run) : it.skip(`${title} (${why})`, run);
}

/** Lets root start processes, and more of them than there are cores. */
export const allowed = {
  ...process.env,
  OMPI_ALLOW_RUN_AS_ROOT: "1",
  OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
  OMPI_MCA_rmaps_base_oversubscribe: "1",
  OMPI_MCA_mpi_yield_when_idle: "1", // tests share the cores with others
  PRTE_MCA_rmaps_default_mapping_policy: ":oversubscribe",
} as const;
