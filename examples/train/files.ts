/** Writing files so that nothing is lost: all of a file or nothing, and every failure in one line. */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { UserError, reason } from "./userError.ts";

/** All of it or nothing, folders included. Throws a UserError where there is no room or no permission. */
export function writeAtomically(path: string, bytes: Uint8Array | string): void {
  const temporary = `${path}.${process.pid}.tmp`;
  attempt(path, "cannot be written", () => {
    mkdirSync(dirname(path), { recursive: true });
    try {
      writeWhole(temporary, typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes);
      renameSync(temporary, path);
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  });
}

function writeWhole(path: string, bytes: Uint8Array): void {
  const file = openSync(path, "w");
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** All of a file. Throws a UserError where it cannot be read. */
export function readBytes(path: string): Uint8Array {
  return attempt(path, "cannot be read", () => readFileSync(path));
}

/** Returns what `act` returns. Where it fails, throws a UserError with the path and `what`. */
export function attempt<T>(path: string, what: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    throw new UserError(`${path} ${what}: ${reason(error)}`);
  }
}
