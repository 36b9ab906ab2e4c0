/** The files of a checkpoint: which are taken, shards with an index, and safetensors read at offsets. */
import { expect } from "chai";
import fc from "fast-check";
import { key, random, tensor } from "switchyard-moe";
import type { DType, Tensor } from "switchyard-moe";
import { writeSafetensors } from "switchyard-moe/nn";
import { memorySource, openWeights } from "switchyard-moe/pretrained";
import { bytesOfTensor, numbersOf, opened, refusal } from "./reading.ts";
import { ascii, joined, torchBin } from "./torchWriter.ts";

type Contents = Record<string, Uint8Array | object>;

const open = (files: Contents): ReturnType<typeof openWeights> =>
  openWeights(
    memorySource(
      new Map(
        Object.entries(files).map(([name, contents]) => [
          name,
          contents instanceof Uint8Array ? contents : ascii(JSON.stringify(contents)),
        ]),
      ),
    ),
  );

const st = (...names: string[]): Promise<Uint8Array> => writeSafetensors(new Map(names.map((name, i) => [name, tensor([i, i + 0.5])])));
const bin = (...names: string[]): Uint8Array =>
  joined(torchBin(names.map((name, i) => ({ name, storage: "FloatStorage", shape: [2], key: String(i), elements: 2, bytes: () => [new Uint8Array(8)] })))); // prettier-ignore

describe("safetensors at offsets", () => {
  it("gives the numbers that were written, of every float dtype", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ dtype: fc.constantFrom<DType>("float32", "float64", "bfloat16"), size: fc.nat(9) }), { maxLength: 5 }),
        async (entries) => {
          const made = new Map(
            entries.map(({ dtype, size }, i): [string, Tensor] => [
              `t${i}`,
              random.normal([size], key(i), { dtype: "float64" }).cast(dtype),
            ]),
          );
          const tensors = await opened("model.safetensors", await writeSafetensors(made, { format: "pt" }));
          expect([...tensors.keys()].toSorted()).to.deep.equal([...made.keys()]);
          for (const [name, wanted] of made) {
            const got = tensors.get(name)!;
            expect([got.dtype, got.shape, await numbersOf(got)]).to.deep.equal([wanted.dtype, wanted.shape, [...(await wanted.data())]]);
          }
        },
      ),
      { numRuns: 40 },
    ));

  it("cut anywhere, it is refused", async () => {
    const bytes = await st("a", "b");
    for (let length = 0; length < bytes.length; length++)
      expect(await refusal(() => opened("model.safetensors", bytes.subarray(0, length)))).to.match(/^model\.safetensors: /);
  });

  it("with a byte of the header flipped, it is refused or says something else, but never breaks", async () => {
    const bytes = await st("a", "b");
    for (let at = 0; at < bytes.length - 16; at++) {
      const flipped = bytes.slice();
      flipped[at] ^= 1 << (at % 8);
      const tensors = await opened("model.safetensors", flipped).catch((error: unknown) => {
        expect(String(error)).to.match(/^RangeError: model\.safetensors: /);
      });
      for (const one of tensors?.values() ?? []) expect((await bytesOfTensor(one)).length).to.be.at.most(16);
    }
  });

  it("refuses a header longer than any", async () => {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, 2n ** 62n, true);
    expect(await refusal(() => opened("model.safetensors", bytes))).to.match(/the header should be 4611686018427388000 bytes long/);
  });
});

describe("a checkpoint's files", () => {
  it("are taken in the order of transformers: safetensors first", async () => {
    const files = {
      "model.safetensors": await st("a"),
      "pytorch_model.bin": bin("b"),
      "model.safetensors.index.json": { weight_map: { c: "gone" } },
    };
    expect([...(await open(files)).keys()]).to.deep.equal(["a"]);
    expect([...(await open({ "pytorch_model.bin": bin("b") })).keys()]).to.deep.equal(["b"]);
  });

  it("may be shards, of either kind", async () => {
    const index = {
      metadata: { total_size: 24 },
      weight_map: { a: "model-00001-of-00002.x", b: "model-00001-of-00002.x", c: "model-00002-of-00002.x" },
    };
    for (const [name, first, second] of [
      ["model.safetensors", await st("a", "b"), await st("c")],
      ["pytorch_model.bin", bin("a", "b"), bin("c")],
    ] as const) {
      // prettier-ignore
      const tensors = await open({ [`${name}.index.json`]: index, "model-00001-of-00002.x": first, "model-00002-of-00002.x": second });
      expect([...tensors].map(([tensor, { file }]) => [tensor, file])).to.deep.equal(Object.entries(index.weight_map));
    }
  });

  it("a storage that two names share is one place; equal numbers in two storages are not", async () => {
    const one = { storage: "FloatStorage", shape: [2], key: "0", elements: 2, bytes: () => [new Uint8Array(8)] };
    const tensors = await opened("pytorch_model.bin", joined(torchBin([{ ...one, name: "a" }, { ...one, name: "b" }, { ...one, name: "c", key: "1" }]))); // prettier-ignore
    const place = (name: string): string | undefined => tensors.get(name)?.place;
    expect(place("a")).to.equal(place("b")).and.not.equal(place("c"));
  });

  const index = (weight_map: unknown): Contents => ({ "model.safetensors.index.json": { weight_map } });
  const refused: Record<string, [files: () => Promise<Contents>, says: RegExp]> = {
    nothing: [async () => ({}), /there are no weights in memory: want model\.safetensors or .*; it is empty/],
    "other formats": [async () => ({ "flax_model.msgpack": ascii("") }), /it holds flax_model\.msgpack/],
    "shards that are not there": [async () => index({ a: "1.x", b: "2.x" }), /^model\.safetensors\.index\.json: 1\.x, 2\.x of its 2 shards are not in memory/],
    "an index that is no JSON": [async () => ({ "model.safetensors.index.json": ascii("{") }), /^model\.safetensors\.index\.json: is not JSON/],
    "an index that is a list": [async () => ({ "model.safetensors.index.json": ascii("[]") }), /^model\.safetensors\.index\.json: want a JSON object, found \[\]/],
    "an index without a map": [async () => index(undefined), /its weight_map names no files/],
    "a shard outside of the folder": [async () => index({ a: "../../etc/passwd" }), /says that "a" lies in "\.\.\/\.\.\/etc\/passwd"; want the name of a file beside it/],
    "a shard that is a number": [async () => index({ a: 1 }), /says that "a" lies in 1/],
    "a tensor that its shard lacks": [async () => ({ ...index({ a: "1.x", b: "1.x" }), "1.x": await st("a") }), /"b" is not in 1\.x/],
    "a tensor in another shard": [async () => ({ ...index({ a: "1.x", b: "1.x", c: "2.x" }), "1.x": await st("a"), "2.x": await st("b", "c") }), /"b" is not in 1\.x/],
    "a tensor in two shards": [async () => ({ ...index({ a: "1.x", b: "2.x" }), "1.x": await st("a"), "2.x": await st("a", "b") }), /^2\.x: holds "a", which 1\.x holds too/],
    "a pointer of Git LFS": [async () => ({ "model.safetensors": ascii("version https://git-lfs.github.com/spec/v1\n") }), /git lfs pull/],
  }; // prettier-ignore
  for (const [what, [files, says]] of Object.entries(refused))
    it(`refuses ${what}`, async () => expect(await refusal(async () => open(await files()))).to.match(says));
});
