/** The package's entries, as `exports` in package.json lists them: the one place that says what is public. */
import { readFileSync } from "node:fs";

export interface Entry {
  /** As users import it: "switchyard-moe/nn". */
  readonly specifier: string;
  /** As `exports` names it: "./nn". */
  readonly subpath: string;
  readonly source: string;
  readonly types: string;
  readonly built: string;
}

interface Manifest {
  readonly name: string;
  readonly engines: { readonly node: string };
  readonly scripts: Record<string, string>;
  readonly exports: Record<string, string | { source: string; types: string; default: string }>;
  readonly peerDependencies: Record<string, string>;
}

export const manifest: Manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));

export const entries: readonly Entry[] = Object.entries(manifest.exports).flatMap(([subpath, target]) =>
  typeof target === "string"
    ? []
    : [{ specifier: manifest.name + subpath.slice(1), subpath, source: target.source, types: target.types, built: target.default }],
);
