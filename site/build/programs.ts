/** Programs of the build that run in a process of their own, beside it. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** What a program, run in the project's folder, prints: JSON of an object of `T`. Rejects where it fails. */
export async function printedBy<T>(root: string, program: string, ...given: string[]): Promise<Readonly<Record<string, T>>> {
  const options = ["--import=tsx", "--conditions=source", program, ...given];
  const { stdout } = await promisify(execFile)(process.execPath, options, { cwd: root });
  return JSON.parse(stdout) as Record<string, T>;
}
