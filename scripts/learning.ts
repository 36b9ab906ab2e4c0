/** Draws the README's picture from a run of the main job: node --import=tsx --conditions=source scripts/learning.ts runs/NAME */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { baselines } from "../examples/train/baselines.ts";
import type { Measurement } from "../examples/train/metrics.ts";
import { curve } from "../examples/train/svg/index.ts";
import type { Point } from "../examples/train/svg/index.ts";
import { loadDeclaration } from "../examples/train/text.ts";

const folder = process.argv[2];
if (folder === undefined) throw new Error("learning.ts: which run? Give its folder, such as runs/switch-many-1");
const { goal } = JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) as { goal: { text: { languages: string } } };
const lines = readFileSync(join(folder, "metrics.jsonl"), "utf8").trim().split("\n");
const measured = lines.map((line) => JSON.parse(line) as Measurement);
const corpus = loadDeclaration(goal.text.languages);

const drawing = curve({
  title: `A Switch Transformer learns ${corpus.classes.length} languages`,
  description: "Bits per byte by step, beside what counting achieves",
  series: [
    { name: "training", points: measured.map(({ step, training }): Point => [step, training]) },
    { name: "validation", points: measured.flatMap(({ step, validation }): Point[] => (validation === null ? [] : [[step, validation]])) },
  ],
  // The lower ones are beaten before the first measurement, and would press the curves flat.
  baselines: baselines(corpus)
    .slice(2)
    .map(({ name, bits }) => ({ name, value: bits })),
  x: "step",
  y: "bits per byte",
});
writeFileSync(new URL("../docs/pictures/learning.svg", import.meta.url), `${drawing}\n`);
