/** Looks into a model between two steps: where each byte of a passage goes, and what experts know about. N bytes, E experts, K choices. */
import { key, noGrad, scope, tensor } from "switchyard-moe";
import type { Key } from "switchyard-moe";
import { loadEntropy, maxViolation } from "switchyard-moe/moe";
import type { Routing } from "switchyard-moe/moe";
import { generate } from "switchyard-moe/nn";
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import { contingency, mutualInformation } from "../../examples/train/information.ts";
import { sparseLayers } from "../../examples/train/routers.ts";
import type { Corpus } from "../../examples/train/text.ts";
import type { BytePrediction } from "../../examples/train/bytePrediction.ts";
import type { Trainer } from "../../examples/train/training.ts";
import { shuffled, draws } from "../../examples/train/uniform.ts";
import { withCapacity } from "../../examples/train/model.ts";
import type { LayerTrace, Observation } from "./protocol.ts";

export const PASSAGE_BYTES = 600;

/** A pass over the passage and one over a batch, both with the capacity of training, so that drops are seen. */
export async function observe(
  trainer: Trainer<DecoderLanguageModel>,
  task: BytePrediction,
  corpus: Corpus,
  passage: string,
): Promise<Observation> {
  const { model, steps } = trainer;
  const bytes = new TextEncoder().encode(passage).slice(0, PASSAGE_BYTES);
  const layers = bytes.length > 0 ? await traced(model, Int32Array.from(bytes), [1, bytes.length]) : [];
  const { size, length, inputs, classOf } = task.batch(trainer.batchKey(steps));
  const seen = await traced(model, inputs, [size, length]);
  const language = Int32Array.from({ length: size * length }, (_, i) => classOf[Math.floor(i / length)]);
  const tables = seen.map((layer) => tablesOf(layer, inputs, language, corpus.classes.length));
  return {
    step: steps,
    bytes,
    layers,
    byLanguage: tables.map((table) => table.byLanguage),
    byByte: tables.map((table) => table.byByte),
    information: tables.map((table) => table.information),
    entropy: seen.map((layer) => loadEntropy(loadOf(layer))),
    violation: seen.map((layer) => maxViolation(loadOf(layer))),
    gateMean: seen.map(gateMeanOf),
  };
}

/** The routing of ids [B, T], a trace for each sparse layer. */
async function traced(model: DecoderLanguageModel, ids: Int32Array, shape: [number, number]): Promise<LayerTrace[]> {
  const factor = sparseLayers(model)[0]?.trainingCapacityFactor;
  if (factor === undefined) return [];
  return withCapacity(model, factor, async () => {
    const reads = scope(() =>
      noGrad(() => {
        const { routings } = model.forward(tensor(ids, { shape }), {}, { training: false, random: key(0) });
        return (routings as Routing[]).map(({ books, layout }) => ({ experts: layout.experts, expert: books.expertOfChoice, slot: books.slotOfChoice, gate: books.gate, probs: books.probs })); // prettier-ignore
      }),
    );
    return Promise.all(
      reads.map(async ({ experts, expert, slot, gate, probs }) => ({
        experts,
        choices: expert.shape[1] ?? 1,
        expert: Int32Array.from(await expert.data()),
        slot: Int32Array.from(await slot.data()),
        gate: Float32Array.from(await gate.data()),
        probs: Float32Array.from(await probs.data()),
      })),
    );
  });
}

function firstChoice({ expert, choices }: LayerTrace): Int32Array {
  return Int32Array.from({ length: expert.length / choices }, (_, t) => expert[t * choices]);
}

function loadOf({ expert, experts }: LayerTrace): number[] {
  const load = new Array<number>(experts).fill(0);
  for (const e of expert) if (e >= 0) load[e]++;
  return load;
}

function gateMeanOf({ gate, slot }: LayerTrace): number {
  let [sum, served] = [0, 0];
  gate.forEach((value, i) => {
    if (slot[i] < 0) return;
    sum += value;
    served++;
  });
  return served > 0 ? sum / served : 0;
}

/** Counts of expert and language, and of expert and byte, over tokens that chose. */
function tablesOf(layer: LayerTrace, bytes: Int32Array, language: Int32Array, languages: number) {
  const chosen = firstChoice(layer);
  const at = Array.from(chosen.keys()).filter((i) => chosen[i] >= 0);
  const pick = (values: Int32Array): number[] => at.map((i) => values[i]);
  const [experts, tongues] = [pick(chosen), pick(language)];
  const byLanguage = contingency(tongues, experts, languages, layer.experts);
  const dealt = shuffled(
    experts,
    draws((i) => key(0).at("shuffle").number(i)),
  );
  const information = { language: mutualInformation(byLanguage), shuffled: mutualInformation(contingency(tongues, dealt, languages, layer.experts)) }; // prettier-ignore
  return { byLanguage, byByte: contingency(experts, pick(bytes), layer.experts, 256), information };
}

/** Bytes that the model writes after a prompt, and the expert of each in the last sparse layer (-1: none). */
export async function writeOn(
  model: DecoderLanguageModel,
  prompt: string,
  { bytes, length, random }: { readonly bytes: number; readonly length: number; readonly random: Key },
): Promise<{ readonly text: Uint8Array; readonly expert: Int32Array }> {
  const start = [...new TextEncoder().encode(prompt === "" ? " " : prompt)];
  const text: number[] = [];
  for await (const byte of generate(model, start, { tokens: bytes, context: length, random, temperature: 0.8 })) text.push(byte);
  const layers = await traced(model, Int32Array.from(text), [1, text.length]);
  const last = layers.at(-1);
  return { text: Uint8Array.from(text), expert: last ? firstChoice(last) : new Int32Array(text.length).fill(-1) };
}
