/**
 * Uses the packed tarball (in the folder given) as its users will: installs, imports, requires, type-checks, bundles, runs and weighs it.
 * What they use beside it is in scripts/consumer/tools, with a lock file of its own.
 */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { build, transformSync } from "esbuild";
import type { BuildResult } from "esbuild";
import { entries, manifest } from "./entries.ts";
import { loadedWith } from "./loadedWith.ts";

/** KB of 1,000 bytes, minified and gzipped. They move only with a line in the changelog. */
const BUDGETS: Readonly<Record<string, number>> = { ".": 35, "./moe": 20, "./pretrained": 43 };

const folder = resolve(process.argv[2] ?? ".");
const consumer = join(folder, "consumer");
const peers = Object.keys(manifest.peerDependencies);

function sh(command: string, ...args: string[]): void {
  console.log(`$ ${command} ${args.join(" ")}`);
  execFileSync(command, args, { cwd: consumer, stdio: "inherit" });
}

function install(): void {
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz"));
  if (tarball === undefined) throw new Error(`tarball: there is no .tgz in ${folder}; run npm pack --pack-destination ${folder}`);
  for (const from of ["scripts/consumer", "scripts/consumer/tools"]) cpSync(from, consumer, { recursive: true });
  const quietly = ["--no-audit", "--no-fund", "--ignore-scripts"];
  sh("npm", "ci", ...quietly);
  // Of the optional peers only fast-check: ./backend/gpu must load, and explain itself, without gpu.js.
  sh("npm", "install", "--no-save", ...quietly, join(folder, tarball), `fast-check@${manifest.peerDependencies["fast-check"]}`);
}

function importAll(): void {
  const specifiers = entries.map(({ specifier }) => specifier);
  sh("node", "oneCore.mjs", ...specifiers);
  sh("node", "required.cjs", ...specifiers);
}

/** The compilers that check the declarations, by kind of module: all of them as Node resolves, the fastest as bundlers resolve too. */
const COMPILERS = { nodenext: ["typescript-5", "typescript-6", "typescript-7"], esnext: ["typescript-7"] };
const RESOLUTIONS = { nodenext: "nodenext", esnext: "bundler" } as const;

/** Declarations, and what the README shows, must compile for a user who checks libraries too: as Node resolves, and as bundlers do. */
function typeCheck(): void {
  const imports = entries.map(({ specifier }, index) => `import * as entry${index} from "${specifier}";\nvoid entry${index};\n`);
  writeFileSync(join(consumer, "entries.ts"), imports.join(""));
  const blocks = [...readFileSync("README.md", "utf8").matchAll(/^```ts\n([\s\S]*?)^```/gm)].map(([, code = ""], index) => {
    writeFileSync(join(consumer, `readme${index}.ts`), code); // as someone who pastes it
    return `readme${index}.ts`;
  });
  const files = ["entries.ts", "types.ts", "bytes.ts", ...blocks];
  for (const module of ["nodenext", "esnext"] as const) {
    const strictest = { strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, skipLibCheck: false };
    const platform = { target: "es2022", lib: ["es2023", "dom"], types: [] };
    const compilerOptions = { noEmit: true, module, moduleResolution: RESOLUTIONS[module], ...strictest, ...platform };
    writeFileSync(join(consumer, `tsconfig.${module}.json`), JSON.stringify({ compilerOptions, files }));
    for (const compiler of COMPILERS[module]) sh("node", `node_modules/${compiler}/bin/tsc`, "-p", `tsconfig.${module}.json`);
  }
}

/** Runs the page from the package, and from the bundle that each bundler makes of it. */
function bundleElsewhere(): void {
  sh("node", "page.mjs");
  sh("node", "bundle.mjs");
  for (const bundler of ["vite", "rollup", "webpack"]) sh("node", join("bundles", bundler, "page.mjs"));
}

const PROGRAM = "site/content/programs/fromDataToText.ts";

/** Each engine by the command that runs a program; Bun and Deno come as files from npm, for the platform that CI has. */
const engines: Readonly<Record<string, readonly [string, ...string[]]>> = {
  node: ["node"],
  bun: ["node_modules/@oven/bun-linux-x64/bin/bun"],
  deno: ["node_modules/@deno/linux-x64-glibc/deno", "run", "--allow-read", "--allow-write=mine.safetensors"],
};

/** A program with the backend that rounds alike in every engine: newer ones fuse multiply and add, and a few steps later another byte is drawn. */
function deterministic(program: string): string {
  const parts = program.split('useBackend("wasm")');
  if (parts.length !== 2)
    throw new Error(`tarball: ${parts.length - 1} calls of useBackend("wasm") in a program that engines are compared by: want 1`);
  return `import { wasm } from "${manifest.name}/backend/wasm";\n${parts.join("useBackend(await wasm({ deterministic: true }))")}`;
}

/** Throws unless the guide's program from data to text, and the page's, print the same in every engine. */
function runElsewhere(): void {
  const program = transformSync(readFileSync(PROGRAM, "utf8"), { loader: "ts" }).code;
  writeFileSync(join(consumer, "program.mjs"), deterministic(program));
  writeFileSync(join(consumer, "alike.mjs"), deterministic(readFileSync(join(consumer, "page.mjs"), "utf8")));
  writeFileSync(join(consumer, "text.txt"), readFileSync("README.md"));
  const printed = Object.entries(engines).flatMap(([name, [command, ...options]]) => {
    if (command !== "node" && !existsSync(join(consumer, command))) {
      if (process.platform === "linux" && process.arch === "x64") throw new Error(`tarball: ${name} was not installed`);
      console.log(`${name}: there is no file of it here for this platform`);
      return [];
    }
    const run = (...args: string[]): string => execFileSync(command, [...options, ...args], { cwd: consumer, encoding: "utf8", timeout: 900_000 }); // prettier-ignore
    run("page.mjs");
    return [{ name, text: run("alike.mjs") + run("program.mjs", "text.txt", "20") }];
  });
  const [first, ...others] = printed;
  console.log(`${printed.map(({ name }) => name).join(", ")}:\n${first.text.trimEnd()}`);
  for (const { name, text } of others) if (text !== first.text) throw new Error(`tarball: ${name} prints something else than ${first.name}:\n${text}`); // prettier-ignore
}

type Bundle = BuildResult<{ metafile: true; write: false }>;

/** As a page would: minified, tree-shaken, for browsers, optional peers left out, what `import()` loads in files of its own. */
const bundle = (specifiers: string[]): Promise<Bundle> =>
  build({
    entryPoints: specifiers,
    absWorkingDir: consumer,
    outdir: "out",
    bundle: true,
    splitting: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    external: peers,
    metafile: true,
    write: false,
    logLevel: "warning",
  });

function gzipped({ outputFiles }: Bundle, files: ReadonlySet<string>): number {
  const chosen = outputFiles.filter(({ path }) => [...files].some((file) => path === join(consumer, file)));
  return chosen.reduce((sum, { contents }) => sum + gzipSync(contents, { level: 9 }).length, 0) / 1000;
}

const outputOf = ({ metafile }: Bundle, specifier: string): string => {
  const found = Object.entries(metafile.outputs).find(([, { entryPoint }]) =>
    entryPoint?.endsWith(entries.find((entry) => entry.specifier === specifier)?.built.slice(1) ?? "?"),
  );
  if (found === undefined) throw new Error(`tarball: esbuild wrote no file for ${specifier}`);
  return found[0];
};

/** Size of an entry alone, and of what it adds for a page that has the core already. */
async function weigh(specifier: string): Promise<{ alone: number; added: number }> {
  const alone = await bundle([specifier]);
  const both = await bundle([manifest.name, specifier]);
  const core = loadedWith(both.metafile.outputs, outputOf(both, manifest.name));
  const own = loadedWith(both.metafile.outputs, outputOf(both, specifier));
  return {
    alone: gzipped(alone, loadedWith(alone.metafile.outputs, outputOf(alone, specifier))),
    added: gzipped(both, new Set([...own].filter((file) => !core.has(file)))),
  };
}

async function weighAll(): Promise<void> {
  console.log("\nentry                 gzip KB alone   added to the core   budget");
  const over: string[] = [];
  for (const { specifier, subpath } of entries) {
    const { alone, added } = await weigh(specifier);
    const counted = subpath === "." ? alone : added;
    const budget = BUDGETS[subpath];
    console.log(`${subpath.padEnd(20)}${alone.toFixed(1).padStart(15)}${added.toFixed(1).padStart(20)}${String(budget ?? "").padStart(9)}`);
    if (budget !== undefined && counted > budget) over.push(`${subpath} weighs ${counted.toFixed(1)} KB, its budget is ${budget}`);
  }
  if (over.length > 0) throw new Error(`tarball: ${over.join("; ")}`);
}

install();
importAll();
typeCheck();
bundleElsewhere();
runElsewhere();
await weighAll();
