/**
 * The stages behind .ci/run. Ends with "N passed, N failed" alone on the last line: the sum of all test runs, in which any other
 * stage that failed counts as one failure. Exits with 1 when anything failed.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { bundled } from "../test/bundled.ts";
import { runTwice } from "./stages.ts";
import type { Outcome, Stage } from "./stages.ts";
import { endWithSignals } from "./trees.ts";

const temp = mkdtempSync(join(tmpdir(), "switchyard-"));
const node24 = join(temp, "node24", "node_modules", `node-${process.platform}-${process.arch}`, "bin");

const examples = ["examples", "examples/train"].flatMap((folder) =>
  readdirSync(folder)
    .filter((name) => (folder === "examples" ? /^\d.*\.ts$/.test(name) : name === "main.ts"))
    .map((name) => `${folder}/${name}`),
);

/** A file of the tree that `npm run compile` makes. */
const compiled = (file: string): string => `runs/compiled/${file.replace(/\.ts$/, ".js")}`;

const onNode24 = { env: { PATH: node24 + delimiter + process.env.PATH }, after: ["fetch Node 24", "compile"] };
/**
 * What depends on the engine: WebAssembly, gpu.js, threads, processes, the collector, files, and the numbers of other implementations. Layers, routers
 * and derivatives are arithmetic on these, the same on every engine that keeps to the language.
 */
const engineMatters = [
  "test/fixtures.test.ts",
  "test/autograd/{wasm,random}.test.ts",
  "test/backend/{gpu,gpuLauncher,gpuModes,wasm,wasmBlocks,wasmIntegers,wasmMath,wasmMemory,wasmPrograms,wasmThreads}.test.ts",
  "test/{distributed,memory,parity}/*.test.ts",
  "test/nn/safetensors.test.ts",
];

// Those that take longest first, so that the lanes end together.
const stages: Stage[] = [
  { name: "compile", command: "npm run compile" },
  { name: "build", command: "npm run build" },
  {
    name: "fetch Node 24",
    command: `npm i --no-save --ignore-scripts --no-audit --no-fund --prefix ${join(temp, "node24")} node-${process.platform}-${process.arch}@24`,
  },
  { name: "check", command: "npm run check" },
  { name: `tests on Node ${process.versions.node}`, command: "npm test", after: ["compile"] },
  // Installs the site's own packages, which are no part of `npm ci` above.
  { name: "site", command: "npm run site" },
  { name: "browser", command: "npm run test:browser" },
  { name: "sabotage, a fifth", command: "node --import=tsx scripts/sabotage.ts --of 5" },
  { name: "tests of the site", command: "npm run test:site", after: ["site"] },
  {
    name: "tests of what depends on the engine, on Node 24",
    command: `node --version && npm exec -- mocha --config test/compiled.mocharc.json --parallel --jobs 2 ${engineMatters.map((files) => `"${compiled(files)}"`).join(" ")}`,
    ...onNode24,
  },
  { name: "pack", command: `npm pack --silent --ignore-scripts --pack-destination ${temp}`, after: ["build"] },
  { name: "tarball", command: `node --import=tsx scripts/tarball.ts ${temp}`, after: ["pack"] },
  {
    name: "claims of the papers, two steps each",
    command: "npm run paper -- --all --steps 2 --seeds 2 --cache runs/short",
  },
  ...[
    ["openmpi", "--oversubscribe -n 4"],
    ["mpich", "-n 2"],
  ].map(([engine, ranks]) => ({
    name: `laws of layouts, mpirun.${engine} ${ranks}`,
    command: `mpirun.${engine} ${ranks} node ${bundled("test/distributed/mpiLaws.ts")}`,
    env: { OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1" },
  })),
  {
    name: "main job on Node 24",
    command: `node --import=./scripts/typescript.mjs --conditions=source examples/train/main.ts --out ${join(temp, "run24")}`,
    ...onNode24,
    env: { ...onNode24.env, SWITCHYARD_SHORT: "1" },
  },
  ...examples.toReversed().map((file) => ({
    name: file,
    command: `node ${compiled(file)}`,
    after: ["compile"],
    env: { SWITCHYARD_SHORT: "1" },
  })),
  { name: "types of the site", command: "npm run check:site", after: ["site"] },
  { name: "publint", command: `npm exec --yes -- publint@0.3.25 --strict ${temp}/*.tgz`, after: ["pack"] },
  {
    name: "are the types wrong",
    command: `npm exec --yes -- @arethetypeswrong/cli@0.18.5 --profile esm-only --quiet ${temp}/*.tgz`,
    after: ["pack"],
  },
];

/** What mocha says of itself in its last lines; a stage without them counts itself. */
function counts({ ok, output }: Outcome): { passed: number; failed: number } {
  const of = (word: string): number =>
    [...output.matchAll(new RegExp(`^ {2}(\\d+) ${word}`, "gm"))].reduce((sum, [, n]) => sum + Number(n), 0);
  const failed = of("failing");
  return { passed: of("passing"), failed: failed > 0 || ok ? failed : 1 };
}

/** What failed once more at the end, where one looks first: from the list of failures on, or the last lines. */
function failure(name: string, verdict: string, output: string): string {
  const list = output.search(/^ {2}\d+ failing$/m);
  const lines = (list < 0 ? output : output.slice(list)).trimEnd().split("\n");
  return `\n=== ${name}: ${verdict}\n${(list < 0 ? lines.slice(-40) : lines.slice(0, 120)).join("\n")}`;
}

function summary(outcomes: readonly Outcome[], wall: number): void {
  console.log("\nseconds per stage, and of processor time");
  for (const { name, ok, seconds, processor, before } of outcomes) {
    const verdict = ok ? (before === undefined ? "" : "  at the second try") : "  FAILED";
    console.log(`${seconds.toFixed(1).padStart(7)} ${processor.toFixed(1).padStart(7)}  ${name}${verdict}`);
  }
  const all = outcomes.reduce((sum, { processor }) => sum + processor, 0);
  console.log(`${wall.toFixed(1).padStart(7)} ${all.toFixed(1).padStart(7)}  from start to end, ${lanes} stages at a time`);
}

endWithSignals();
// .ci/run has installed already and tells how long it took: "install=12".
const installed = Number(process.argv[2]?.split("=")[1] ?? 0);
/** One more took as long: threads that wait for one another spin meanwhile. */
const lanes = availableParallelism();
const outcomes = await runTwice(stages, { lanes });
rmSync(temp, { recursive: true, force: true });
summary([{ name: "install", ok: true, seconds: installed, processor: 0, output: "" }, ...outcomes], installed + performance.now() / 1000);
for (const { name, ok, output, before } of outcomes)
  if (!ok) console.log(failure(name, "FAILED", output));
  else if (before !== undefined) console.log(failure(name, "passed at the second try, alone; at the first", before));
const sums = outcomes.map(counts);
const passed = sums.reduce((sum, count) => sum + count.passed, 0);
const failed = sums.reduce((sum, count) => sum + count.failed, 0);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
