/** The page of a run: gathers what `report.ts` draws. */
import { key } from "switchyard-moe";
import { summary } from "switchyard-moe/nn";
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import { partCounted } from "./baselines.ts";
import { evaluateModel } from "./evaluation.ts";
import { writeAtomically } from "./files.ts";
import type { Findings } from "./findings.ts";
import { reportFile } from "./folders.ts";
import { streamText } from "./generateText.ts";
import { withCapacity } from "./model.ts";
import type { Passage } from "./passage.ts";
import type { RunReport, Sample } from "./report.ts";
import { reportHtml } from "./report.ts";
import { courseOf, loadOf, specialisationOf, trainingFacts, wireTables } from "./reportParts.ts";
import { canGenerate, caution, sparseLayerNames, sparseLayers } from "./routers.ts";
import type { Run } from "./run.ts";
import { validationWindows } from "./sequences.ts";
import { classCount } from "./text.ts";
import type { Corpus } from "./text.ts";
import { characters, wholeCharacters } from "./utf8.ts";

const titles: Readonly<Record<string, string>> = { dense: "A dense Transformer", switch: "A Switch Transformer" };

/** Writes report.html into the folder of the run. */
export async function writeReport(
  run: Run<DecoderLanguageModel>,
  corpus: Corpus,
  model: DecoderLanguageModel,
  found: Findings,
): Promise<string> {
  const path = reportFile(run.folder);
  writeAtomically(path, reportHtml(await reportOf(run, corpus, model, found)));
  return path;
}

async function reportOf(run: Run<DecoderLanguageModel>, corpus: Corpus, model: DecoderLanguageModel, found: Findings): Promise<RunReport> {
  const { config } = run;
  const { length } = config.training;
  const warning = caution(model);
  const part = partCounted(corpus);
  const [beaten] = found.baselines.filter(({ bits }) => bits > found.trained.bits).toSorted((a, b) => a.bits - b.bits);
  return {
    title: `${titles[config.model.router] ?? `A Transformer with ${config.model.router} layers`} on ${classCount(corpus)}`,
    lead:
      `${found.trained.bits.toFixed(3)} bits per byte on held-out ` +
      `text${beaten ? `, below the ${beaten.name} table's ${beaten.bits.toFixed(3)}` : ""}.`,
    facts: factsOf(run, found),
    ...withStart(courseOf(run), found),
    baselines: found.baselines.map(({ name, bits }) => ({ name, value: bits })),
    load: loadOf(run),
    ...(found.layers.length > 0 ? { specialisation: specialisationOf(corpus, found.layers, observedOf(model, found)) } : {}),
    passages: found.layers.length > 0 ? await passagesOf(run, corpus, model) : [],
    samples: canGenerate(model) ? await samplesOf(run, corpus, model) : [],
    summary: String(summary(model, { length })),
    tables: [...tablesOf(found), ...wireTables(run)],
    notes: [
      ...(warning ? [`${warning}.`] : []),
      "The validation curve is of a sample of the held-out text, measured while the model trains; the numbers of the tables, and the " +
        "curve's point at step 0, are of all of it. They differ by what is in the sample.",
      `The best model is the one with the lowest loss on that sample, of step ${run.best?.step ?? run.trainer.steps}; the numbers at ` +
        "the top are its.",
      "A byte-level causal language model with sparse layers as in their papers; it does not reproduce the papers' experiments.",
      `${corpus.split} Compare models in pairs, over seeds.`,
      ...(part ? [`${part}.`] : []),
    ],
  };
}

/** The curve begins where the model did, before its first step. */
function withStart(course: ReturnType<typeof courseOf>, { untrained }: Findings): ReturnType<typeof courseOf> {
  return { ...course, validation: [[0, untrained.bits], ...course.validation] };
}

function factsOf(run: Run<DecoderLanguageModel>, found: Findings): RunReport["facts"] {
  const step = run.best?.step ?? run.trainer.steps;
  return [
    { name: "held out", value: `${found.trained.bits.toFixed(3)} bits per byte`, note: `best model, step ${step}` },
    { name: "before training", value: `${found.untrained.bits.toFixed(2)} bits per byte` },
    ...trainingFacts(run),
  ];
}

const observedOf = (model: DecoderLanguageModel, { trained, untrained }: Findings) => ({
  names: sparseLayerNames(model),
  before: untrained.observed,
  after: trained.observed,
});

/** Bytes of a passage that are shown. */
const SHOWN = 220;

/** The first held-out part of every class, routed together at the capacity of training: what finds no slot is a gap. */
async function passagesOf({ config }: Run<DecoderLanguageModel>, corpus: Corpus, model: DecoderLanguageModel): Promise<Passage[]> {
  const { length } = config.training;
  const factor = sparseLayers(model)[0].trainingCapacityFactor;
  const windows = corpus.classes.flatMap((text, classIndex) =>
    validationWindows(corpus, { length })
      .filter((window) => window.classIndex === classIndex && window.label === text.heldOut[0].label)
      .slice(0, Math.ceil((2 * SHOWN) / length)),
  );
  const { observed } = await withCapacity(model, factor, () =>
    evaluateModel(model, windows, { batch: windows.length, languages: corpus.classes.length }),
  );
  return corpus.classes.flatMap(({ name, lang, dir, heldOut }, classIndex) =>
    observed.map(({ expert, kept, byte, language, experts }, layer) => {
      const own = Array.from(language, (c, i) => (c === classIndex ? i : -1)).filter((i) => i >= 0);
      const { from, to } = wholeCharacters(own.map((i) => byte[i]), SHOWN); // prettier-ignore
      const shown = own.slice(from, to);
      const of = <T>(values: ArrayLike<T>): T[] => shown.map((i) => values[i]);
      return {
        title: `${name}, ${heldOut[0].label}`,
        lang,
        dir,
        layer: `layer ${layer}`,
        experts,
        ids: of(byte),
        expert: of(expert),
        kept: of(kept),
      };
    }),
  );
}

/** What the model writes in each of a few classes, from the first words of its text. */
async function samplesOf({ config }: Run<DecoderLanguageModel>, corpus: Corpus, model: DecoderLanguageModel): Promise<Sample[]> {
  const { length, seed } = config.training;
  const samples: Sample[] = [];
  for (const { name, lang, dir, training } of corpus.classes.slice(0, 4)) {
    const prompt = characters(training.subarray(0, 60)).slice(0, 12).map((character) => character.text).join(""); // prettier-ignore
    let text = "";
    for await (const part of streamText(model, prompt, { bytes: 160, length, temperature: 0.7, random: key(seed).at("sample", name) }))
      text += part;
    samples.push({ name, prompt, text, ...(lang ? { lang } : {}), dir });
  }
  return samples;
}

function tablesOf({ baselines, trained, capacities }: Findings): RunReport["tables"] {
  const rows = [...baselines.map(({ name, bits }) => [name, bits] as const), ["this model", trained.bits] as const];
  const table = {
    caption: "Held-out text, bits per byte",
    columns: ["model", "bits per byte"],
    rows: rows.toSorted(([, a], [, b]) => b - a).map(([name, bits]) => [name, bits.toFixed(3)]),
  };
  if (capacities.length === 0) return [table];
  const name = (factor: number | "dropless"): string => (factor === "dropless" ? "no drops" : factor.toFixed(2));
  const limits = capacities.map(({ factor, bits, dropped }) => [name(factor), bits.toFixed(3), `${(100 * dropped).toFixed(1)} %`]);
  return [
    table,
    { caption: "The same model with fewer slots in evaluation", columns: ["capacity factor", "bits per byte", "dropped"], rows: limits },
  ];
}
