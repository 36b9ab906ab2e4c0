/** Fills the gaps of a text, or prints the output of a fine-tuned model, and shows the expert of every token in both stacks. */
import { key, noGrad, scope, tensor } from "switchyard-moe";
import { formatTrace, trace } from "switchyard-moe/moe";
import type { TraceableModel } from "switchyard-moe/moe";
import { evaluation } from "switchyard-moe/nn";
import type { EncoderDecoder } from "switchyard-moe/nn";
import { loadCheckpoint, restoreModel } from "./checkpoint.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { keptFile } from "./folders.ts";
import { buildEncoderDecoder } from "./model.ts";
import type { FillOptions } from "./options.ts";
import { canGenerate, caution, sparseLayers } from "./routers.ts";
import { filledText, idsOfGappedText, namesOf, shownText } from "./shownText.ts";
import { traceLegend } from "./traceText.ts";
import { UserError } from "./userError.ts";
import { PADDING, sentinels } from "./vocabulary.ts";
import { write } from "./writing.ts";

export async function fillText({ from, text, bytes }: FillOptions): Promise<void> {
  const { model, checkpoint } = openEncoderDecoder(from);
  const input = idsOfGappedText(text);
  const tuned = checkpoint.config.goal.kind === "finetune";
  if (!tuned && !input.some((id) => id >= sentinels.first))
    throw new UserError(`--text "${text}": there is no gap in it; write <1>, <2> and so on where something is missing`);
  const [written] = await write(model, [input], bytes);
  console.log(tuned ? shownText(written) : filledText(input, written));
  if (sparseLayers(model).length > 0) await showExperts(model, input, written);
}

async function showExperts(model: EncoderDecoder, input: Int32Array, written: Int32Array): Promise<void> {
  const ids = row(input);
  const read = Int32Array.of(PADDING, ...written);
  const encoded = scope(() => noGrad(() => model.encode(ids, {}, evaluation)));
  const encoder: TraceableModel = { forward: (tokens, _, pass) => model.encode(tokens, {}, pass) };
  const decoder: TraceableModel = { forward: (tokens, _, pass) => model.decode(tokens, encoded, {}, pass) };
  for (const [stack, traced, read_] of [
    ["encoder", encoder, input],
    ["decoder", decoder, read],
  ] as const) {
    // prettier-ignore
    const tokens = await trace(traced, row(read_), { training: false, random: key(0) });
    const names = namesOf(read_);
    if (tokens.length > 0) console.log(`\n${stack}, as it reads\n${formatTrace(tokens, (_, position) => names[position])}`);
  }
  console.log(`\n${traceLegend}`);
}

const row = (ids: Int32Array) => tensor(ids, { shape: [1, ids.length] });

/** A checkpoint and its encoder-decoder. Of a folder it is the best model, or the last one where none was validated. */
export function openEncoderDecoder(from: string): { model: EncoderDecoder; checkpoint: Checkpoint } {
  const path = keptFile(from);
  const checkpoint = loadCheckpoint(path);
  const { model: config } = checkpoint.config;
  if (config.architecture !== "encoder-decoder")
    throw new UserError(`--from ${from}: it holds a decoder alone, which cannot fill gaps; use generate`);
  const model = restoreModel(path, checkpoint, () => buildEncoderDecoder(config, key(0)));
  if (!canGenerate(model.decoder)) throw new UserError(`--from ${from}: ${caution(model.decoder) ?? "its decoder cannot write"}`);
  return { model, checkpoint };
}
