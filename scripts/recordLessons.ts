/**
 * Runs lessons in full and keeps what they print and draw, for the pages that show it: `npm run lessons`, or `npm run lessons 4 07`.
 * Outputs go to docs/lessons/outputs.json and pictures beside it, after each lesson. A lesson that fails, or does not print what its header
 * promises, is not kept and makes the command fail.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { lessonOf } from "./lessons.ts";
import { outputsFile, picturesIn } from "./lessonOutputs.ts";
import type { LessonOutput } from "./lessonOutputs.ts";

const folder = "docs/lessons";
const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };

/** Throws with what the lesson said where it ended with an error. */
function record(file: string): LessonOutput {
  const start = performance.now();
  const options = ["--import=./scripts/typescript.mjs", "--conditions=source", join("examples", file)];
  const { status, stdout, stderr } = spawnSync(process.execPath, options, {
    encoding: "utf8",
    env: { ...process.env, SWITCHYARD_SHORT: "0" },
  });
  if (status !== 0) throw new Error(`${file} ended with ${status}\n${stdout}\n${stderr}`);
  const pictures = picturesIn(stdout);
  for (const path of pictures) copyFileSync(path, join(folder, basename(path)));
  return {
    version,
    date: new Date().toISOString().slice(0, 10),
    node: process.versions.node,
    seconds: Math.round((performance.now() - start) / 1000),
    printed: stdout.trimEnd(),
    pictures: pictures.map((path) => basename(path)),
  };
}

/** The outputs that there are, with one put in or replaced, in the order of lessons. */
function keep(name: string, output: LessonOutput): void {
  const all = { ...(JSON.parse(readFileSync(outputsFile, "utf8")) as Record<string, LessonOutput>), [name]: output };
  const sorted = Object.fromEntries(Object.entries(all).toSorted(([a], [b]) => a.localeCompare(b)));
  writeFileSync(outputsFile, `${JSON.stringify(sorted, null, 2)}\n`);
}

mkdirSync(folder, { recursive: true });
const asked = process.argv.slice(2);
const lessons = readdirSync("examples").filter((name) => /^\d\d-.*\.ts$/.test(name));
const chosen = asked.length === 0 ? lessons.map((file) => ({ file, error: undefined })) : asked.map((one) => lessonOf(one, lessons));
for (const { file, error } of chosen)
  try {
    if (file === undefined) throw new Error(error);
    const output = record(file);
    keep(file.slice(0, -3), output);
    console.log(`${file}: ${output.seconds} s, ${output.pictures.length} pictures`);
  } catch (fault) {
    console.error(fault instanceof Error ? fault.message : String(fault));
    process.exitCode = 1;
  }
