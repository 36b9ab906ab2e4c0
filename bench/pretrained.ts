/**
 * A checkpoint of switch-base-8's true size: synthesised (619 M parameters, random, bfloat16, as PyTorch's file and as safetensors, in a
 * temporary folder), loaded, exported and loaded again, and used: time, peak of memory, tokens per second, and where the time goes.
 *
 * Usage: node --import=tsx --conditions=source bench/pretrained.ts [--layers 12] [--tokens 512] [--write 64] [--keep FOLDER]
 * Every measurement is a process of its own. Needs 1.3 GB of disk for each container and about 5 GB of memory.
 */
import { spawnSync } from "node:child_process";
import { createWriteStream, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { key, noGrad, scope, tensor, useBackend, withBackend } from "switchyard-moe";
import type { Backend } from "switchyard-moe";
import type { DecoderInput, Encoded, EncoderDecoder } from "switchyard-moe/nn";
import { loadPretrained, savePretrained } from "switchyard-moe/pretrained";
import type { LoadOptions } from "switchyard-moe/pretrained";
import { Fields } from "../src/pretrained/config.ts";
import { parseEncoderDecoder } from "../src/pretrained/encoderDecoderConfig.ts";
import { encoderDecoderTable } from "../src/pretrained/encoderDecoders.ts";
import { formatHeader } from "../src/nn/safetensorsHeader.ts";
import { torchBin } from "../test/pretrained/torchWriter.ts";
import { isProduct, stopwatch } from "./profile.ts";

const USAGE = "bench/pretrained.ts [--layers 12] [--tokens 512] [--write 64] [--keep FOLDER]";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    layers: { type: "string", default: "12" },
    tokens: { type: "string", default: "512" },
    write: { type: "string", default: "64" },
    keep: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

/** config.json of google/switch-base-8, but for the number of layers. */
function config(layers: number): Record<string, unknown> {
  return {
    architectures: ["SwitchTransformersForConditionalGeneration"],
    model_type: "switch_transformers",
    is_encoder_decoder: true,
    vocab_size: 32128,
    d_model: 768,
    d_kv: 64,
    d_ff: 3072,
    num_layers: layers,
    num_decoder_layers: layers,
    num_sparse_encoder_layers: layers / 2,
    num_sparse_decoder_layers: layers / 2,
    num_heads: 12,
    num_experts: 8,
    expert_capacity: 64,
    router_bias: false,
    router_dtype: "float32",
    router_ignore_padding_tokens: false,
    router_jitter_noise: 0.01,
    router_aux_loss_coef: 0.001,
    router_z_loss_coef: 0.001,
    relative_attention_num_buckets: 32,
    relative_attention_max_distance: 128,
    dropout_rate: 0.1,
    layer_norm_epsilon: 1e-6,
    dense_act_fn: "relu",
    is_gated_act: false,
    tie_word_embeddings: true,
    pad_token_id: 0,
    eos_token_id: 1,
    decoder_start_token_id: 0,
    torch_dtype: "bfloat16",
  };
}

// Synthesis

interface Stored {
  readonly name: string;
  readonly shape: readonly number[];
  readonly elements: number;
}

function storedTensors(layers: number): Stored[] {
  const parsed = parseEncoderDecoder("switch_transformers", new Fields(config(layers)));
  return encoderDecoderTable(parsed).flatMap(({ parts }) =>
    parts.map(({ names, shape }) => ({ name: names[0], shape, elements: shape.reduce((product, n) => product * n, 1) })),
  );
}

const CHUNK = 2 ** 21;

/** Random bits of bfloat16: norms are 1, matrices have the deviation 1 / sqrt(fan-in), so that activations stay as large as they are. */
function* numbers({ name, shape, elements }: Stored): Generator<Uint8Array> {
  const scale = shape.length === 1 ? 0 : name === "shared.weight" ? 1 : 1 / Math.sqrt(shape[1]);
  const drawn = Float32Array.from({ length: 4096 }, (_, i) => (shape.length === 1 ? 1 : scale * Math.sin(i * i) * 1.4));
  const bits = Uint16Array.from(new Uint32Array(drawn.buffer), (word) => word >>> 16);
  let seed = elements;
  for (let at = 0; at < elements; at += CHUNK) {
    const piece = new Uint16Array(Math.min(CHUNK, elements - at));
    for (let i = 0; i < piece.length; i++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
      piece[i] = bits[seed >>> 20];
    }
    yield new Uint8Array(piece.buffer);
  }
}

async function writeAll(path: string, pieces: Iterable<Uint8Array>): Promise<void> {
  const file = createWriteStream(path);
  for (const piece of pieces) if (!file.write(piece)) await once(file, "drain");
  file.end();
  await once(file, "close");
}

function* safetensorsOf(tensors: readonly Stored[]): Generator<Uint8Array> {
  yield formatHeader(tensors.map(({ name, shape }) => ({ name, shape, dtype: "BF16" })), { format: "pt" }, { BF16: 2 }).header; // prettier-ignore
  for (const one of tensors) yield* numbers(one);
}

/** As it was published: the embedding under four names on one storage. */
function binOf(tensors: readonly Stored[]): Iterable<Uint8Array> {
  const all = tensors.map((one, i) => ({ ...one, storage: "BFloat16Storage", key: String(i), bytes: () => numbers(one) }));
  const twins = ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"].map((name) => ({ ...all[0], name }));
  return torchBin([...all, ...twins]);
}

async function synthesise(folder: string, layers: number): Promise<void> {
  const tensors = storedTensors(layers);
  console.log(`${tensors.length} tensors, ${(tensors.reduce((sum, { elements }) => sum + elements, 0) / 1e6).toFixed(1)} M parameters`);
  for (const [container, file, pieces] of [
    ["bin", "pytorch_model.bin", binOf(tensors)],
    ["safetensors", "model.safetensors", safetensorsOf(tensors)],
  ] as const) {
    // prettier-ignore
    mkdirSync(join(folder, container), { recursive: true });
    writeFileSync(join(folder, container, "config.json"), JSON.stringify(config(layers)));
    await writeAll(join(folder, container, file), pieces);
  }
}

const pass = { training: false, random: key(0) };

// Measurements, each in a process of its own

/** A stopwatch for the time on the wall, and for that of the processor: on a loaded machine only the second says something. */
function stopwatchOf(): () => string {
  const [start, used] = [performance.now(), process.cpuUsage()];
  return () => {
    const { user, system } = process.cpuUsage(used);
    return `${((performance.now() - start) / 1000).toFixed(1)} s (${((user + system) / 1e6).toFixed(1)} of the processor)`;
  };
}

const gigabytes = (bytes: number): string => (bytes / 1e9).toFixed(2);

/** The most that this process held, and what Node held before. */
function memory(before: number): string {
  return `peak ${gigabytes(process.resourceUsage().maxRSS * 1024)} GB (${gigabytes(before)} before)`;
}

async function measureLoad(folder: string, dtype: LoadOptions["dtype"], name: "cpu" | "wasm"): Promise<void> {
  const backend = await useBackend(name);
  const before = process.memoryUsage().rss;
  const time = stopwatchOf();
  const { model } = await loadPretrained(folder, { dtype: dtype ?? "stored" });
  const parameters = model.parameters();
  const bytes = backend.stats().liveBytes;
  const largest = Math.max(...parameters.map(({ size }) => size)) * (dtype === "bfloat16" ? 2 : 4);
  console.log(
    `load on ${name} as ${dtype}: ${time()}; model ${gigabytes(bytes)} GB, largest tensor ${gigabytes(largest)} GB, ${memory(before)}`,
  );
}

async function measureExport(from: string, to: string): Promise<void> {
  await useBackend("cpu");
  const before = process.memoryUsage().rss;
  const loaded = await loadPretrained(from);
  const time = stopwatchOf();
  await savePretrained(loaded, to);
  console.log(`export: ${time()}; ${memory(before)}`);
}

/** Encodes, then writes greedily; then the same again under the stopwatch. */
async function measureUse(folder: string, dtype: LoadOptions["dtype"], tokens: number, written: number): Promise<void> {
  const { backend, times, reset } = stopwatch<Backend>(await useBackend("wasm"));
  const loaded = await loadPretrained(folder, { dtype: dtype ?? "stored", backend });
  if (loaded.family !== "switch_transformers" && loaded.family !== "t5") throw new Error("the bench loads an encoder-decoder");
  const { model } = loaded;
  const ids = withBackend(backend, () =>
    tensor(
      Int32Array.from({ length: tokens }, (_, i) => (i * 7919) % 32000),
      { shape: [1, tokens] },
    ),
  );
  for (const round of ["first", "second"]) {
    reset();
    let start = performance.now();
    const encoded = withBackend(backend, () => noGrad(() => scope(() => model.encode(ids, {}, pass))));
    await encoded.memory.data();
    const encoding = (performance.now() - start) / 1000;
    const encodeTimes = shares(times());
    reset();
    start = performance.now();
    const count = await writeGreedily(model, encoded, written, backend);
    const writing = (performance.now() - start) / 1000;
    console.log(
      `use on wasm as ${dtype}, ${round} time: ${(tokens / encoding).toFixed(1)} tokens/s read, ${(count / writing).toFixed(2)} tokens/s written`,
    );
    console.log(`  reading: ${encodeTimes}`);
    console.log(`  writing: ${shares(times())}`);
  }
  console.log(`  ${memory(0)}; tensors alone ${gigabytes(backend.stats().peakBytes)} GB`);
}

/** So many tokens, the likeliest each time; `generate` makes its tensors on the current backend, which has no stopwatch. */
async function writeGreedily(model: EncoderDecoder, encoded: Encoded, tokens: number, backend: Backend): Promise<number> {
  let id = model.start;
  let past: DecoderInput["past"];
  for (let i = 0; i < tokens; i++) {
    const { best, seen } = withBackend(backend, () =>
      noGrad(() =>
        scope(() => {
          const { logits, seen } = model.decode(tensor([[id]], { dtype: "int32" }), encoded, { past }, pass);
          return { best: logits.argmax(-1), seen };
        }),
      ),
    );
    id = await best.item();
    release(past);
    past = seen;
  }
  release(past);
  return tokens;
}

/** What a step wrote about itself; keys and values of the memory stay, as the next step has them too. */
function release(past: DecoderInput["past"]): void {
  for (const { keys, values } of past ?? []) for (const tensor of [keys, values]) tensor.dispose();
}

/** The kernels that take most of the time, and the share of products. */
function shares(times: ReturnType<ReturnType<typeof stopwatch>["times"]>): string {
  const total = times.reduce((sum, { ms }) => sum + ms, 0);
  const share = (ms: number): string => `${((100 * ms) / total).toFixed(0)} %`;
  const products = times.filter(({ kernel }) => isProduct(kernel)).reduce((sum, { ms }) => sum + ms, 0);
  const top = times.slice(0, 5).map(({ kernel, ms, calls }) => `${kernel} ${share(ms)} (${calls} calls)`);
  return `${(total / 1000).toFixed(2)} s in kernels, products ${share(products)}: ${top.join(", ")}`;
}

function apart(...args: string[]): void {
  const self = fileURLToPath(import.meta.url);
  const { status } = spawnSync(process.execPath, ["--import=tsx", "--conditions=source", self, ...args], { stdio: "inherit" });
  if (status !== 0) console.log(`(${args.slice(0, 1).join(" ")} ended with ${status})`);
}

async function all(): Promise<void> {
  const folder = options.keep ?? mkdtempSync(join(tmpdir(), "switchyard-pretrained-"));
  try {
    await synthesise(folder, Number(options.layers));
    for (const container of ["bin", "safetensors"])
      for (const backend of ["cpu", "wasm"])
        for (const dtype of ["bfloat16", "float32"]) apart("load", join(folder, container), dtype, backend);
    rmSync(join(folder, "safetensors"), { recursive: true });
    apart("export", join(folder, "bin"), join(folder, "exported"));
    apart("load", join(folder, "exported"), "bfloat16", "wasm");
    for (const dtype of ["float32", "bfloat16"])
      apart("use", join(folder, "bin"), dtype, "--tokens", options.tokens, "--write", options.write);
  } finally {
    if (options.keep === undefined) rmSync(folder, { recursive: true, force: true });
  }
}

const [what, from = "", third = ""] = positionals;
const asDtype = third === "bfloat16" ? "bfloat16" : "float32";
if (options.help) console.log(USAGE);
else if (what === "load") await measureLoad(from, asDtype, positionals[3] === "cpu" ? "cpu" : "wasm");
else if (what === "export") await measureExport(from, third);
else if (what === "use") await measureUse(from, asDtype, Number(options.tokens), Number(options.write));
else await all();
