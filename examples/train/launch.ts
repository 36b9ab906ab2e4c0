/**
 * Starting a run on many processes: this one becomes the launcher and starts the same command under mpirun. It passes on what they print
 * and the signals that it gets, for mpirun itself would end them before they have saved.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { availableParallelism } from "node:os";
import { installation, startedRanks } from "switchyard-moe/distributed";
import { threadsEach } from "./processes.ts";
import { COLUMNS } from "./progress.ts";
import { signals } from "./stopping.ts";
import type { SignalName } from "./stopping.ts";
import { UserError } from "./userError.ts";

/** Set for processes that a launcher started: the first of them gets signals through its standard input. */
const LAUNCHED = "SWITCHYARD_LAUNCHED";
/** Names another mpirun than the one on the PATH. */
const MPIRUN = "SWITCHYARD_MPIRUN";

/** Runs this program's own command on several processes; returns the exit code when they have ended. */
export async function launch(processes: number): Promise<number> {
  const mpirun = process.env[MPIRUN] ?? "mpirun";
  const child = spawn(mpirun, ["-n", String(processes), process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    stdio: ["pipe", "pipe", "pipe"],
    detached: true, // Ctrl-C goes to a whole group of processes, and mpirun is not to hear of it
    env: { ...process.env, ...settings(processes), [LAUNCHED]: "1" },
  });
  const asked = passSignals(child);
  child.stdin?.on("error", () => undefined); // it ended before it heard
  child.stdout?.pipe(process.stdout, { end: false });
  const errors = new WithoutAbortNotice((text) => process.stderr.write(text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => errors.write(text));
  const code = await ended(child, mpirun);
  errors.end();
  return code === 0 ? asked() : code;
}

/** Options of Open MPI 4 and 5: allow root, allow more processes than cores, and bind no process (it has several threads) to one core. */
function settings(processes: number): Record<string, string> {
  const { isTTY, columns } = process.stdout;
  return {
    OMPI_ALLOW_RUN_AS_ROOT: "1",
    OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
    OMPI_MCA_rmaps_base_oversubscribe: "1",
    ...(processes > availableParallelism() ? { OMPI_MCA_mpi_yield_when_idle: "1" } : {}),
    PRTE_MCA_rmaps_default_mapping_policy: ":oversubscribe",
    ...(threadsEach(availableParallelism(), processes) > 1
      ? { OMPI_MCA_hwloc_base_binding_policy: "none", PRTE_MCA_hwloc_default_binding_policy: "none" }
      : {}),
    [COLUMNS]: String(isTTY ? columns : 0),
  };
}

function ended(child: ChildProcess, mpirun: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.on("close", (code, signal) => resolve(code ?? 128 + (signal === "SIGKILL" ? 9 : 15)));
    child.on("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "ENOENT" ? "is not installed" : `cannot be started: ${error.message}`;
      reject(new UserError(`--processes: ${mpirun} ${why}. ${installation}`));
    });
  });
}

/**
 * The first signal asks the run to save and end, a second one ends it at once. Answers with the exit code that belongs to what was asked.
 */
function passSignals(child: ChildProcess): () => number {
  let code = 0;
  const ask = (name: SignalName) => (): void => {
    if (code !== 0) return void child.kill("SIGTERM");
    code = signals[name];
    child.stdin?.write(`${name}\n`);
  };
  for (const name of Object.keys(signals) as SignalName[]) process.on(name, ask(name));
  process.stdout.once("error", ask("SIGHUP"));
  return () => code;
}

/** In a process that a launcher started: takes what it passes on for a signal of its own. */
export function obeyLauncher(): void {
  if (process.env[LAUNCHED] === undefined || startedRanks()?.rank !== 0) return;
  const deliver = (name: string): void => {
    const known = Object.keys(signals).find((signal) => signal === name) as SignalName | undefined;
    if (known && !process.emit(known)) process.exit(signals[known]);
  };
  process.stdin.setEncoding("utf8");
  process.stdin.on("data", (text: string) => text.split("\n").forEach(deliver));
  process.stdin.on("end", () => deliver("SIGHUP")); // the launcher is gone
  process.stdin.unref();
}

/** Leaves out what mpirun adds when a process has ended all: framed text that says less than the process itself. */
class WithoutAbortNotice {
  readonly #write: (text: string) => void;
  #cut = "";
  #frame: string[] | null = null;

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  write(text: string): void {
    const lines = (this.#cut + text).split("\n");
    this.#cut = lines.pop() ?? "";
    for (const line of lines) this.#line(line);
  }

  end(): void {
    const left = [...(this.#frame ?? []), ...(this.#cut === "" ? [] : [this.#cut])];
    if (left.length > 0) this.#write(`${left.join("\n")}\n`);
  }

  #line(line: string): void {
    const rule = /^[-=]{60,}$/.test(line);
    if (!this.#frame) {
      if (rule) this.#frame = [line];
      else this.#write(`${line}\n`);
      return;
    }
    this.#frame.push(line);
    if (!rule) return;
    const text = this.#frame.join("\n");
    this.#frame = null;
    if (!/MPI_ABORT was invoked|Primary job|mpirun (detected|has exited)|BAD TERMINATION/.test(text)) this.#write(`${text}\n`);
  }
}
