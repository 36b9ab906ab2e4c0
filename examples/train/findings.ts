/** What is measured of a trained model: held-out bits beside counting, what experts know before and after training, what dropping costs. */
import { key } from "switchyard-moe";
import type { CapacityFactor } from "switchyard-moe/moe";
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import { baselines } from "./baselines.ts";
import type { Baseline } from "./baselines.ts";
import type { Evaluation, EvaluationOptions } from "./evaluation.ts";
import { evaluateModel } from "./evaluation.ts";
import type { Specialisation } from "./information.ts";
import { specialisation } from "./information.ts";
import { withCapacity } from "./model.ts";
import { sparseLayers } from "./routers.ts";
import type { Run } from "./run.ts";
import { bestModel } from "./runLoop.ts";
import type { Sequence } from "./sequences.ts";
import { validationWindows } from "./sequences.ts";
import type { Classes, Corpus } from "./text.ts";

export interface LayerFinding {
  readonly trained: Specialisation;
  readonly untrained: Specialisation;
}

export interface CapacityFinding {
  readonly factor: CapacityFactor;
  readonly bits: number;
  readonly dropped: number;
}

export interface Findings {
  readonly baselines: readonly Baseline[];
  readonly trained: Evaluation;
  readonly untrained: Evaluation;
  readonly layers: readonly LayerFinding[];
  readonly capacities: readonly CapacityFinding[];
}

/** Hears what is being evaluated, and the share of it that is done. */
export type Watch = (what: string, share: number) => void;

/** Measures the best model of a run on all that is held out. */
export async function findings(run: Run<DecoderLanguageModel>, corpus: Corpus, watch: Watch): Promise<Findings> {
  const { config, job } = run;
  const windows = validationWindows(corpus, { length: config.training.length });
  const options = (what: string): EvaluationOptions => ({
    batch: config.training.batch,
    languages: corpus.classes.length,
    progress: (share) => watch(what, share),
  });
  const model = bestModel(run);
  const trained = await evaluateModel(model, windows, options("the best model"));
  const untrained = await evaluateModel(job.build(), windows, options("the model before training"));
  const random = key(config.training.seed).at("shuffle");
  const of = (evaluation: Evaluation, layer: number): Specialisation => specialisation(evaluation.observed[layer], (i) => random.number(i));
  return {
    baselines: baselines(corpus),
    trained,
    untrained,
    layers: trained.observed.map((_, layer) => ({ trained: of(trained, layer), untrained: of(untrained, layer) })),
    capacities: await capacities(model, windows, options, trained),
  };
}

/** The same model with fewer slots. Windows of all languages are mixed, as training batches are. */
async function capacities(
  model: DecoderLanguageModel,
  windows: readonly Sequence[],
  options: (what: string) => EvaluationOptions,
  trained: Evaluation,
): Promise<CapacityFinding[]> {
  if (!sparseLayers(model).some(({ router }) => router.traits.capacity)) return [];
  const mixed = interleaved(windows, options("").batch);
  const found: CapacityFinding[] = [];
  for (const factor of [1, 1.25, 2]) {
    const { bits, dropped } = await withCapacity(model, factor, () => evaluateModel(model, mixed, options(`capacity factor ${factor}`)));
    found.push({ factor, bits, dropped });
  }
  return [...found, { factor: "dropless", bits: trained.bits, dropped: trained.dropped }];
}

/** Neighbours far apart in the list share a batch. */
function interleaved<T>(values: readonly T[], batch: number): T[] {
  const stride = Math.max(1, Math.floor(values.length / batch));
  return Array.from({ length: stride }, (_, first) => values.filter((__, i) => i % stride === first)).flat();
}

/** What the numbers show, in words. */
export function sentence(layers: readonly LayerFinding[], { unit, classes }: Classes): string {
  const mean = (of: (layer: LayerFinding) => number): number => layers.reduce((sum, layer) => sum + of(layer), 0) / layers.length;
  const byte = mean(({ trained }) => trained.expertByte);
  if (classes.length === 1) return `An expert tells ${byte.toFixed(2)} bits of the byte.`;
  const given = mean(({ trained }) => trained.expertLanguageGivenByte - trained.shuffled.expertLanguageGivenByte);
  const before = mean(({ untrained }) => untrained.expertLanguage);
  const after = mean(({ trained }) => trained.expertLanguage);
  const untrained = `an untrained router already has ${before.toFixed(2)} bits of the ${unit}`;
  const why = unit === "language" ? `a byte tells the script, so ${untrained}` : untrained;
  const told = `An expert tells ${byte.toFixed(2)} bits of the byte and ${after.toFixed(2)} of the ${unit}`;
  return `${told}: ${why}, and beyond the byte an expert tells ${given.toFixed(2)}.`;
}
