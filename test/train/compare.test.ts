/** The comparison of a sparse model with its dense twin: what it prints and keeps is what its runs give when they are opened again. */
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { key } from "switchyard-moe";
import { evaluateModel } from "../../examples/train/evaluation.ts";
import type { Evaluation } from "../../examples/train/evaluation.ts";
import { openModel } from "../../examples/train/generateText.ts";
import { corpusOf } from "../../examples/train/languageWork.ts";
import type { Measurement } from "../../examples/train/metrics.ts";
import { validationWindows } from "../../examples/train/sequences.ts";
import { bundled } from "../bundled.ts";

const small = "--width 8 --heads 1 --hidden 16 --layers 1 --experts 3 --length 16 --batch 4 --backend cpu --every 2 --lr 0.02".split(" ");
const sides = ["switch", "dense"] as const;

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** The comparison on a text of one's own; interrupted as soon as it prints what `until` looks for. */
function compare(data: string, out: string, { steps = "6", until = null as RegExp | null } = {}): Promise<Ended> {
  const options = ["--compare", "--data", data, "--out", out, "--steps", steps, ...small];
  const child = spawn(process.execPath, [bundled("examples/train/main.ts"), ...options]);
  let [output, asked] = ["", false];
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (asked || !until?.test(output)) return;
      asked = true; // a second signal ends it at once
      child.kill("SIGINT");
    });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, output })));
}

/** Two files of words that follow one another by chance. */
function writeTexts(folder: string): void {
  mkdirSync(folder);
  for (const [name, words] of [
    ["colours", ["red", "green", "blue"]],
    ["numbers", ["one", "two", "three"]],
  ] as const) {
    const draw = key(1).at(name);
    writeFileSync(join(folder, `${name}.txt`), Array.from({ length: 400 }, (_, i) => words[Math.floor(draw.number(i) * 3)]).join(" "));
  }
}

describe("a comparison", function () {
  this.timeout(600_000);
  let [folder, data, out] = ["", "", ""];
  let ended: Ended;
  const evaluations = new Map<string, Evaluation>();
  const measured = (run: string): Measurement[] => readFileSync(join(out, run, "metrics.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line) as Measurement); // prettier-ignore
  const runsOf = (side: string, seed: number): string[] => [...evaluations.keys()].filter((run) => run.startsWith(side) && run.endsWith(`-seed${seed}`)); // prettier-ignore
  const bitsOf = (run: string): number => evaluations.get(run)?.bits ?? NaN;
  /** The three runs that a side is judged by: of one setting. */
  const judged = (side: string): string[] => {
    const [second] = runsOf(side, 2);
    return [second.replace("-seed2", "-seed1"), ...runsOf(side, 2), ...runsOf(side, 3)];
  };
  const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "switchyard-compare-"));
    [data, out] = [join(folder, "data"), join(folder, "out")];
    writeTexts(data);
    ended = await compare(data, out);
    expect(ended.code, ended.output).to.equal(0);
    const corpus = corpusOf({ data });
    const windows = validationWindows(corpus, { length: 16 });
    for (const run of readdirSync(out).filter((name) => name.includes("-seed")))
      evaluations.set(run, await evaluateModel(openModel(join(out, run)).model, windows, { batch: 4, languages: corpus.classes.length }));
  });
  after(() => rmSync(folder, { recursive: true }));

  it("tries four settings of each side on the first seed, and takes the best one for three seeds", () => {
    for (const side of sides) {
      expect(runsOf(side, 1)).to.have.length(4);
      expect(judged(side)).to.have.length(3);
      const [best] = runsOf(side, 1).toSorted((a, b) => bitsOf(a) - bitsOf(b));
      expect(judged(side)[0], side).to.equal(best);
      const [, lr, scale] = /-lr([\d.]+)-init([\d.]+)-/.exec(best) ?? [];
      expect(ended.output).to.include(`${side}: best of four with lr ${lr}, initial scale ${scale}`);
    }
  });

  it("prints what its models need for the held-out text", () => {
    for (const side of sides) {
      const bits = judged(side).map(bitsOf);
      const said = `${side.padEnd(8)} ${mean(bits).toFixed(3)} bits per byte over 3 seeds (${Math.min(...bits).toFixed(3)} to ${Math.max(...bits).toFixed(3)})`;
      expect(ended.output).to.include(said);
    }
  });

  it("says which side is better only where the interval says so", () => {
    const saved = mean(judged("dense").map(bitsOf)) - mean(judged("switch").map(bitsOf));
    const [, shown, low, high, verdict] = /saves (-?[\d.]+) bits per byte \(95 % by article: (-?[\d.]+) to (-?[\d.]+)\): (.+)/.exec(ended.output) ?? []; // prettier-ignore
    expect(Number(shown)).to.be.closeTo(saved, 0.002);
    expect(Number(low)).to.be.at.most(Number(shown));
    expect(Number(high)).to.be.at.least(Number(shown));
    const right = Number(low) > 0 ? "switch is better" : Number(high) < 0 ? "dense is better" : "the difference is within what articles alone would give"; // prettier-ignore
    expect(verdict).to.equal(right);
  });

  it("compares at equal seconds what each had reached when the fastest was done", () => {
    const limit = Math.min(...sides.flatMap(judged).map((run) => measured(run).at(-1)?.seconds ?? NaN));
    const reached = (side: string): string => {
      const best = judged(side).map((run) => Math.min(...measured(run).filter(({ seconds }) => seconds <= limit).map(({ validation }) => validation ?? Infinity))); // prettier-ignore
      return Number.isFinite(mean(best)) ? mean(best).toFixed(3) : "not validated yet";
    };
    expect(ended.output).to.include(`at equal seconds (${limit.toFixed(0)} s; validation sample): switch ${reached("switch")}, dense ${reached("dense")}`); // prettier-ignore
  });

  it("keeps a page with its findings, both curves and a row for each run", () => {
    const page = readFileSync(join(out, "report.html"), "utf8");
    expect(page.match(/<svg/g)).to.have.length.at.least(2);
    for (const side of sides)
      for (const [i, run] of judged(side).entries())
        expect(page.replace(/<[^>]+>/g, " ")).to.match(
          new RegExp(`${side} +${i + 1} +lr [\\d.]+, init [\\d.]+ +${bitsOf(run).toFixed(3)}`),
        );
    const [, finding] = /^(at equal steps .*)$/m.exec(ended.output) ?? [];
    expect(page).to.include(finding);
  });

  it("is not begun in a folder that holds another one", async () => {
    const before = readFileSync(join(out, "report.html"), "utf8");
    const { code, output } = await compare(data, out);
    expect(code).to.equal(1);
    expect(output).to.include("--overwrite");
    expect(readFileSync(join(out, "report.html"), "utf8")).to.equal(before);
  });

  it("that is interrupted keeps its runs and says that it cannot be resumed", async () => {
    const other = join(folder, "interrupted");
    const { code, output } = await compare(data, other, { steps: "100000", until: /step +20\// });
    expect(code).to.equal(130);
    expect(output).to.include(`interrupted; a comparison cannot be resumed, but its runs are kept in ${other}`);
    expect(existsSync(join(other, "switch-lr0.02-init1-seed1/last.safetensors"))).to.equal(true);
    expect(existsSync(join(other, "report.html"))).to.equal(false);
  });
});
