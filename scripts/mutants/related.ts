/** Which test files are near a source: those that mirror it, then those that import what it defines, directly or over one file. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { parseSync } from "oxc-parser";
import type { StaticExportEntry, StaticImportEntry } from "oxc-parser";
import { entries } from "../entries.ts";

/** Beyond its own chapter, a test counts as near when it is at most so many imports away. */
const NEAR = 2;

interface Import {
  readonly from: string;
  /** Undefined where a module is imported without names, "all" where whatever it exports may be used. */
  readonly entry: StaticImportEntry | "all" | undefined;
}

interface Source {
  readonly text: string;
  readonly imports: readonly Import[];
  readonly exports: readonly StaticExportEntry[];
}

/** The imports of a tree, name by name: what comes through an index file leads to the file that defines it. */
export class ImportGraph {
  readonly #files = new Map<string, Source>();
  /** Who imports a file. */
  readonly #importers = new Map<string, Set<string>>();

  /** Of all .ts files of these folders, which are relative to the working directory. */
  constructor(folders: readonly string[] = ["src", "test", "examples", "scripts", "bench"]) {
    for (const file of folders.flatMap(sourcesOf)) this.#files.set(file, read(file));
    for (const [file, { imports }] of this.#files)
      for (const { from, entry } of imports)
        for (const target of this.#targets(file, from, entry)) {
          if (!this.#importers.has(target)) this.#importers.set(target, new Set());
          this.#importers.get(target)?.add(file);
        }
  }

  /** Test files that reach the source, and how far each is: its mirror, those of its chapter, and others within a few imports. */
  distances(source: string): Map<string, number> {
    const [, chapter] = source.split("/");
    const found = this.#imports(source);
    const near = [...this.#files.keys()].filter(isTest).flatMap((file): [string, number][] => {
      const distance = mirrors(file, source) ? 0 : found.get(file);
      const own = file.startsWith(`test/${chapter}/`);
      return distance !== undefined && (own || distance <= NEAR) ? [[file, distance + (own ? 0 : 0.5)]] : [];
    });
    return new Map(near.toSorted(([a, m], [b, n]) => m - n || (a < b ? -1 : 1)));
  }

  #imports(source: string): Map<string, number> {
    const found = new Map([[source, 0]]);
    for (const [file, distance] of found)
      // grows while it is walked: nearest first
      for (const importer of this.#importers.get(file) ?? []) if (!found.has(importer)) found.set(importer, distance + 1);
    return found;
  }

  #targets(file: string, from: string, entry: Import["entry"]): string[] {
    const target = this.#resolve(file, from);
    if (target === undefined) return [];
    if (entry === "all") return [target, ...this.#definers(target)];
    if (entry?.isType) return [];
    const { kind, name } = entry?.importName ?? { kind: "NamespaceObject", name: null };
    if (kind === "Name" && name) return [this.#definer(target, name) ?? target];
    // import * as moe: the members that the file names.
    const { text } = this.#files.get(file) ?? { text: "" };
    const members = entry ? [...text.matchAll(new RegExp(`\\b${entry.localName.value}\\.(\\w+)`, "g"))].map(([, member]) => member) : [];
    return [target, ...new Set(members.flatMap((member) => this.#definer(target, member) ?? []))];
  }

  /** The files that define all that a file exports by name. */
  #definers(file: string): Set<string> {
    const names = (this.#files.get(file)?.exports ?? []).flatMap(({ exportName: { name }, isType }) => (name && !isType ? [name] : []));
    return new Set(names.flatMap((name) => this.#definer(file, name) ?? []));
  }

  /** The file that defines what `file` exports under a name. */
  #definer(file: string, name: string, seen = new Set<string>()): string | undefined {
    const source = this.#files.get(file);
    if (!source || seen.has(file)) return undefined;
    seen.add(file);
    for (const { exportName, importName, moduleRequest } of source.exports) {
      const all = exportName.kind === "None" && importName.kind === "AllButDefault";
      if (!all && exportName.name !== name) continue;
      const target = moduleRequest ? this.#resolve(file, moduleRequest.value) : undefined;
      if (moduleRequest === null) return file;
      if (importName.kind === "All") return target; // export * as name
      const found = target === undefined ? undefined : this.#definer(target, all ? name : (importName.name ?? name), seen);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #resolve(file: string, from: string): string | undefined {
    const found = from.startsWith(".")
      ? join(dirname(file), from)
      : (entries.find(({ specifier }) => specifier === from)?.source.replace(/^\.\//, "") ?? from);
    return found !== undefined && this.#files.has(found) ? found : undefined;
  }
}

/** The .ts files below a folder, as paths with slashes; none where there is no such folder. */
export function sourcesOf(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return entry.name === "node_modules" ? [] : sourcesOf(path);
      return entry.name.endsWith(".ts") ? [path] : [];
    })
    .toSorted();
}

/** Those that mocha runs without a browser. */
export function isTest(file: string): boolean {
  return file.startsWith("test/") && file.endsWith(".test.ts") && !file.startsWith("test/browser/");
}

/** test/nn/adam.test.ts is the mirror of src/nn/adam.ts. */
function mirrors(test: string, source: string): boolean {
  return (
    test === source.replace(/^(?:src|examples)\//, "test/").replace(/\.ts$/, ".test.ts") ||
    basename(test, ".test.ts") === basename(source, ".ts")
  );
}

function read(file: string): Source {
  const text = readFileSync(file, "utf8");
  const { staticImports, staticExports, dynamicImports } = parseSync(file, text).module;
  const fixed = staticImports.flatMap(({ moduleRequest, entries: names }): Import[] =>
    names.length > 0 ? names.map((entry) => ({ from: moduleRequest.value, entry })) : [{ from: moduleRequest.value, entry: undefined }],
  );
  const late = dynamicImports.flatMap(({ moduleRequest: { start, end } }): Import[] => {
    const asked = text.slice(start, end);
    const from = /^["'](.*)["']$/.exec(asked)?.[1];
    if (from !== undefined) return [{ from, entry: undefined }];
    return asked === "specifier" ? entries.map(({ specifier }) => ({ from: specifier, entry: "all" })) : []; // an entry of the package
  });
  // Processes and threads, by their URL; programs that a test bundles, by their path from the root.
  const started = [...text.matchAll(/(?:new URL|\bbundled)\("([^"]+\.ts)"(?:, import\.meta\.url)?\)/g)];
  late.push(...started.map(([, from]): Import => ({ from, entry: undefined })));
  return { text, imports: [...fixed, ...late], exports: staticExports.flatMap(({ entries: names }) => names) };
}
