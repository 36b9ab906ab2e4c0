/** What a bundle by esbuild loads, as its metafile tells. */
import type { Metafile } from "esbuild";

/** The files that load at once with an entry: itself and its static imports. */
export function loadedWith(outputs: Metafile["outputs"], file: string, found = new Set<string>()): Set<string> {
  if (found.has(file) || outputs[file] === undefined) return found;
  found.add(file);
  for (const { path, kind } of outputs[file].imports) if (kind === "import-statement") loadedWith(outputs, path, found);
  return found;
}
