/** Runs the lesson whose file name begins so: npm run example 01. */
import { readdirSync } from "node:fs";
import { pathToFileURL } from "node:url";

const lessons = readdirSync("examples").filter((name) => /^\d\d-.*\.ts$/.test(name)).sort(); // prettier-ignore
const asked = process.argv[2];
const found = lessons.find((name) => asked !== undefined && name.startsWith(asked));
if (found) await import(pathToFileURL(`examples/${found}`).href);
else {
  console.error(`${asked === undefined ? "which lesson?" : `no lesson begins with "${asked}"`} There are:\n  ${lessons.join("\n  ")}`);
  process.exitCode = 1;
}
