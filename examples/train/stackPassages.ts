/** What both stacks of an encoder-decoder read, token by token, on the lanes of their experts. B texts, T tokens that a stack reads. */
import { noGrad, scope } from "switchyard-moe";
import type { EncoderDecoder } from "switchyard-moe/nn";
import { readBatch } from "./pairEvaluation.ts";
import type { LayerRead } from "./pairEvaluation.ts";
import { collatePairs } from "./pairs.ts";
import type { Passage } from "./passage.ts";
import { sparseLayerNames } from "./routers.ts";
import { END } from "./vocabulary.ts";

/** A text that the encoder reads, and what the decoder wrote for it. */
export interface ReadText {
  readonly title: string;
  /** BCP 47, or "" where the language is unknown. */
  readonly lang: string;
  readonly dir: "ltr" | "rtl";
  readonly input: Int32Array;
  /** Without its end. */
  readonly written: Int32Array;
}

/**
 * A passage for each text and sparse layer: the layers of the encoder over the input, those of the decoder over the start and what was
 * written.
 */
export async function stackPassages(model: EncoderDecoder, texts: readonly ReadText[]): Promise<Passage[]> {
  const names = sparseLayerNames(model);
  if (names.length === 0) return [];
  // The decoder reads the start and all of its target but the last token: here everything that was written.
  const batch = collatePairs(texts.map(({ input, written }) => ({ input, target: Int32Array.of(...written, END), classIndex: 0 })));
  const { layers } = scope(() => noGrad(() => readBatch(model, batch)));
  const read = await Promise.all(layers.map(dataOf));
  return texts.flatMap(({ title, lang, dir, input, written }, b) =>
    read.map(({ ids, expert, slot, experts, length }, l): Passage => {
      const tokens = names[l].startsWith("encoder") ? input.length : written.length + 1;
      const of = (values: ArrayLike<number>): number[] => Array.from(values).slice(b * length, b * length + tokens);
      return { title, lang, dir, layer: names[l], experts, ids: of(ids), expert: of(expert), kept: of(slot).map((s) => s >= 0) };
    }),
  );
}

async function dataOf({ ids, expert, slot, experts }: LayerRead) {
  const [read, chosen, seats] = await Promise.all([ids.data(), expert.data(), slot.data()]);
  // Where no expert took a token, none is drawn: its slot is -1.
  return { ids: read, expert: chosen.map((e) => Math.max(0, e)), slot: seats, experts, length: ids.shape[1] };
}
