/**
 * Compiles the project to JavaScript, as a tree of its own in `runs/compiled`: what starts there needs no transpiler, in no process and in no
 * thread. On Node 20 each thread would else load one, with a thread for it. Does nothing where the tree is that of the sources.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { entries, manifest } from "./entries.ts";

const TREE = "runs/compiled";
/** Written last: the hash of what the tree was made of. */
const STAMP = join(TREE, "made-of");

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.parentPath.includes("node_modules"))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();

function hashOf(files: readonly string[]): string {
  const hash = createHash("sha256");
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(file));
  return hash.digest("hex");
}

function standing(): string | undefined {
  try {
    return readFileSync(STAMP, "utf8");
  } catch {
    return undefined; // never made, or not to its end
  }
}

/** With source maps, so that errors name lines of the sources. Types are `npm run check`'s to judge. */
function emit(): void {
  const options = ["--noEmit", "false", "--noCheck", "--sourceMap", "--outDir", TREE];
  const { status } = spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", ".", ...options], { stdio: "inherit" });
  if (status !== 0) throw new Error(`compile: tsc ended with ${status}`);
}

/** The compiler makes "./x.js" of an imported "./x.ts", but not of an address that is given to a thread or a process. */
function redirect(file: string): void {
  const text = readFileSync(file, "utf8");
  const redirected = text.replace(/(new URL\("[^"]+)\.ts(", import\.meta\.url\))/g, "$1.js$2");
  if (redirected !== text) writeFileSync(file, redirected);
}

/** What modules read beside themselves, sources too. */
function link(file: string): void {
  const place = join(TREE, file);
  mkdirSync(dirname(place), { recursive: true });
  try {
    symlinkSync(relative(dirname(place), file), place);
  } catch {
    copyFileSync(file, place); // Windows makes links for administrators only
  }
}

/** The package by its own name has the compiled sources for entries, in the tree. */
function describePackage(): void {
  const exports = entries.map(({ subpath, source, types, built }) => {
    return [subpath, { node: source.replace(/\.ts$/, ".js"), source, types, default: built }];
  });
  writeFileSync(join(TREE, "package.json"), JSON.stringify({ ...manifest, exports: Object.fromEntries(exports) }, null, 2));
}

const files = ["src", "test", "examples", "scripts", "bench", "docs"].flatMap(filesIn);
const hash = hashOf([...files, "package.json", "tsconfig.json"]);
if (standing() !== hash) {
  rmSync(TREE, { recursive: true, force: true });
  emit();
  for (const file of filesIn(TREE)) if (file.endsWith(".js")) redirect(file);
  for (const file of files) link(file);
  describePackage();
  writeFileSync(STAMP, hash);
}
