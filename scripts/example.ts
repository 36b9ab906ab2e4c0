/** Runs a lesson by its number: npm run example 1, or npm run example 01. */
import { readdirSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { lessonOf } from "./lessons.ts";

const asked = process.argv[2];
const { file, error } = lessonOf(asked, readdirSync("examples"));
if (file === undefined) {
  console.error(error);
  process.exitCode = 1;
} else await import(pathToFileURL(`examples/${file}`).href);
