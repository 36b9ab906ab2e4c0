/**
 * A look into a published Switch Transformer: what it writes into the gaps of a sentence, and which expert each token meets, layer by
 * layer.
 *
 * Usage: node --import=tsx --conditions=source examples/pretrained.ts FOLDER ["A <extra_id_0> walks into a bar."] [--dtype float32]
 * FOLDER holds the files of google/switch-base-8 (or a larger one): config.json, pytorch_model.bin, tokenizer.json. See docs/pretrained.md.
 *
 * Expect: the model fills gaps, as it was trained to; it does not chat. Names, places and punctuation tend to meet experts of their own;
 * an x marks a token for which its expert had no slot left.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { noGrad, scope, tensor, useBackend } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import type { Routing } from "switchyard-moe/moe";
import { evaluation, generate } from "switchyard-moe/nn";
import { loadPretrained } from "switchyard-moe/pretrained";
import type { Pretrained } from "switchyard-moe/pretrained";

const USAGE =
  'node --import=tsx --conditions=source examples/pretrained.ts FOLDER ["A <extra_id_0> walks into a bar."] ' +
  "[--dtype float32] [--tokens 20]";
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    dtype: { type: "string", default: "stored" },
    tokens: { type: "string", default: "20" },
    help: { type: "boolean", default: false },
  },
});

/** What of a tokeniser is used here. */
interface Tokens {
  encode(text: string): { ids: number[] };
  decode(ids: number[], options?: { skip_special_tokens?: boolean }): string;
}

/** The tokeniser of the folder, by the package that reads Hugging Face's files. */
async function tokensOf(folder: string): Promise<Tokens> {
  const { Tokenizer } = await import("@huggingface/tokenizers").catch(() => {
    throw new Error("tokenisers are read by the package @huggingface/tokenizers: npm install @huggingface/tokenizers");
  });
  const read = (name: string): object => JSON.parse(readFileSync(join(folder, name), "utf8")) as object;
  if (!existsSync(join(folder, "tokenizer.json")))
    throw new Error(`there is no tokenizer.json in ${folder}; download it beside config.json`);
  return new Tokenizer(read("tokenizer.json"), existsSync(join(folder, "tokenizer_config.json")) ? read("tokenizer_config.json") : {});
}

/** For each sparse layer, each token's expert; with an x where it had no slot. ids [1, T] */
async function expertsOf(routings: readonly Routing[]): Promise<string[][]> {
  const read = async ({ books }: Routing): Promise<string[]> => {
    const [expert, slot] = await Promise.all([books.expertOfChoice.data(), books.slotOfChoice.data()]);
    return Array.from(expert, (e, i) => (e < 0 ? "-" : `${e}${slot[i] < 0 ? "x" : ""}`));
  };
  return Promise.all(routings.map(read));
}

/** One line for each token: its text, then its expert in each sparse layer. */
function table(title: string, layers: readonly number[], labels: readonly string[], experts: readonly string[][]): string {
  const width = Math.max(8, ...labels.map((label) => label.length)) + 2;
  const line = (first: string, cells: readonly string[]): string => first.padEnd(width) + cells.map((cell) => cell.padStart(4)).join("");
  const rows = labels.map((label, token) =>
    line(
      label,
      experts.map((layer) => layer[token]),
    ),
  );
  return [title, line("layer", layers.map(String)), ...rows].join("\n"); // prettier-ignore
}

async function look(
  { model, config }: Extract<Pretrained, { family: "switch_transformers" | "t5" }>,
  tokens: Tokens,
  text: string,
): Promise<void> {
  const { ids } = tokens.encode(text);
  const written: number[] = [];
  for await (const id of generate(model, ids, { tokens: Number(options.tokens), temperature: 0, stop: config.endId })) written.push(id);
  console.log(`${text}\n-> ${tokens.decode(written, { skip_special_tokens: false })}\n`);

  const row = (of: readonly number[]): Tensor => tensor([[...of]], { dtype: "int32" });
  const read = [model.start, ...written].slice(0, -1);
  const { encoder, decoder } = scope(() => noGrad(() => model.forward({ ids: row(ids), decoderIds: row(read) }, evaluation).routings));
  const label = (id: number): string => tokens.decode([id], { skip_special_tokens: false }) || `(${id})`;
  const layers = config.sparse?.sparse ?? { encoder: [], decoder: [] };
  console.log(
    table("Encoder: the experts that each token of the text meets", layers.encoder, ids.map(label), await expertsOf(encoder as Routing[])),
  );
  console.log();
  console.log(
    table("Decoder: the experts at work while each token is read", layers.decoder, read.map(label), await expertsOf(decoder as Routing[])),
  );
}

async function main(folder: string, text: string): Promise<void> {
  await useBackend("wasm");
  const tokens = await tokensOf(folder);
  const start = performance.now();
  const show = (read: number, total: number) => process.stderr.write(`\r${Math.round((100 * read) / total)} % read `);
  const dtype = (["stored", "float32", "bfloat16"] as const).find((name) => name === options.dtype);
  if (!dtype) throw new Error(`--dtype ${options.dtype}: want stored, float32 or bfloat16`);
  const loaded = await loadPretrained(folder, { dtype, ...(process.stderr.isTTY && { onProgress: show }) });
  if (loaded.family !== "switch_transformers" && loaded.family !== "t5")
    throw new Error(`${folder} is a ${loaded.family}, which fills no gaps; want a Switch`);
  const parameters = loaded.model.parameters();
  const count = parameters.reduce((sum, { size }) => sum + size, 0);
  const seconds = (performance.now() - start) / 1000;
  console.log(`${loaded.family}: ${(count / 1e6).toFixed(1)} M parameters in ${parameters[0].dtype}, read in ${seconds.toFixed(1)} s\n`);
  await look(loaded, tokens, text);
}

const [folder, text = "A <extra_id_0> walks into a bar and orders a <extra_id_1> with a pinch of <extra_id_2>."] = positionals;
if (options.help || folder === undefined) {
  console.log(USAGE);
  process.exitCode = options.help ? 0 : 1;
} else
  await main(folder, text).catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  });
