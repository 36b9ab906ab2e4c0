/** Fine-tuning of an encoder-decoder on a text-to-text task: what is said of it before and after. */
import { key } from "switchyard-moe";
import { summary } from "switchyard-moe/nn";
import type { EncoderDecoder } from "switchyard-moe/nn";
import type { Goal, RunConfig } from "./checkpoint.ts";
import { loadCheckpoint } from "./checkpoint.ts";
import { attempt, writeAtomically } from "./files.ts";
import { modelFile, reportFile } from "./folders.ts";
import { sourceName } from "./languageWork.ts";
import { buildEncoderDecoder } from "./model.ts";
import type { PairEvaluation } from "./pairEvaluation.ts";
import type { Answer, Answers } from "./pairTask.ts";
import { PairTask } from "./pairTask.ts";
import { ProgressLine } from "./progress.ts";
import { reportHtml } from "./report.ts";
import type { RunReport } from "./report.ts";
import { courseOf, loadOf, trainingFacts } from "./reportParts.ts";
import { canGenerate, caution } from "./routers.ts";
import type { Run } from "./run.ts";
import { bestModel } from "./runLoop.ts";
import type { Work } from "./session.ts";
import { stackPassages } from "./stackPassages.ts";
import type { ReadText } from "./stackPassages.ts";
import { fingerprintOfPairs, loadPairs } from "./textPairs.ts";
import type { TextPairs } from "./textPairs.ts";
import { UserError } from "./userError.ts";

type FinetuneGoal = Extract<Goal, { kind: "finetune" }>;

export function finetuningOf({ model, training }: RunConfig, goal: FinetuneGoal): Work<EncoderDecoder> {
  if (model.architecture !== "encoder-decoder")
    throw new UserError(`--from ${goal.from}: a text-to-text task wants an encoder-decoder: npm start -- --architecture encoder-decoder`);
  const data = loadPairs(goal);
  const task = new PairTask(data, training);
  const build = (): EncoderDecoder => buildEncoderDecoder(model, key(training.seed).at("init"));
  const refused = caution(build().decoder);
  if (!canGenerate(build().decoder)) throw new UserError(`--from ${goal.from}: ${refused ?? "its decoder cannot write"}`);
  return {
    job: { task, build, begin: (fresh) => beginWith(fresh, goal.from), fingerprint: fingerprintOfPairs(data) },
    name: [
      "finetune",
      goal.task === "phonemes" ? "phonemes" : sourceName(goal.text),
      ...(goal.examples > 0 ? [goal.examples] : []),
      training.seed,
    ].join("-"),
    describe: (run) => describe(run, data),
    conclude: (run) => conclude(run, task),
  };
}

/** The weights that another run has kept as its best. */
function beginWith(model: EncoderDecoder, folder: string): void {
  const path = modelFile(folder);
  const { weights } = loadCheckpoint(path);
  attempt(path, "does not fit the model that is to begin with it", () => model.load(weights));
}

function describe({ trainer, config: { model, goal } }: Run<EncoderDecoder>, data: TextPairs): void {
  const count = (n: number): string => n.toLocaleString("en-US");
  console.log(`task: ${data.title}`);
  console.log(`  ${count(data.training.length)} pairs to learn from, ${count(data.heldOut.length)} held out. ${data.split}`);
  const parameters = trainer.model.parameters().reduce((sum, { size }) => sum + size, 0);
  const from = goal.kind === "finetune" ? goal.from : "";
  console.log(`model: ${count(parameters)} parameters from ${from}; dropout ${model.dropout}, in the experts ${model.expertDropout}\n`);
}

interface TuningFindings {
  readonly heldOut: PairEvaluation;
  readonly written: Answers;
  readonly writtenTraining: Answers;
}

async function conclude(run: Run<EncoderDecoder>, task: PairTask): Promise<void> {
  const line = new ProgressLine(process.stdout);
  const model = bestModel(run);
  const heldOut = await task.evaluate(model, (share) => line.stage("evaluating the best model", share));
  const written = await task.answers(model, "heldOut", (share) => line.stage("writing held-out pairs", share));
  const writtenTraining = await task.answers(model, "training", (share) => line.stage("writing training pairs", share));
  line.clear();
  const found: TuningFindings = { heldOut, written, writtenTraining };
  print(run, task, found);
  writeAtomically(reportFile(run.folder), reportHtml(await reportOf(run, task, model, found)));
  console.log(
    `\nkept in ${run.folder}: model.safetensors, last.safetensors, config.json, metrics.jsonl; to look at: ${reportFile(run.folder)}`,
  );
  console.log(`use it: npm start -- fill --from ${run.folder} --text "${task.data.heldOut[0].input}"`);
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

function print(run: Run<EncoderDecoder>, { data }: PairTask, { heldOut, written, writtenTraining }: TuningFindings): void {
  console.log(`\n${data.title} (best model, step ${run.best?.step ?? run.trainer.steps})`);
  console.log(`  negative log perplexity, held out  ${heldOut.negativeLogPerplexity.toFixed(3)}`);
  for (const [name, { exact, errorRate, answers }] of [
    ["held out", written],
    ["training", writtenTraining],
  ] as const)
    // prettier-ignore
    console.log(`  ${name.padEnd(10)} ${percent(exact)} exact, ${data.part} error rate ${percent(errorRate)} ` +
      `(${answers.length} pairs written)`);
  const gap = overfit(run);
  if (gap) console.log(`  ${gap}`);
  console.log("\nheld-out pairs: input, what it wrote, and the target where that differs");
  for (const { input, written: text, target } of written.answers.slice(0, 10))
    console.log(`  ${input} -> ${text}${text === target ? "" : `   (${target})`}`);
}

/** What the curves say of over-fitting, in a sentence; null before there are two validations. */
function overfit({ measurements, best }: Run<EncoderDecoder>): string | null {
  const last = measurements.at(-1);
  if (!last || last.validation === null || !best || measurements.length < 2) return null;
  const lost = last.validation - best.bits;
  const end = `at the end training ${last.training.toFixed(3)}, held out ${last.validation.toFixed(3)} bits per token`;
  return lost > 0.02
    ? `${end}: the held-out loss was ${lost.toFixed(3)} lower at step ${best.step}, and the model of that step is kept`
    : end;
}

/** Held-out pairs that are shown token by token. */
const READ = 6;

function readText({ input, written }: Answer): ReadText {
  const bytes = (text: string): Int32Array => Int32Array.from(new TextEncoder().encode(text));
  return { title: `${input} -> ${written}`, lang: "", dir: "ltr", input: bytes(input), written: bytes(written) };
}

async function reportOf(run: Run<EncoderDecoder>, { data }: PairTask, model: EncoderDecoder, found: TuningFindings): Promise<RunReport> {
  const { heldOut, written, writtenTraining } = found;
  const gap = overfit(run);
  const row = (name: string, { exact, errorRate }: Answers): string[] => [name, percent(exact), percent(errorRate)];
  const { dropout, expertDropout } = run.config.model;
  return {
    title: `Fine-tuned: ${data.title}`,
    lead: `${percent(written.exact)} of held-out pairs are written without a fault; ${data.part} error rate ${percent(written.errorRate)}.`,
    facts: [
      { name: "exact, held out", value: percent(written.exact), note: `${written.answers.length} pairs written` },
      { name: `${data.part} errors`, value: percent(written.errorRate), note: `training ${percent(writtenTraining.errorRate)}` },
      { name: "negative log perplexity", value: heldOut.negativeLogPerplexity.toFixed(3), note: "held out" },
      ...trainingFacts(run),
    ],
    ...courseOf(run),
    unit: "bits per token",
    baselines: [],
    load: loadOf(run),
    passages: await stackPassages(model, written.answers.slice(0, READ).map(readText)), // prettier-ignore
    samples: [],
    summary: String(summary(model, { length: run.config.training.length })),
    tables: [
      {
        caption: "What is written, the likeliest token each time",
        columns: ["pairs", "exact", `${data.part} error rate`],
        rows: [row("held out", written), row("training", writtenTraining)],
      },
      {
        caption: "Held-out pairs",
        columns: ["input", "written", "target"],
        rows: written.answers.slice(0, 24).map(({ input, written: text, target }) => [input, text, text === target ? "the same" : target]),
        texts: true,
      },
    ],
    notes: [
      ...(gap ? [`${gap.charAt(0).toUpperCase()}${gap.slice(1)}.`] : []),
      `${data.training.length.toLocaleString("en-US")} pairs to learn from, ${data.heldOut.length.toLocaleString("en-US")} held out. ` +
        `${data.split}`,
      `Dropout ${dropout}, inside the experts ${expertDropout}. Fedus et al. 2021, section 2.4, fine-tune with 0.1 and 0.4.`,
    ],
  };
}
