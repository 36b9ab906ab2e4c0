/** The part of Node's file system that checkpoints need, declared here so that the package's declarations do not need @types/node. */
import { messageOf } from "./source.ts";

export interface FileHandle {
  read(into: Uint8Array, at: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
  write(bytes: Uint8Array): Promise<{ readonly bytesWritten: number }>;
  stat(): Promise<{ readonly size: number; readonly mtimeMs: number }>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface Files {
  open(path: string, flags?: string): Promise<FileHandle>;
  readdir(path: string, options: { withFileTypes: true }): Promise<{ readonly name: string; isDirectory(): boolean }[]>;
  mkdir(path: string, options: { recursive: true }): Promise<unknown>;
  rename(from: string, to: string): Promise<void>;
  rm(path: string, options: { force: true; recursive: boolean }): Promise<void>;
}

/** Node's file system, by getBuiltinModule because bundlers for browsers fail on an import. Throws a TypeError outside of Node. */
export function nodeFiles(where: string): Files {
  const { process: node } = globalThis as { process?: { getBuiltinModule?(name: string): unknown } };
  if (!node?.getBuiltinModule) throw new TypeError(`${where}: folders exist in Node only; on a page give the Files, or an address`);
  return process.getBuiltinModule("node:fs/promises");
}

/** The error for a file or a folder that cannot be read. */
export function diskError(path: string, name: string, error: unknown): RangeError {
  const code = codeOf(error);
  if (code === "ENOENT") return new RangeError(`${path}: there is no such folder`);
  if (code === "ENOTDIR") return new RangeError(`${path}: is a file; want the folder that holds config.json and the weights`);
  return new RangeError(`${name}: cannot be read: ${messageOf(error)}`);
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error ? String(error.code) : undefined;
}
