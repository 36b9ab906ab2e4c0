/** Where checkpoints of many ranks are kept: the files of the machine, by node:fs, unless something else is given for them. */
import type * as files from "node:fs";

/** What checkpoints ask of files. Paths are made by `join`. */
export interface ShardFiles {
  join(...parts: readonly string[]): string;
  /** Names in a folder; none where there is no folder. */
  list(folder: string): readonly string[];
  /** Makes a folder and those above it, where they are missing. */
  makeFolder(folder: string): void;
  /** Writes a file; when it returns, the content outlives the process. */
  write(path: string, content: Uint8Array | string): void;
  /** Throws where there is no such file. */
  read(path: string): Uint8Array;
  rename(from: string, to: string): void;
  /** A file, or a folder with all that is in it; nothing where there is neither. */
  remove(path: string): void;
}

const fs = (): typeof files => process.getBuiltinModule("node:fs");

const ofMachine: ShardFiles = {
  join: (...parts) => process.getBuiltinModule("node:path").join(...parts),
  list: (folder) => (fs().existsSync(folder) ? fs().readdirSync(folder) : []),
  makeFolder: (folder) => void fs().mkdirSync(folder, { recursive: true }),
  write(path, content) {
    const file = fs().openSync(path, "w");
    try {
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      for (let at = 0; at < bytes.length;) at += fs().writeSync(file, bytes, at);
      fs().fsyncSync(file);
    } finally {
      fs().closeSync(file);
    }
  },
  read: (path) => fs().readFileSync(path),
  rename: (from, to) => fs().renameSync(from, to),
  remove: (path) => fs().rmSync(path, { recursive: true, force: true }),
};

let used = ofMachine;

/** Where this thread keeps checkpoints. */
export function shardFiles(): ShardFiles {
  return used;
}

/** Keeps the checkpoints of this thread elsewhere, where there is no Node: a page has no files. null: the files of the machine again. */
export function keepShardsIn(other: ShardFiles | null): void {
  used = other ?? ofMachine;
}
