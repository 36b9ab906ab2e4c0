/** The task of the main job: each byte of a text from those before it, scored on what is held out. */
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import { BytePrediction } from "./bytePrediction.ts";
import { evaluateModel } from "./evaluation.ts";
import type { Evaluation, EvaluationOptions } from "./evaluation.ts";
import type { PredictingTask, Progress } from "./predicting.ts";
import type { Sequence } from "./sequences.ts";
import { spread, validationWindows } from "./sequences.ts";
import type { Peers } from "./task.ts";

/** Windows that a validation during training looks at; the last one looks at all. */
const QUICK_WINDOWS = 256;

export class LanguageModelling extends BytePrediction implements PredictingTask<DecoderLanguageModel> {
  #quick: readonly Sequence[] | undefined;

  async validate(model: DecoderLanguageModel, peers?: Peers): Promise<number> {
    this.#quick ??= spread(this.#windows(), QUICK_WINDOWS);
    if (peers) return sharedBits(this.#quick, peers, (windows) => evaluateModel(model, windows, this.#options()));
    return (await evaluateModel(model, this.#quick, this.#options())).bits;
  }

  async score(model: DecoderLanguageModel, progress: Progress): Promise<number> {
    return (await evaluateModel(model, this.#windows(), { ...this.#options(), progress })).bits;
  }

  #windows(): Sequence[] {
    return validationWindows(this.corpus, { length: this.size.length });
  }

  #options(): EvaluationOptions {
    return { batch: this.size.size, languages: this.corpus.classes.length };
  }
}

/**
 * Bits per byte over windows that peers share out. All of them look at equally many, some at one again, since models whose experts are
 * spread must run equally often; sums go window by window, so that they do not depend on the number of peers.
 */
async function sharedBits(
  windows: readonly Sequence[],
  peers: Peers,
  evaluate: (own: readonly Sequence[]) => Promise<Evaluation>,
): Promise<number> {
  const { rank, size } = peers;
  const each = Math.ceil(windows.length / size);
  const own = Array.from({ length: each }, (_, i) => ({ ...windows[(i * size + rank) % windows.length], label: String(i) }));
  const { spans } = await evaluate(own);
  const sums = new Float64Array(2 * each);
  for (const { label, bits, bytes } of spans) sums.set([bits, bytes], 2 * Number(label));
  const all = peers.allGather(sums); // [n, each, 2]
  const place = (window: number): number => 2 * ((window % size) * each + Math.floor(window / size));
  const total = (of: 0 | 1): number => windows.reduce((sum, _, window) => sum + all[place(window) + of], 0);
  return total(0) / total(1);
}
