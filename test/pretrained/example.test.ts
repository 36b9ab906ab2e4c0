/** The look into a published model, on a small one: both containers, a tokeniser of its own, and what it says when files are missing. */
import { spawnSync } from "node:child_process";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import type { EncoderDecoderConfig } from "switchyard-moe/pretrained";
import { bundled } from "../bundled.ts";
import { asBin } from "./asBin.ts";
import { randomCheckpoint } from "./configs.ts";
import { checkpoint } from "./hf.ts";
import { inFolder } from "./inFolder.ts";

/** T5's kind of tokeniser, with few pieces: Unigram, sentinels counted down at the end. */
const sentinels = [2, 1, 0].map((n) => `<extra_id_${n}>`);
const pieces = ["<pad>", "</s>", "<unk>", "▁", ..."abcdefghijklmnopqrstuvwxyz.,", "▁the", "▁cat", "▁sat", "▁on"];
const tokenizer = {
  version: "1.0",
  added_tokens: ["<pad>", "</s>", "<unk>", ...sentinels].map((content, i) => ({ id: i < 3 ? i : pieces.length + i - 3, content, special: true, normalized: false, single_word: false, lstrip: false, rstrip: false })), // prettier-ignore
  normalizer: null,
  pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
  post_processor: { type: "TemplateProcessing", single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }], pair: [], special_tokens: { "</s>": { id: "</s>", ids: [1], tokens: ["</s>"] } } }, // prettier-ignore
  decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
  model: { type: "Unigram", unk_id: 2, vocab: [...pieces, ...sentinels].map((piece, i) => [piece, piece.length > 1 ? -2 : -5 - i / 100]) },
};

const config: EncoderDecoderConfig = {
  family: "switch_transformers",
  vocabulary: pieces.length + sentinels.length,
  width: 16,
  headWidth: 4,
  hidden: 24,
  heads: 4,
  layers: { encoder: 4, decoder: 4 },
  buckets: 32,
  maxDistance: 128,
  dropout: 0.1,
  normEps: 1e-6,
  kind: "relu",
  tied: true,
  padId: 0,
  endId: 1,
  startId: 0,
  sparse: { experts: 8, expertCapacity: 2, dropped: "gatedInput", routePadding: true, routerBias: false, jitter: 0.01, balance: 0.001, zLoss: 0.001, sparse: { encoder: [1, 3], decoder: [1, 3] } }, // prettier-ignore
};

function run(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [bundled("examples/pretrained.ts"), ...args], { encoding: "utf8" });
}

describe("examples/pretrained.ts", function () {
  this.timeout(240_000);

  it("fills gaps and shows every token's expert, layer by layer, from either container alike", () =>
    inFolder(async (folder) => {
      const stored = randomCheckpoint(config, "bfloat16");
      for (const [name, bytes] of await checkpoint(stored.config, stored.tensors)) writeFileSync(join(folder, name), bytes);
      writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
      const text = "the cat <extra_id_0> on, abc, abc, abc.";
      const first = run(folder, text, "--tokens", "5");
      expect(first.stderr).to.equal("");
      expect(first.stdout).to.match(/^switch_transformers: [\d.]+ M parameters in bfloat16, read in [\d.]+ s\n/);
      expect(first.stdout).to.include(`${text}\n-> `);
      const [, encoder = "", decoder = ""] = first.stdout.split(/^(?=Encoder|Decoder)/m);
      expect(encoder).to.match(/^Encoder: .*\nlayer +1 +3\n/);
      const rows = encoder.trim().split("\n").slice(2);
      expect(rows.length).to.be.at.least(10);
      for (const row of rows) expect(row).to.match(/ [0-7]x? +[0-7]x?$/);
      // Two slots an expert: more tokens than that share one somewhere.
      expect(encoder).to.match(/[0-7]x/);
      expect(rows.some((row) => row.startsWith("<extra_id_0>"))).to.equal(true);
      expect(decoder).to.match(/^Decoder: .*\nlayer +1 +3\n<pad> /);
      expect(decoder.trim().split("\n")).to.have.length(2 + 5);

      renameSync(join(folder, "model.safetensors"), join(folder, "gone"));
      writeFileSync(join(folder, "pytorch_model.bin"), await asBin(stored.tensors));
      const second = run(folder, text, "--tokens", "5");
      const afterTime = (output: string): string => output.replace(/read in [\d.]+ s/, "");
      expect(afterTime(second.stdout)).to.equal(afterTime(first.stdout));

      rmSync(join(folder, "tokenizer.json"));
      const third = run(folder);
      expect([third.status, third.stderr]).to.deep.equal([1, `there is no tokenizer.json in ${folder}; download it beside config.json\n`]);
    }));

  it("says how it is used", () => {
    expect(run().status).to.equal(1);
    expect(run().stdout).to.include("examples/pretrained.ts FOLDER");
  });
});
