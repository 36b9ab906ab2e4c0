/**
 * Builds dist/: one ES module for each entry of package.json, what they share in chunks, source maps and declarations.
 * Splitting is what keeps one core: without it every entry would carry a Tensor class and a current backend of its own.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { entries, manifest } from "./entries.ts";

function requireSources(): void {
  const missing = entries.filter((entry) => !existsSync(entry.source));
  if (missing.length > 0)
    throw new Error(`build: package.json exports ${missing.map((entry) => entry.source).join(", ")}, which do not exist`);
}

function bundle(): Promise<unknown> {
  return build({
    entryPoints: entries.map((entry) => entry.source),
    outbase: "src",
    outdir: "dist",
    chunkNames: "chunks/[name]-[hash]",
    bundle: true,
    splitting: true,
    format: "esm",
    platform: "neutral",
    target: "es2022",
    sourcemap: true,
    sourcesContent: false,
    external: ["node:*", ...Object.keys(manifest.peerDependencies)],
    logLevel: "warning",
  });
}

function declarations(): void {
  const { status } = spawnSync("npx", ["tsc", "-p", "tsconfig.build.json"], { stdio: "inherit" });
  if (status !== 0) throw new Error(`build: tsc -p tsconfig.build.json ended with ${status}`);
  for (const file of readdirSync("dist", { encoding: "utf8", recursive: true }).filter((name) => name.endsWith(".d.ts"))) {
    pointAtBuilt(join("dist", file));
  }
}

/** tsc leaves "./tensor.ts" in declarations as it stands; beside tensor.d.ts lies tensor.js. */
function pointAtBuilt(file: string): void {
  const text = readFileSync(file, "utf8");
  writeFileSync(file, text.replace(/((?:from|import\() ?"\.{1,2}\/[^"]*)\.ts"/g, '$1.js"'));
}

function requireOutputs(): void {
  const missing = entries.flatMap((entry) => [entry.built, entry.types]).filter((file) => !existsSync(file));
  if (missing.length > 0) throw new Error(`build: package.json names ${missing.join(", ")}, which the build did not write`);
}

requireSources();
rmSync("dist", { recursive: true, force: true });
await bundle();
declarations();
requireOutputs();
