/** Laws of every family, on random small configs: what is loaded is what was stored, whatever holds it; what is saved loads again, bit for bit. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import fc from "fast-check";
import { cpuBackend, key, tensor } from "switchyard-moe";
import type { DType, Tensor } from "switchyard-moe";
import { readSafetensors } from "switchyard-moe/nn";
import { familyOf, loadPretrained, memorySource, savePretrained } from "switchyard-moe/pretrained";
import type { LoadOptions, ModelConfig, Pretrained } from "switchyard-moe/pretrained";
import { Fields } from "../../src/pretrained/config.ts";
import { parseDecoder } from "../../src/pretrained/decoderConfig.ts";
import { isEncoderDecoder, parseEncoderDecoder } from "../../src/pretrained/encoderDecoderConfig.ts";
import { formatOf } from "../../src/pretrained/familyOf.ts";
import { asBin } from "./asBin.ts";
import { configs, fused, randomCheckpoint } from "./configs.ts";
import { byTheirNames, checkpoint } from "./hf.ts";
import { inFolder } from "./inFolder.ts";

async function load(config: object, tensors: ReadonlyMap<string, Tensor>, options: LoadOptions = {}): Promise<Pretrained> {
  return loadPretrained(memorySource(await checkpoint(config, tensors)), { backend: cpuBackend(), ...options });
}

/** Every parameter as a text of its bits, by path. */
async function bits({ model }: Pick<Pretrained, "model">): Promise<Record<string, string>> {
  const all: [string, string][] = [];
  for (const [name, parameter] of model.state()) {
    const values = await parameter.data();
    all.push([name, `${parameter.dtype} ${Buffer.from(values.buffer, values.byteOffset, values.byteLength).toString("base64")}`]);
  }
  return Object.fromEntries(all);
}

const pass = { training: false, random: key(0) };
const ids = tensor([[1, 5, 3, 0], [2, 4, 6, 7]], { dtype: "int32", backend: cpuBackend() }); // prettier-ignore

/** The logits of two short sequences. */
function logits(loaded: Pretrained): Tensor {
  if (loaded.family === "t5" || loaded.family === "switch_transformers") return loaded.model.forward({ ids, decoderIds: ids }, pass).logits;
  return loaded.model.forward(ids, {}, pass).logits;
}

const parse = (config: ModelConfig): ModelConfig => {
  const fields = new Fields(JSON.parse(JSON.stringify(formatOf(config))) as Record<string, unknown>);
  return isEncoderDecoder(config) ? parseEncoderDecoder(config.family, fields) : parseDecoder(config.family, fields);
};

for (const [family, config] of Object.entries(configs))
  describe(`${family}, any config`, () => {
    const dtypes = fc.constantFrom<DType>("float32", "bfloat16");

    it("is read from what it is written as", () =>
      fc.assert(
        fc.property(config, (one) => void expect(parse(one)).to.deep.equal(one)),
        { numRuns: 100 },
      ));

    it("makes a model of that family, with every tensor at its place, that answers with numbers", () =>
      fc.assert(
        fc.asyncProperty(config, async (one) => {
          const stored = randomCheckpoint(one, "float64");
          const loaded = await load(stored.config, stored.tensors);
          expect([loaded.family, loaded.config]).to.deep.equal([family, one]);
          expect(familyOf(loaded.model, idsOf(one))).to.deep.equal(one);
          const values = await byTheirNames(loaded, (parameter) => parameter);
          expect([...values.keys()].toSorted()).to.deep.equal([...stored.tensors.keys()].toSorted());
          for (const [name, wanted] of stored.tensors) expect(values.get(name), name).to.deep.equal([...wanted.dataSync()]);
          expect(logits(loaded).dataSync().every(Number.isFinite)).to.equal(true);
        }),
        { numRuns: 15 },
      ));

    it("is the same from PyTorch's file, and from experts in one tensor", () =>
      fc.assert(
        fc.asyncProperty(config, dtypes, async (one, dtype) => {
          const stored = randomCheckpoint(one, dtype);
          const wanted = await bits(await load(stored.config, stored.tensors));
          const bin = (await checkpoint(stored.config, new Map())).set("pytorch_model.bin", await asBin(stored.tensors));
          bin.delete("model.safetensors");
          expect(await bits(await loadPretrained(memorySource(bin), { backend: cpuBackend() }))).to.deep.equal(wanted);
          expect(await bits(await load(stored.config, fused(stored.tensors)))).to.deep.equal(wanted);
        }),
        { numRuns: 10 },
      ));

    it("is saved and loaded again bit for bit, in shards of any size", () =>
      fc.assert(
        fc.asyncProperty(config, dtypes, fc.constantFrom(1, 400, 5e9), (one, dtype, shardBytes) =>
          inFolder(async (folder) => {
            const stored = randomCheckpoint(one, dtype);
            const loaded = await load(stored.config, stored.tensors);
            await savePretrained(loaded, folder, { shardBytes });
            const files = readdirSync(folder);
            const total = [...stored.tensors.values()].reduce((sum, { size }) => sum + size * (dtype === "bfloat16" ? 2 : 4), 0);
            expect(files.includes("model.safetensors.index.json")).to.equal(total > shardBytes);
            const again = await loadPretrained(folder, { backend: cpuBackend() });
            expect(again.config).to.deep.equal(loaded.config);
            expect(await bits(again)).to.deep.equal(await bits(loaded));
            const written = files.filter((name) => name.endsWith(".safetensors")).flatMap((name) => {
              const { tensors, metadata } = readSafetensors(readFileSync(join(folder, name)));
              expect({ ...metadata }).to.deep.equal({ format: "pt" });
              return [...tensors];
            }); // prettier-ignore
            expect(written.length).to.equal(stored.tensors.size);
            for (const [name, got] of written) expect([...got.dataSync()], name).to.deep.equal([...stored.tensors.get(name)!.dataSync()]);
          }),
        ),
        { numRuns: 10 },
      ));
  });

function idsOf(config: ModelConfig): { padId?: number; endId?: number; context?: number } {
  if (isEncoderDecoder(config)) return { padId: config.padId, endId: config.endId };
  return { context: config.context, ...(config.endId === null ? {} : { endId: config.endId }) };
}
