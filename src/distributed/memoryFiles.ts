/** Files in memory, for checkpoints of ranks that have no others. */
import type { ShardFiles } from "./shardFiles.ts";

/** Contents by path, which can be sent from rank to rank. */
export type MemoryContent = Map<string, Uint8Array>;

/** Reads and writes `content`. Folders are what paths say. */
export function memoryFiles(content: MemoryContent): ShardFiles {
  const found = (path: string): Uint8Array => {
    const bytes = content.get(path);
    if (!bytes) throw new Error("there is no such file");
    return bytes;
  };
  return {
    join: (...parts) => parts.join("/"),
    list: (folder) => [...new Set([...content.keys()].filter((path) => path.startsWith(`${folder}/`)).map((path) => path.slice(folder.length + 1).split("/")[0]))], // prettier-ignore
    makeFolder: () => {},
    write: (path, bytes) => void content.set(path, typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes.slice()),
    read: found,
    rename(from, to) {
      content.set(to, found(from));
      content.delete(from);
    },
    remove(path) {
      for (const name of content.keys()) if (name === path || name.startsWith(`${path}/`)) content.delete(name);
    },
  };
}
