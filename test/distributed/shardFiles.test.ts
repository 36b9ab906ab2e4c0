/** Files of checkpoints: those of the machine and those in memory do the same. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { Replicas, alone, layoutOf, openShards, restoreShards, saveShards } from "switchyard-moe/distributed";
import { AdamW, Linear } from "switchyard-moe/nn";
import { key } from "switchyard-moe";
import { memoryFiles } from "../../src/distributed/memoryFiles.ts";
import type { MemoryContent } from "../../src/distributed/memoryFiles.ts";
import { keepShardsIn, shardFiles } from "../../src/distributed/shardFiles.ts";

const own = mkdtempSync(join(tmpdir(), "switchyard-files-"));
const content: MemoryContent = new Map();
const kinds = { "of the machine": shardFiles(), "in memory": memoryFiles(content) };

describe("files of checkpoints", () => {
  after(() => rmSync(own, { recursive: true }));

  for (const [kind, files] of Object.entries(kinds))
    it(`${kind} are written, listed, renamed, read and removed`, () => {
      const at = (...parts: string[]): string => files.join(own, "a", ...parts);
      expect(files.list(at()), "no folder").to.deep.equal([]);
      files.makeFolder(at("b"));
      files.write(at("b", "one"), Uint8Array.of(1, 2));
      files.write(at("b", "two"), "둘");
      files.write(at("bc"), "");
      expect([...files.list(at())].sort()).to.deep.equal(["b", "bc"]);
      files.rename(at("b", "one"), at("b", "two"));
      expect(files.list(at("b"))).to.deep.equal(["two"]);
      expect([...files.read(at("b", "two"))]).to.deep.equal([1, 2]);
      expect(() => files.read(at("b", "one"))).to.throw(/no such file/);
      files.remove(at("b"));
      files.remove(at("nothing"));
      expect(files.list(at())).to.deep.equal(["bc"]);
    });

  it("in memory keep their bytes when the writer goes on with its own", () => {
    const bytes = Uint8Array.of(1);
    kinds["in memory"].write("kept", bytes);
    bytes[0] = 2;
    expect([...kinds["in memory"].read("kept")]).to.deep.equal([1]);
  });

  it("hold a checkpoint that another model goes on from, and nothing is on the machine", async () => {
    const newModel = (seed: number): Linear => new Linear(2, 2, { random: key(seed) });
    const replicasOf = (model: Linear): Replicas => new Replicas(model, layoutOf(alone()));
    const [first, second] = [newModel(1), newModel(2)];
    keepShardsIn(kinds["in memory"]);
    try {
      for (let save = 0; save < 2; save++)
        await saveShards("checkpoint", { model: first, replicas: replicasOf(first), optimizer: new AdamW(first, { lr: 1 }).state() });
      restoreShards(openShards("checkpoint"), second, replicasOf(second));
      expect(() => openShards("elsewhere")).to.throw("openShards: elsewhere/latest cannot be read: there is no such file");
    } finally {
      keepShardsIn(null);
    }
    expect([...second.weight.dataSync()]).to.deep.equal([...first.weight.dataSync()]);
    const saved = [...content.keys()].filter((path) => path.startsWith("checkpoint/")).sort();
    expect(saved, "the save before is gone").to.deep.equal([
      "checkpoint/latest",
      "checkpoint/save-000002/index.json",
      "checkpoint/save-000002/rank-0000.safetensors",
    ]);
    expect(shardFiles()).to.equal(kinds["of the machine"]);
  });
});
