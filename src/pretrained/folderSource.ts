/** Reads the files of a checkpoint from a folder, in Node. */
import type { FileHandle, Files } from "./nodeFiles.ts";
import { codeOf, diskError, nodeFiles } from "./nodeFiles.ts";
import type { Source } from "./source.ts";
import { whole } from "./source.ts";

interface Opened {
  readonly handle: FileHandle;
  readonly size: number;
  readonly changed: number;
}

/**
 * A source that reads the files of a folder, in Node. It follows links, which the cache of Hugging Face consists of. A file stays open until
 * `close`. Throws where there is no such folder, and where a file's size or time changes while it is read.
 */
export function folderSource(path: string): Source {
  const files = nodeFiles(path);
  const open = new Map<string, Promise<Opened | undefined>>();
  const opened = (name: string): Promise<Opened | undefined> => {
    let file = open.get(name);
    if (!file) open.set(name, (file = openFile(files, path, name)));
    return file;
  };
  return {
    where: path,
    list: () => namesIn(files, path),
    sizeOf: async (name) => (await opened(name))?.size,
    read: async (name, begin, end) => {
      const file = await opened(name);
      if (!file) throw new RangeError(`${name}: there is no such file in ${path}`);
      const bytes = await readAt(file.handle, begin, end);
      const { size, mtimeMs } = await file.handle.stat();
      if (size !== file.size || mtimeMs !== file.changed) throw new RangeError(`${name}: changed while it was read`);
      return whole(name, begin, end, bytes);
    },
    close: async () => {
      const all = await Promise.allSettled(open.values());
      open.clear();
      for (const file of all) if (file.status === "fulfilled") await file.value?.handle.close();
    },
  };
}

async function namesIn(files: Files, path: string): Promise<readonly string[]> {
  try {
    const entries = await files.readdir(path, { withFileTypes: true });
    return entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    throw diskError(path, path, error);
  }
}

async function openFile(files: Files, path: string, name: string): Promise<Opened | undefined> {
  let handle: FileHandle | undefined;
  try {
    handle = await files.open(`${path}/${name}`);
    const { size, mtimeMs } = await handle.stat();
    return { handle, size, changed: mtimeMs };
  } catch (error) {
    await handle?.close();
    if (codeOf(error) === "ENOENT") return undefined;
    throw diskError(path, name, error);
  }
}

/** The bytes from `begin` to `end`; fewer where the file ends before. */
async function readAt(handle: FileHandle, begin: number, end: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - begin);
  let at = 0;
  while (at < bytes.length) {
    const { bytesRead } = await handle.read(bytes, at, Math.min(bytes.length - at, LONGEST_READ), begin + at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes.subarray(0, at);
}

/** Node reads less than 2 GiB at once. */
const LONGEST_READ = 2 ** 30;
