/** Pre-training of an encoder-decoder: what is said of it before and after. */
import { key } from "switchyard-moe";
import { summary } from "switchyard-moe/nn";
import type { EncoderDecoder } from "switchyard-moe/nn";
import { baselinesOf } from "./baselines.ts";
import type { Baseline } from "./baselines.ts";
import type { RunConfig } from "./checkpoint.ts";
import { writeAtomically } from "./files.ts";
import type { LayerFinding } from "./findings.ts";
import { sentence } from "./findings.ts";
import { reportFile } from "./folders.ts";
import { specialisation } from "./information.ts";
import type { Observations, Specialisation } from "./information.ts";
import type { TextGoal } from "./languageWork.ts";
import { corpusOf, describeModels, describeText, fingerprintOf, runName } from "./languageWork.ts";
import { buildEncoderDecoder } from "./model.ts";
import type { PairEvaluation } from "./pairEvaluation.ts";
import { ProgressLine } from "./progress.ts";
import { reportHtml } from "./report.ts";
import type { RunReport, Sample } from "./report.ts";
import { courseOf, loadOf, specialisationOf, trainingFacts } from "./reportParts.ts";
import { canGenerate, caution, sparseLayerNames } from "./routers.ts";
import type { Run } from "./run.ts";
import { bestModel } from "./run.ts";
import type { Work } from "./session.ts";
import { filledText } from "./shownText.ts";
import { SpanFilling } from "./spanFilling.ts";
import type { HeldOutPair } from "./spanFilling.ts";
import { classCount } from "./text.ts";
import type { Corpus } from "./text.ts";
import { sentinels } from "./vocabulary.ts";
import { write } from "./writing.ts";

export function spanWork({ model, training, ...rest }: RunConfig, { text }: TextGoal): Work<EncoderDecoder> {
  const corpus = corpusOf(text);
  const task = new SpanFilling(corpus, training);
  return {
    job: { task, build: () => buildEncoderDecoder(model, key(training.seed).at("init")), fingerprint: fingerprintOf(corpus) },
    name: runName({ model, training, ...rest }, text),
    describe: (run) => {
      describeText(corpus);
      describeModels(run, buildEncoderDecoder);
    },
    conclude: (run) => conclude(run, task, corpus),
  };
}

interface SpanFindings {
  readonly trained: PairEvaluation;
  readonly untrained: PairEvaluation;
  /** Of the same bytes, from the text before them alone. */
  readonly baselines: readonly Baseline[];
  readonly layers: readonly LayerFinding[];
}

async function conclude(run: Run<EncoderDecoder>, task: SpanFilling, corpus: Corpus): Promise<void> {
  const line = new ProgressLine(process.stdout);
  const model = bestModel(run);
  const trained = await task.evaluate(model, (share) => line.stage("evaluating the best model", share));
  const untrained = await task.evaluate(run.job.build(), (share) => line.stage("evaluating the model before training", share));
  line.clear();
  const found: SpanFindings = {
    trained,
    untrained,
    baselines: baselinesOf(corpus, task.heldOut.flatMap(({ masked }) => masked)), // prettier-ignore
    layers: layerFindings(run, trained, untrained),
  };
  describe(run, corpus, found);
  const samples = canGenerate(model.decoder) ? await samplesOf(model, task, corpus) : [];
  for (const { name, text } of samples) console.log(`  ${name}: ${text.replaceAll("\n", " ")}`);
  writeAtomically(reportFile(run.folder), reportHtml(reportOf(run, corpus, model, found, samples)));
  console.log(
    `\nkept in ${run.folder}: model.safetensors, last.safetensors, config.json, metrics.jsonl; to look at: ${reportFile(run.folder)}`,
  );
  console.log(`go on with: npm start -- fill --from ${run.folder} --text "All human <1> are born free", or finetune, or distil`);
}

/** What the experts of each layer tell, after training and before. */
function layerFindings({ config }: Run<EncoderDecoder>, trained: PairEvaluation, untrained: PairEvaluation): LayerFinding[] {
  const random = key(config.training.seed).at("shuffle");
  const of = (observed: Observations): Specialisation => specialisation(observed, (i) => random.number(i));
  return trained.observed.map((observed, l) => ({ trained: of(observed), untrained: of(untrained.observed[l]) }));
}

function describe(run: Run<EncoderDecoder>, corpus: Corpus, { trained, untrained, baselines, layers }: SpanFindings): void {
  console.log(`\nheld-out spans (best model, step ${run.best?.step ?? run.trainer.steps})`);
  const row = (name: string, of: (evaluation: PairEvaluation) => number): void =>
    console.log(`  ${name.padEnd(24)} ${of(trained).toFixed(3)} (before training ${of(untrained).toFixed(3)})`);
  row("negative log perplexity", ({ negativeLogPerplexity }) => negativeLogPerplexity);
  row("bits per masked byte", ({ bitsPerByte }) => bitsPerByte);
  console.log("  the same bytes from counting, with the text before them alone:");
  console.log(`    ${baselines.map(({ name, bits }) => `${name} ${bits.toFixed(3)}`).join(", ")}`);
  const warning = caution(run.trainer.model.decoder);
  if (warning) console.log(`  but of the decoder: ${warning}`);
  if (layers.length > 0) console.log(`\n${sentence(layers, corpus)}`);
  if (layers.length > 0) console.log(`  (${(100 * trained.dropped).toFixed(1)} % of bytes without an expert)`);
  console.log("\nheld-out text, [what the model wrote] in the gaps:");
}

/** A held-out piece of each of a few classes with its gaps filled. */
async function samplesOf(model: EncoderDecoder, task: SpanFilling, { classes }: Corpus): Promise<Sample[]> {
  const chosen = classes.slice(0, 6).map((_, classIndex) => task.heldOut.find((pair) => pair.classIndex === classIndex));
  const pairs = chosen.filter((pair): pair is HeldOutPair => pair !== undefined);
  const written = await write(model, pairs.map(({ input }) => input), 4 * Math.max(...pairs.map(({ target }) => target.length))); // prettier-ignore
  return pairs.map(({ input, classIndex }, i) => {
    const { name, lang, dir } = classes[classIndex];
    return { name, prompt: "", text: filledText(input, written[i]), ...(lang ? { lang } : {}), dir };
  });
}

function reportOf(
  run: Run<EncoderDecoder>,
  corpus: Corpus,
  model: EncoderDecoder,
  found: SpanFindings,
  samples: readonly Sample[],
): RunReport {
  const { trained, untrained, baselines, layers } = found;
  const warning = caution(model.decoder);
  const { length } = run.config.training;
  return {
    title: `An encoder-decoder fills in spans of ${classCount(corpus)}`,
    lead: `Negative log perplexity ${trained.negativeLogPerplexity.toFixed(3)} on held-out spans; ${trained.bitsPerByte.toFixed(3)} bits per masked byte.`,
    facts: [
      {
        name: "negative log perplexity",
        value: trained.negativeLogPerplexity.toFixed(3),
        note: `before training ${untrained.negativeLogPerplexity.toFixed(2)}`,
      },
      {
        name: "per masked byte",
        value: `${trained.bitsPerByte.toFixed(3)} bits`,
        note: `before training ${untrained.bitsPerByte.toFixed(2)}`,
      },
      ...trainingFacts(run),
    ],
    ...courseOf(run),
    unit: "bits per token",
    baselines: [],
    load: loadOf(run),
    ...(layers.length > 0
      ? {
          specialisation: specialisationOf(corpus, layers, {
            names: sparseLayerNames(model),
            before: untrained.observed,
            after: trained.observed,
          }),
        }
      : {}),
    passages: [],
    samples,
    samplesNote: "Held-out text: what was taken out was written by the model, in [brackets]; an ellipsis where it wrote nothing.",
    summary: String(summary(model, { length })),
    tables: [tableOf(trained, baselines)],
    notes: [
      ...(warning ? [`Of the decoder: ${warning}.`] : []),
      `15 % of the bytes are taken out, in spans of three on average; sentinels are ids from ${sentinels.first} on. Raffel et al. 2020.`,
      "Negative log perplexity is the mean natural log-probability of a token of the targets, sentinels and end included: the measure of Fedus et al. 2021. Closer to 0 is better.",
      corpus.split,
    ],
  };
}

function tableOf(trained: PairEvaluation, baselines: readonly Baseline[]): RunReport["tables"][number] {
  const rows = [
    ...baselines.map(({ name, bits }) => [`${name}, text before alone`, bits] as const),
    ["this model, text on both sides", trained.bitsPerByte] as const,
  ];
  return {
    caption: "Held-out bytes that were taken out, bits per byte",
    columns: ["model", "bits per byte"],
    rows: rows.toSorted(([, a], [, b]) => b - a).map(([name, bits]) => [name, bits.toFixed(3)]),
  };
}
