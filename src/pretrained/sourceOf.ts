/** Makes a source from a path, an address or files. */
import { describe, having } from "../autograd/arguments.ts";
import { addressSource } from "./addressSource.ts";
import { folderSource } from "./folderSource.ts";
import type { FileLike, Source } from "./source.ts";
import { filesSource } from "./source.ts";

/** What `loadPretrained` takes: a folder's path, an address that starts with http, a URL, the `File`s of a page, or a `Source`. */
export type SourceLike = string | { readonly href: string } | Iterable<FileLike> | Source;

const isSource = having("a source", "where", "list", "sizeOf", "read", "close");

/** The source for a path, an address, a URL or files; a source itself stays as it is. Throws a TypeError for anything else. */
export function sourceOf(where: string, given: SourceLike): Source {
  if (isSource.accepts(given)) return given as Source;
  const address = typeof given === "string" ? given : hrefOf(given);
  if (address !== undefined) return /^https?:\/\//i.test(address) ? addressSource(address) : folderSource(pathOf(address));
  if (typeof given === "object" && given !== null && Symbol.iterator in given) return filesSource(given);
  throw new TypeError(`${where}: source ${describe(given)}: want a folder's path, an address, the Files of a page, or a Source`);
}

function hrefOf(given: SourceLike): string | undefined {
  return typeof given === "object" && given !== null && "href" in given ? given.href : undefined;
}

/** file:///a%20b -> /a b */
function pathOf(address: string): string {
  return /^file:\/\//i.test(address) ? process.getBuiltinModule("node:url").fileURLToPath(address) : address;
}
