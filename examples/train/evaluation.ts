/**
 * Scoring a model on held-out text: each byte once, and what the routers did with it.
 * B windows of a batch, T positions, E experts, L sparse layers.
 */
import { noGrad, scope, tensor, where } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import type { Routing } from "switchyard-moe/moe";
import { crossEntropy, evaluation } from "switchyard-moe/nn";
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import type { Observations } from "./information.ts";
import type { Batch, Sequence } from "./sequences.ts";
import { inBatches } from "./sequences.ts";

export interface SpanScore {
  readonly classIndex: number;
  /** The article: the same in all languages. */
  readonly label: string;
  readonly bytes: number;
  readonly bits: number;
}

export interface Evaluation {
  /** Bits per byte. */
  readonly bits: number;
  readonly spans: readonly SpanScore[];
  /** Share of scored bytes that no expert served, the mean over layers. */
  readonly dropped: number;
  /** For each sparse layer: the expert, language and value of each scored byte, in the order of the windows. */
  readonly observed: readonly (Observations & { readonly kept: readonly boolean[] })[];
}

export interface EvaluationOptions {
  /** Windows that are run at once. */
  readonly batch: number;
  /** Classes of the corpus. */
  readonly languages: number;
  /** Hears of the share that is done, before each batch. */
  readonly progress?: (share: number) => void;
}

/** Runs the model over the windows without training it. Memory is one batch's, whatever the number of windows. */
export async function evaluateModel(
  model: DecoderLanguageModel,
  windows: readonly Sequence[],
  { batch, languages, progress }: EvaluationOptions,
): Promise<Evaluation> {
  const score = new Score(languages);
  const parts = inBatches(windows, batch);
  for (const [i, part] of parts.entries()) {
    progress?.(i / parts.length);
    const read = scope(() => noGrad(() => forward(model, part)));
    const [bits, ...books] = await Promise.all([read.nats.data(), ...read.experts.map((x) => x.data())]);
    score.add(part, bits, books.slice(0, books.length / 2), books.slice(books.length / 2), read.count);
  }
  return score.result();
}

/** Loss of every position, [B T] nats, and in every sparse layer the expert of each and whether one served it (a slot, or -1). */
function forward(
  model: DecoderLanguageModel,
  { size, length, inputs, targets }: Batch,
): { nats: Tensor; experts: Tensor[]; count: number } {
  const ids = tensor(inputs, { shape: [size, length] });
  const out = model.forward(ids, {}, evaluation);
  const nats = crossEntropy(out.logits, tensor(targets, { shape: [size, length] }), { reduction: "none" });
  const books = (out.routings as Routing[]).map((routing) => routing.books);
  return {
    nats,
    experts: [...books.map(mainExpert), ...books.map(({ slotOfChoice }) => slotOfChoice.max(1))],
    count: Math.max(1, ...(out.routings as Routing[]).map((r) => r.layout.experts)),
  };
}

/** The expert with the largest gate of each byte, [T]: its only one where it chose one. Where no expert chose it, the likeliest. */
export function mainExpert({ expertOfChoice, gate, probs }: Routing["books"]): Tensor {
  if (expertOfChoice.shape[1] === 1) return expertOfChoice;
  const made = expertOfChoice.greaterEqual(0);
  const best = where(made.cast(gate.dtype), gate, -1).argmax(1).unsqueeze(1);
  const expert = expertOfChoice.takeAlong(best, 1).squeeze(1);
  return where(expert.less(0), probs.argmax(1), expert);
}

/** Adds up batches. */
class Score {
  readonly #languages: number;
  readonly #spans = new Map<string, { classIndex: number; label: string; bytes: number; bits: number }>();
  readonly #layers: { expert: number[]; kept: boolean[] }[] = [];
  readonly #language: number[] = [];
  readonly #byte: number[] = [];
  #experts = 1;

  constructor(languages: number) {
    this.#languages = languages;
  }

  add(
    batch: Batch,
    nats: ArrayLike<number>,
    expert: readonly ArrayLike<number>[],
    slot: readonly ArrayLike<number>[],
    experts: number,
  ): void {
    this.#experts = experts;
    while (this.#layers.length < expert.length) this.#layers.push({ expert: [], kept: [] });
    for (let i = 0; i < nats.length; i++) {
      if (!batch.scored[i]) continue;
      const b = Math.floor(i / batch.length);
      const span = this.#span(batch.classOf[b], batch.labels[b]);
      span.bytes++;
      span.bits += nats[i] / Math.LN2;
      this.#language.push(batch.classOf[b]);
      this.#byte.push(batch.inputs[i]);
      this.#layers.forEach((layer, l) => {
        layer.expert.push(Math.max(0, expert[l][i]));
        layer.kept.push(slot[l][i] >= 0);
      });
    }
  }

  #span(classIndex: number, label: string): { bytes: number; bits: number } {
    const name = `${classIndex} ${label}`;
    let span = this.#spans.get(name);
    if (!span) this.#spans.set(name, (span = { classIndex, label, bytes: 0, bits: 0 }));
    return span;
  }

  result(): Evaluation {
    const spans = [...this.#spans.values()];
    const bytes = spans.reduce((sum, span) => sum + span.bytes, 0);
    const [language, byte, experts, languages] = [this.#language, this.#byte, this.#experts, this.#languages];
    return {
      bits: spans.reduce((sum, span) => sum + span.bits, 0) / bytes,
      spans,
      dropped: this.#layers.flatMap(({ kept }) => kept).filter((kept) => !kept).length / Math.max(1, bytes * this.#layers.length),
      observed: this.#layers.map((layer) => ({ ...layer, language, byte, experts, languages })),
    };
  }
}
