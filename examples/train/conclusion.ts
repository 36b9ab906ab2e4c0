/** What came of a run, said honestly: held-out bits beside counting, what experts know before and after training, what dropping costs. */
import { key } from "switchyard-moe";
import type { CapacityFactor } from "switchyard-moe/moe";
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import { baselines } from "./baselines.ts";
import type { Baseline } from "./baselines.ts";
import type { Evaluation } from "./evaluation.ts";
import { evaluateModel } from "./evaluation.ts";
import type { Specialisation } from "./information.ts";
import { specialisation } from "./information.ts";
import { buildModel, withCapacity } from "./model.ts";
import { caution, sparseLayers } from "./routers.ts";
import type { Run } from "./run.ts";
import { bestModel } from "./run.ts";
import { writeReport } from "./runReport.ts";
import type { Sequence } from "./sequences.ts";
import { validationWindows } from "./sequences.ts";
import type { Corpus } from "./text.ts";

export interface LayerFinding {
  readonly trained: Specialisation;
  readonly untrained: Specialisation;
}

export interface CapacityFinding {
  readonly factor: CapacityFactor;
  readonly bits: number;
  readonly dropped: number;
}

export interface Conclusion {
  readonly baselines: readonly Baseline[];
  readonly trained: Evaluation;
  readonly untrained: Evaluation;
  readonly layers: readonly LayerFinding[];
  readonly capacities: readonly CapacityFinding[];
}

/** Prints the account of a run and answers with its numbers. */
export async function conclude(run: Run): Promise<Conclusion> {
  const found = await findings(run);
  const table = [...found.baselines.map(({ name, bits }) => [name, bits] as const), ["this model", found.trained.bits] as const];
  console.log(`\nheld-out text, bits per byte (best model, step ${run.best?.step ?? run.trainer.steps})`);
  for (const [name, bits] of table.toSorted(([, a], [, b]) => b - a)) console.log(`  ${name.padEnd(12)} ${bits.toFixed(3)}`);
  const warning = caution(run.trainer.model);
  if (warning) console.log(`  but ${warning}`);
  if (found.layers.length > 0) describeExperts(found, run);
  const report = await writeReport(run, bestModel(run), found);
  console.log(`\nkept in ${run.folder}: model.safetensors, last.safetensors, config.json, metrics.jsonl; to look at: ${report}`);
  return found;
}

async function findings(run: Run): Promise<Conclusion> {
  const { config, corpus } = run;
  const windows = validationWindows(corpus, { length: config.training.length });
  const options = { batch: config.training.batch, languages: corpus.classes.length };
  const model = bestModel(run);
  const trained = await evaluateModel(model, windows, options);
  const untrained = await evaluateModel(buildModel(config.model, key(config.training.seed).at("init")), windows, options);
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
  options: { batch: number; languages: number },
  trained: Evaluation,
): Promise<CapacityFinding[]> {
  if (!sparseLayers(model).some(({ router }) => router.traits.capacity)) return [];
  const mixed = interleaved(windows, options.batch);
  const found: CapacityFinding[] = [];
  for (const factor of [1, 1.25, 2]) {
    const { bits, dropped } = await withCapacity(model, factor, () => evaluateModel(model, mixed, options));
    found.push({ factor, bits, dropped });
  }
  return [...found, { factor: "dropless", bits: trained.bits, dropped: trained.dropped }];
}

/** Neighbours far apart in the list share a batch. */
function interleaved<T>(values: readonly T[], batch: number): T[] {
  const stride = Math.max(1, Math.floor(values.length / batch));
  return Array.from({ length: stride }, (_, first) => values.filter((__, i) => i % stride === first)).flat();
}

function describeExperts({ layers, capacities: found }: Conclusion, { trainer, corpus: { unit } }: Run): void {
  const own = sparseLayers(trainer.model)[0].trainingCapacityFactor;
  console.log(`\nwhat an expert's number tells, in bits: I(expert; ${unit}), I(expert; byte), I(expert; ${unit} | byte)`);
  const line = (name: string, { expertLanguage, expertByte, expertLanguageGivenByte }: Specialisation["shuffled"]): void =>
    console.log(`  ${name.padEnd(32)} ${[expertLanguage, expertByte, expertLanguageGivenByte].map((bits) => bits.toFixed(3)).join("  ")}`);
  layers.forEach(({ trained, untrained }, layer) => {
    line(`sparse layer ${layer}, trained`, trained);
    line(`sparse layer ${layer}, before training`, untrained);
    line(`sparse layer ${layer}, experts shuffled`, trained.shuffled);
  });
  console.log(`  ${sentence(layers, unit)}`);
  if (found.length > 0) console.log(`\ncapacity in evaluation (trained ${own === "dropless" ? "without drops" : `with ${own}`})`);
  for (const { factor, bits, dropped } of found)
    console.log(
      `  ${(factor === "dropless" ? "no drops" : `factor ${factor.toFixed(2)}`).padEnd(12)} ${bits.toFixed(3)} bits per byte, ${(100 * dropped).toFixed(1)} % of bytes dropped`,
    );
}

/** What the numbers show, in words. */
export function sentence(layers: readonly LayerFinding[], unit: Corpus["unit"]): string {
  const mean = (of: (layer: LayerFinding) => number): number => layers.reduce((sum, layer) => sum + of(layer), 0) / layers.length;
  const byte = mean(({ trained }) => trained.expertByte);
  const given = mean(({ trained }) => trained.expertLanguageGivenByte - trained.shuffled.expertLanguageGivenByte);
  const before = mean(({ untrained }) => untrained.expertLanguage);
  const after = mean(({ trained }) => trained.expertLanguage);
  const untrained = `an untrained router already has ${before.toFixed(2)} bits of the ${unit}`;
  const why = unit === "language" ? `a byte tells the script, so ${untrained}` : untrained;
  return `An expert tells ${byte.toFixed(2)} bits of the byte and ${after.toFixed(2)} of the ${unit}: ${why}, and beyond the byte an expert tells ${given.toFixed(2)}.`;
}
