/** A folder of its own for a test. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Runs with a new folder, and removes it. */
export async function inFolder<T>(run: (path: string) => Promise<T>): Promise<T> {
  const path = mkdtempSync(join(tmpdir(), "switchyard-pretrained-"));
  try {
    return await run(path);
  } finally {
    rmSync(path, { recursive: true });
  }
}
