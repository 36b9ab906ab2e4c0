/** What a run leaves when it is ended from outside: politely, and by force. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { loadCheckpoint, notFinite } from "../../examples/train/checkpoint.ts";
import { lastFile, modelFile } from "../../examples/train/folders.ts";
import { bundled } from "../bundled.ts";

const small = "--width 8 --heads 2 --hidden 16 --experts 3 --length 16 --batch 4 --languages eng,ell --backend cpu".split(" ");

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Starts the main job; `ended` answers when it is over. */
function start(...options: string[]): { child: ChildProcess; ended: Promise<Ended>; printed(pattern: RegExp): Promise<void> } {
  const child = spawn(process.execPath, [bundled("examples/train/main.ts"), ...options]);
  let output = "";
  const watchers = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      for (const watcher of watchers) watcher();
    });
  const ended = new Promise<Ended>((resolve) => child.on("close", (code) => resolve({ code, output })));
  const printed = (pattern: RegExp): Promise<void> =>
    new Promise((resolve, reject) => {
      const watcher = (): void => {
        if (pattern.test(output)) resolve();
      };
      watchers.add(watcher);
      void ended.then(() => reject(new Error(`it ended without printing ${pattern}: ${output}`)));
    });
  return { child, ended, printed };
}

describe("a run that is ended from outside", function () {
  this.timeout(120_000);
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "switchyard-stop-"))));
  afterEach(() => rmSync(folder, { recursive: true }));

  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)
    // prettier-ignore
    it(`saves at ${signal} and says how to go on`, async () => {
      const { child, ended, printed } = start(...small, "--steps", "100000", "--out", folder);
      await printed(/step +20\//);
      child.kill(signal);
      const { code: exit, output } = await ended;
      expect(exit).to.equal(code);
      const [, step] = /interrupted after step (\d+); saved\. Go on with: npm start -- resume --from /.exec(output) ?? [];
      expect(loadCheckpoint(lastFile(folder)).step).to.equal(Number(step));
    });

  it("has a whole checkpoint whenever it is killed, and goes on from it", async () => {
    const delays = [3, 20, 55, 90, 140]; // milliseconds after it first saved
    for (const [i, delay] of delays.entries()) {
      const command = existsSync(lastFile(folder)) ? ["resume", "--from", folder] : [...small, "--steps", "100000", "--every", "1", "--out", folder, "--overwrite"]; // prettier-ignore
      const { child, ended, printed } = start(...command);
      await printed(i === 0 ? /step +20\// : /going on with/);
      await new Promise((resolve) => setTimeout(resolve, delay));
      child.kill("SIGKILL");
      await ended;
      for (const file of [lastFile(folder), modelFile(folder)].filter(existsSync))
        expect(await notFinite(loadCheckpoint(file).weights), file).to.deep.equal([]);
      expect(existsSync(lastFile(folder)), "something was saved").to.equal(true);
    }
  });
});
