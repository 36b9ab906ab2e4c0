/** Pre-training of an encoder-decoder: what is said of it before and after. */
import { key } from "switchyard-moe";
import type { EncoderDecoder } from "switchyard-moe/nn";
import { baselinesOf } from "./baselines.ts";
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
import { canGenerate, caution } from "./routers.ts";
import type { Run } from "./run.ts";
import { bestModel } from "./runLoop.ts";
import type { Work } from "./session.ts";
import { filledText } from "./shownText.ts";
import { SpanFilling } from "./spanFilling.ts";
import { behindCounting, filledPieces, spanReport } from "./spanReport.ts";
import type { SpanFindings } from "./spanReport.ts";
import type { Corpus } from "./text.ts";

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
    filled: canGenerate(model.decoder) ? await filledPieces(model, task, corpus) : [],
  };
  describe(run, corpus, found);
  for (const { input, written, of } of found.filled) console.log(`  ${of.name}: ${filledText(input, written).replaceAll("\n", " ")}`);
  writeAtomically(reportFile(run.folder), reportHtml(await spanReport(run, corpus, model, found)));
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
  const behind = behindCounting({ trained, baselines });
  if (behind) console.log(`  ${behind}`);
  const warning = caution(run.trainer.model.decoder);
  if (warning) console.log(`  but of the decoder: ${warning}`);
  if (layers.length > 0) console.log(`\n${sentence(layers, corpus)}`);
  if (layers.length > 0) console.log(`  (${(100 * trained.dropped).toFixed(1)} % of bytes without an expert)`);
  console.log("\nheld-out text, [what the model wrote] in the gaps:");
}
