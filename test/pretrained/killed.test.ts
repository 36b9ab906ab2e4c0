/** What savePretrained leaves when its process dies: the old checkpoint whole, the new one whole, or a folder that says that it is neither. */
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, readdirSync } from "node:fs";
import * as disk from "node:fs/promises";
import { join } from "node:path";
import { expect } from "chai";
import { cpuBackend } from "switchyard-moe";
import { loadPretrained, savePretrained } from "switchyard-moe/pretrained";
import type { Files } from "../../src/pretrained/nodeFiles.ts";
import { bundled } from "../bundled.ts";
import { inFolder } from "./inFolder.ts";
import { SHARDS, modelOf } from "./saving.ts";

type Left = "old" | "new" | "unfinished" | "mixed";

/** Which of the two models lies in the folder, every number of it. */
async function leftIn(folder: string, old: number, fresh: number): Promise<Left> {
  try {
    const { model } = await loadPretrained(folder, { backend: cpuBackend() });
    const values = await valuesOf(model.state());
    for (const [name, seed] of [
      ["old", old],
      ["new", fresh],
    ] as const)
      // prettier-ignore
      if ((await valuesOf(modelOf(seed).state())).join() === values.join()) return name;
    return "mixed";
  } catch (error) {
    expect(error)
      .to.be.instanceOf(RangeError)
      .with.property("message")
      .that.matches(/there is no (config\.json in|such folder)/);
    return "unfinished";
  }
}

async function valuesOf(state: ReadonlyMap<string, { data(): Promise<ArrayLike<number>> }>): Promise<string[]> {
  return Promise.all(Array.from(state, async ([name, x]) => `${name} ${Array.from(await x.data()).join()}`));
}

class Died extends Error {}

/** Node's file system that dies at its n-th change: half of a write is done, and nothing after it. */
function dyingAt(n: number): { files: Files; changes(): number } {
  let changes = 0;
  const change = <T>(act: () => Promise<T>, half?: () => Promise<unknown>): Promise<T> => {
    changes++;
    if (changes < n) return act();
    return (changes === n && half ? half() : Promise.resolve()).then(() => {
      throw new Died();
    });
  };
  const open = async (path: string, flags?: string): ReturnType<Files["open"]> => {
    const file = await change(() => disk.open(path, flags));
    return {
      read: async (into, at, length, position) => file.read(into, at, length, position),
      write: (bytes) => change(() => file.write(bytes), () => file.write(bytes.subarray(0, bytes.length >> 1))), // prettier-ignore
      stat: () => file.stat(),
      sync: () => file.sync(),
      close: () => file.close(),
    };
  };
  const files: Files = {
    open,
    readdir: (path, options) => disk.readdir(path, options),
    mkdir: (path, options) => change(() => disk.mkdir(path, options)),
    rename: (from, to) => change(() => disk.rename(from, to)),
    rm: (path, options) => change(() => disk.rm(path, options)),
  };
  return { files, changes: () => changes };
}

/** Runs with another file system than Node's. */
async function withFiles(files: Files, run: () => Promise<void>): Promise<void> {
  const { getBuiltinModule } = process;
  process.getBuiltinModule = ((name: string) => (name === "node:fs/promises" ? files : getBuiltinModule(name))) as typeof getBuiltinModule;
  try {
    await run();
  } finally {
    process.getBuiltinModule = getBuiltinModule;
  }
}

const changesOf: Record<string, { readonly old?: object; readonly fresh: object }> = {
  "a first checkpoint": { fresh: {} },
  "one file by shards": { old: {}, fresh: SHARDS },
  "shards by one file": { old: SHARDS, fresh: {} },
};

describe("savePretrained, when its process dies", function () {
  this.timeout(120_000);

  for (const [what, { old, fresh }] of Object.entries(changesOf))
    it(`at any change of the disk, leaves no mixture: ${old ? `replacing ${what}` : what}`, () =>
      inFolder(async (folder) => {
        const before = join(folder, "before");
        if (old) await savePretrained(modelOf(1), before, old);
        else mkdirSync(before);
        const seen: Left[] = [];
        let last = before;
        for (let n = 1; seen.at(-1) !== "new"; n++) {
          const at = join(folder, `at ${n}`);
          cpSync(before, at, { recursive: true });
          const { files } = dyingAt(n);
          await withFiles(files, () => savePretrained(modelOf(2), at, { ...fresh, overwrite: true })).catch(() => undefined);
          seen.push(await leftIn(at, 1, 2));
          last = at;
        }
        // Old until config.json goes, new from when it is back, and the folder says so in between.
        const order = ["old", "unfinished", "new"];
        expect(seen).to.deep.equal(seen.toSorted((a, b) => order.indexOf(a) - order.indexOf(b)));
        expect(new Set(seen)).to.deep.equal(new Set(old ? order : order.slice(1)));
        const unfinished = join(folder, `at ${1 + seen.lastIndexOf("unfinished")}`);
        for (const at of [unfinished, last]) {
          await savePretrained(modelOf(3), at, { ...fresh, overwrite: true });
          expect(await leftIn(at, 1, 3), "a later save goes through").to.equal("new");
          expect(readdirSync(at), "nothing stays aside").not.to.include(".partial");
        }
      }));

  it("by kill -9 at random moments, leaves no mixture either", () =>
    inFolder(async (folder) => {
      const target = join(folder, "target");
      for (let i = 0; i < 3; i++) {
        const child = spawn(process.execPath, [bundled("test/pretrained/saving.ts"), target], { stdio: ["ignore", "pipe", "inherit"] });
        await new Promise((resolve) => child.stdout.once("data", resolve)); // it has saved once
        await new Promise((resolve) => setTimeout(resolve, 60 * Math.random()));
        child.kill("SIGKILL");
        await new Promise((resolve) => child.on("close", resolve));
        expect(await leftIn(target, 1, 2)).to.not.equal("mixed");
      }
    }));
});
