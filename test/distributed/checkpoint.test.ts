/** Checkpoints of many ranks in a world of one: what does not fit is an error that names it, and nothing is assigned then. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { key, tensor } from "switchyard-moe";
import { Replicas, alone, layoutOf, openShards, restoreShards, saveShards } from "switchyard-moe/distributed";
import { AdamW, Linear } from "switchyard-moe/nn";

const replicasOf = (model: Linear): Replicas => new Replicas(model, layoutOf(alone()));
const linear = (bias = true, dtype: "float32" | "float64" = "float32"): Linear => new Linear(2, 3, { random: key(1), bias, dtype });

describe("a checkpoint of many ranks", () => {
  let folder: string;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "switchyard-shards-"));
    const model = linear();
    await saveShards(folder, { model, replicas: replicasOf(model), optimizer: new AdamW(model).state() });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const weightsOf = (model: Linear): number[] => [...model.state().values()].flatMap((x) => [...x.dataSync()]);

  it("with a tensor that the model lacks, or of another dtype, is refused before anything is assigned", () => {
    for (const [model, message] of [
      [linear(false), 'restoreShards: "bias" of the checkpoint has no place in this model'],
      [linear(true, "float64"), 'restoreShards: "weight" is float32 [2, 3] in the checkpoint, float64 [2, 3] here'],
    ] as const) {
      const before = weightsOf(model);
      expect(() => restoreShards(openShards(folder), model, replicasOf(model))).to.throw(RangeError, message);
      expect(weightsOf(model)).to.deep.equal(before);
    }
  });

  it("is not written with optimiser state of no parameter: it would be lost", async () => {
    const model = linear();
    const state = new AdamW([["another", model.weight]]).state();
    const save = { model, replicas: replicasOf(model), optimizer: state };
    const error = await saveShards(folder, save).then(() => undefined, String);
    expect(error).to.equal('RangeError: saveShards: optimizer: "another/first" is state of no parameter of the model');
  });

  it("that lacks a tensor, or rows of one, says which", () => {
    const place = join(folder, readFileSync(join(folder, "latest"), "utf8"));
    const index = readFileSync(join(place, "index.json"), "utf8");
    expect(() => openShards(folder).read("weights")).to.throw(RangeError, 'openShards: there is no tensor "weights"');
    writeFileSync(join(place, "index.json"), index.replaceAll(/"from":\s*0/g, '"from":1'));
    expect(() => openShards(folder).read("weight")).to.throw('openShards: "weight": rows 0 to 2 are not all there');
    writeFileSync(join(place, "index.json"), index.replaceAll('"bias"', '"bios"'));
    expect(() => openShards(folder).read("bios")).to.throw(/^openShards: .*rank-0000\.safetensors holds no "bios"$/);
  });

  it("that is damaged is an error that names the file", () => {
    const place = join(folder, readFileSync(join(folder, "latest"), "utf8"));
    const opened = openShards(folder);
    const damage = (file: string, content: string): string => {
      writeFileSync(join(place, file), content);
      return `openShards: ${join(place, file)} `;
    };
    const weights = damage("rank-0000.safetensors", "xx");
    expect(() => opened.read("weight")).to.throw(`${weights}is damaged: readSafetensors: 2 bytes are too few`);
    for (const [content, what] of [
      ["{", "is damaged: "],
      ["null", 'has format undefined: want "1"'],
      ['{"format":"1"}', "is damaged: it lists no tensors"],
    ])
      // prettier-ignore
      expect(() => openShards(folder), content).to.throw(damage("index.json", content) + what);
  });
});

describe("gradients in bfloat16", () => {
  for (const ordered of [false, true])
    it(`are added as numbers, not as bits, and rounded once${ordered ? ", in order of ranks" : ""}`, () => {
      const model = new Linear(2, 1, { random: key(1), bias: false, dtype: "bfloat16" });
      const replicas = new Replicas(model, layoutOf(alone({ ordered })), { shards: 3 });
      for (const x of [256, 0.75, 0.75]) replicas.backward(model.forward(tensor([x, 1], { shape: [1, 2], dtype: "bfloat16" })).sum());
      replicas.reduce();
      const { grad } = model.weight;
      // Above 256 bfloat16 has steps of 2: added one by one in bfloat16 the sum stays 256, added in float32 it is 257.5 and rounds to 258.
      expect(grad?.dtype).to.equal("bfloat16");
      expect([...(grad?.dataSync() ?? [])][1]).to.equal(3);
      if (ordered) expect([...(grad?.dataSync() ?? [])][0]).to.equal(258);
    });
});
