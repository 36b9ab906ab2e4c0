/** Programs that a test starts as processes, each as one file: its modules are read and transpiled once, not by every process. */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { buildSync } from "esbuild";
import { entries } from "../scripts/entries.ts";

const built = new Map<string, string>();

/** The file to start, made of a TypeScript program of this repository and of what it imports; packages stay where they are. */
export function bundled(program: string): string {
  const known = built.get(program);
  if (known !== undefined) return known;
  // Two folders below the root, as the sources are: packages and package.json are found from there.
  mkdirSync("runs", { recursive: true });
  const folder = mkdtempSync(join("runs", "bundled-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const outfile = join(folder, `${basename(program, ".ts")}.mjs`);
  buildSync({
    entryPoints: [program],
    outfile,
    bundle: true,
    platform: "node",
    format: "esm",
    packages: "external",
    alias: Object.fromEntries(entries.map(({ specifier, source }) => [specifier, source])),
    logLevel: "warning",
  });
  built.set(program, outfile);
  return outfile;
}
