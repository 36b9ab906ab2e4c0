/** The main job on many processes is the main job in one: same bits, same files, and nothing lost when something goes wrong. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import type { Tensor } from "switchyard-moe";
import { loadCheckpoint } from "../../examples/train/checkpoint.ts";
import { configOf } from "../../examples/train/configuration.ts";
import { lastFile, modelFile } from "../../examples/train/folders.ts";
import { corpusOf, languageJob } from "../../examples/train/languageWork.ts";
import { parseCommand, trainDefaults } from "../../examples/train/options.ts";
import { Processes, threadsEach } from "../../examples/train/processes.ts";
import { leastShards, usualGroup } from "../../examples/train/processOptions.ts";
import { silent } from "../../examples/train/progress.ts";
import { newRun, restoreRun } from "../../examples/train/run.ts";
import { continueRun } from "../../examples/train/runLoop.ts";
import { rowsOf } from "../../examples/train/training.ts";
import { UserError } from "../../examples/train/userError.ts";
import { bundled } from "../bundled.ts";
import { allowed, itWith } from "../distributed/installed.ts";

const small = { width: 8, heads: 2, hidden: 16, experts: 4, length: 16, batch: 8, steps: 6, every: 2 } as const;
const typed = Object.entries(small).flatMap(([name, value]) => [`--${name}`, String(value)]);

/** A text of its own, and shards that 1, 2 and 4 processes divide. */
function configFor(folder: string) {
  return configOf({ ...trainDefaults(), ...small, data: join(folder, "text"), shards: 4, ordered: true });
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Runs a program to its end; `watch` sees what it printed so far. */
function run(command: string, args: readonly string[], watch?: (output: string, stop: (signal: NodeJS.Signals) => void) => void) {
  const child = spawn(command, args, { env: allowed });
  let output = "";
  return new Promise<Ended>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
        watch?.(output, (signal) => child.kill(signal));
      });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}

const job = (...args: readonly string[]): readonly string[] => [bundled("examples/train/main.ts"), ...args];

function never(): never {
  throw new Error("the run is not shared");
}

/** What is left of the bits of two states: names of tensors that differ. */
function differing(a: string, b: string): string[] {
  const all = (path: string): Map<string, Tensor> => {
    const { weights, optimizer } = loadCheckpoint(lastFile(path));
    return new Map([...weights, ...[...(optimizer?.tensors ?? [])].map(([name, tensor]) => [`optimizer/${name}`, tensor] as const)]);
  };
  const [first, second] = [all(a), all(b)];
  const bits = (tensor: Tensor | undefined): string => Array.from(tensor?.dataSync() ?? []).join();
  return [...new Set([...first.keys(), ...second.keys()])].filter((name) => bits(first.get(name)) !== bits(second.get(name)));
}

describe("the main job on many processes", function () {
  this.timeout(600_000);
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "switchyard-processes-"));
    const sentence = (i: number): string => `All human beings are born free, number ${i}, and equal in dignity and rights.\n`;
    writeFileSync(join(folder, "text"), Array.from({ length: 40 }, (_, i) => sentence((i * 7919) % 1000)).join(""));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** The run of one process, on the reference backend. */
  async function alone(path: string, steps = 6): Promise<void> {
    const shared = configFor(folder);
    const config = { ...shared, training: { ...shared.training, steps } };
    const processes = await Processes.start(config.sharing ?? never());
    await continueRun(newRun(path, config, languageJob(config, corpusOf({ data: join(folder, "text") })), processes), { screen: silent });
  }

  it("is interrupted and resumed with the same bits, and saves in shards", async () => {
    const [whole, parts] = [join(folder, "whole"), join(folder, "parts")];
    await alone(whole);
    const config = configFor(folder);
    const jobOf = () => languageJob(config, corpusOf({ data: join(folder, "text") }));
    const start = () => Processes.start(config.sharing ?? never());
    const first = newRun(parts, config, jobOf(), await start());
    expect(await continueRun(first, { screen: silent, interrupted: () => first.trainer.steps >= 3 })).to.equal("interrupted");
    expect(lastFile(parts)).to.equal(join(parts, "last"));
    const resumed = restoreRun(parts, jobOf, { steps: 0, seconds: 0, every: 0 }, await start());
    expect(resumed.trainer.steps).to.equal(3);
    expect(await continueRun(resumed, { screen: silent })).to.equal("finished");
    expect(differing(parts, whole)).to.deep.equal([]);
  });

  itWith("mpirun", "has the bits of one process, on two, resumed on four and then on one, and its best model is a whole file", async () => {
    const many = join(folder, "many");
    const start = [
      ...typed,
      "--data",
      join(folder, "text"),
      "--backend",
      "cpu",
      "--shards",
      "4",
      "--ordered",
      "--out",
      many,
      "--steps",
      "3",
    ];
    const first = await run(process.execPath, job(...start, "--processes", "2", "--experts-over", "2", "--shared-state"));
    expect(first.code, first.output).to.equal(0);
    expect(first.output).to.match(/ 2 processes, the experts of a layer over 2/);
    expect(first.output).to.match(/allToAllV +\d.* calls/);
    const second = await run(process.execPath, job("resume", "--from", many, "--processes", "4", "--steps", "6"));
    expect(second.code, second.output).to.equal(0);
    expect(second.output).to.match(/ 4 processes, the experts of a layer over 2/);
    expect(loadCheckpoint(lastFile(many)).step).to.equal(6);
    const third = await run(process.execPath, job("resume", "--from", many, "--processes", "1", "--steps", "8"));
    expect(third.code, third.output).to.equal(0);
    expect(loadCheckpoint(lastFile(many)).step).to.equal(8);
    expect(loadCheckpoint(modelFile(many)).weights.get("blocks.0.feedForward.experts.hidden")?.shape).to.deep.equal([4, 8, 16]);
    const one = join(folder, "one");
    await alone(one, 3); // the learning rate falls until the last step that is planned, at first the third
    const { sharing } = configFor(folder);
    const jobOf = (config: ReturnType<typeof configFor>) => languageJob(config, corpusOf({ data: join(folder, "text") }));
    for (const steps of [6, 8]) {
      const resumed = restoreRun(one, jobOf, { steps, seconds: 0, every: 0 }, await Processes.start(sharing ?? never()));
      await continueRun(resumed, { screen: silent });
    }
    expect(differing(many, one)).to.deep.equal([]);
  });

  itWith("mpirun", "saves once at Ctrl-C, says how to go on, and ends with its code", async () => {
    const out = join(folder, "run");
    let asked = false;
    const options = [...typed, "--data", join(folder, "text"), "--backend", "cpu", "--steps", "100000", "--every", "50000", "--out", out];
    const { code, output } = await run(process.execPath, job(...options, "--processes", "2"), (text, stop) => {
      if (!asked && /step +20\//.test(text)) stop("SIGINT");
      asked ||= /step +20\//.test(text);
    });
    const [, step] = /interrupted after step (\d+); saved\. Go on with: npm start -- resume --from /.exec(output) ?? [];
    expect(loadCheckpoint(lastFile(out)).step, output).to.equal(Number(step));
    expect(code).to.equal(130);
  });

  const faulty = (fault: string): Promise<Ended> =>
    run("mpirun", ["-n", "2", process.execPath, bundled("test/train/faultyRun.ts"), fault, folder]);

  itWith("mpirun", "ends on all processes where one throws, and names it, its step and its last collective", async () => {
    const { code, output } = await faulty("throws");
    expect(code).to.not.equal(0);
    expect(output).to.match(
      /rank 1 of 2, step 3, allToAllV of a Float32Array of \d+ \(call \d+ of a group of 2\): RangeError: no such token/,
    );
  });

  itWith("mpirun", "stops before a checkpoint is spoilt where the loss of one process is no number", async () => {
    const { code, output } = await faulty("nan");
    expect(code).to.not.equal(0);
    expect(output).to.match(/step 3: the loss is NaN, of shard 1 \(process 1\); .*the last good checkpoint is .*last \(step 2\)/);
    expect(loadCheckpoint(lastFile(join(folder, "run"))).step).to.equal(2);
  });

  itWith("mpirun", "notices that it was started by one's own mpirun, and by how many", async () => {
    const { code, output } = await run("mpirun", ["-n", "2", process.execPath, ...job(...typed, "--data", join(folder, "text"), "--processes", "3", "--out", join(folder, "run"))]); // prettier-ignore
    expect(code).to.not.equal(0);
    expect(output).to.include("--processes 3: mpirun or srun started 2; leave --processes out, or start 3");
  });

  it("says how MPI is installed where it is not", async () => {
    const child = spawn(process.execPath, job(...typed, "--data", join(folder, "text"), "--processes", "2"), {
      env: { ...process.env, SWITCHYARD_MPIRUN: join(folder, "mpirun") },
    });
    let output = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
    const code = await new Promise((resolve) => child.on("close", resolve));
    expect(code).to.equal(1);
    expect(output).to.match(/mpirun is not installed\. Install one: Debian and Ubuntu: apt-get install openmpi-bin; Fedora: dnf install .*; macOS: brew install open-mpi\n$/); // prettier-ignore
  });
});

describe("the options of many processes", () => {
  const wrong: Record<string, RegExp> = {
    "--processes 0": /--processes: "0" is not a whole number of at least 1/,
    "--processes 4 --experts-over 3": /--experts-over 3: does not divide 16 experts; want one of 1, 2, 4, 8, 16/,
    "--processes 6 --experts-over 4 --batch 12": /--experts-over 4: does not divide 6 processes; want one of 1, 2, 3, 6/,
    "--processes 3 --experts-over 3 --router deepseek": /--experts-over 3: does not divide 64 experts/,
    "--processes 4 --shards 6": /--shards 6: a step has 6 shards, which do not divide over 4 processes; want a multiple of 4/,
    "--processes 8 --batch 4": /--batch 4: too few sequences for 8 shards, which 8 processes need/,
    "--processes 2 --backend gpu": /--backend gpu: the numbers of the gpu can only be read by waiting/,
    "--processes 2 --compare": /--compare: its six runs are trained in one process each/,
    "--processes 2 --architecture encoder-decoder": /only decoders are trained on many processes .* padded as a whole/,
    "--processes 2 --experts-over 2 --expert-dropout 0.1": /the masks inside experts would depend on who holds them/,
    "finetune --from runs/x --processes 2": /finetune: --processes: only train and resume share their work over processes; of finetune, /,
    "distil --from runs/x --ordered": /distil: --ordered: only train and resume .* its teacher is read whole by one process/,
  };
  for (const [line, message] of Object.entries(wrong))
    it(`refuse ${line}`, () => expect(() => parseCommand(line.split(" "))).to.throw(UserError, message));

  it("spread the experts inside of a host where their gradients are more than the tokens", () => {
    const group = (change: object, processes: number, onHost = processes): number =>
      usualGroup(processes, { model: { ...trainDefaults(), ...change }, training: { ...trainDefaults(), ...change } }, onHost);
    expect([group({}, 2), group({}, 4), group({}, 8, 4), group({}, 6)]).to.deep.equal([2, 4, 4, 2]);
    expect([group({ batch: 512 }, 2), group({ expertDropout: 0.1 }, 2), group({ experts: 3 }, 2)]).to.deep.equal([1, 1, 1]);
  });

  it("ask for as few shards as the processes need", () => {
    for (const [processes, accumulate] of [
      [2, 1],
      [4, 2],
      [3, 2],
      [6, 4],
      [1, 5],
    ] as const)
      // prettier-ignore
      for (let shards = 1; shards <= leastShards(processes, accumulate); shards++)
        expect((shards * accumulate) % processes === 0, `${shards}`).to.equal(shards === leastShards(processes, accumulate));
  });

  it("cut a batch into rows that are each in one shard", () => {
    for (const [batch, shards] of [
      [8, 4],
      [7, 3],
      [5, 5],
    ] as const) {
      // prettier-ignore
      const cuts = Array.from({ length: shards }, (_, i) => rowsOf(batch, i, shards));
      expect(cuts.map(({ from }) => from)).to.deep.equal([0, ...cuts.slice(0, -1).map(({ to }) => to)]);
      expect(cuts.at(-1)?.to).to.equal(batch);
      for (const { from, to } of cuts) expect(to - from).to.be.oneOf([Math.floor(batch / shards), Math.ceil(batch / shards)]);
    }
  });

  it("share the cores of a host", () => expect([threadsEach(8, 2), threadsEach(2, 4), threadsEach(7, 2)]).to.deep.equal([4, 1, 3]));
});
