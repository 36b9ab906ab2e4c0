/** Distillation of a model with experts into a dense one: what is said of it before and after. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { key } from "switchyard-moe";
import { copyShared } from "switchyard-moe/moe";
import { summary } from "switchyard-moe/nn";
import type { Module } from "switchyard-moe/nn";
import type { Goal, RunConfig } from "./checkpoint.ts";
import { configOfCheckpoint, loadCheckpoint, restoreModel } from "./checkpoint.ts";
import { Distillation } from "./distillation.ts";
import { readBytes, writeAtomically } from "./files.ts";
import { lastFile, modelFile, reportFile } from "./folders.ts";
import { LanguageModelling } from "./languageModelling.ts";
import { corpusOf, fingerprintOf } from "./languageWork.ts";
import { buildEncoderDecoder, buildModel } from "./model.ts";
import type { ModelConfig } from "./modelOptions.ts";
import type { PredictingTask } from "./predicting.ts";
import { ProgressLine } from "./progress.ts";
import { reportHtml } from "./report.ts";
import type { RunReport } from "./report.ts";
import { courseOf, trainingFacts } from "./reportParts.ts";
import { sparseLayers } from "./routers.ts";
import type { Run } from "./run.ts";
import { newRun, restoreRun } from "./run.ts";
import { bestModel } from "./runLoop.ts";
import type { Work } from "./session.ts";
import { trained } from "./session.ts";
import { SpanFilling } from "./spanFilling.ts";
import { UserError } from "./userError.ts";

type DistilGoal = Extract<Goal, { kind: "distil" }>;

/** Calls `use` with the work of a student, whatever kind of model it is. */
export function distillationOf<T>(config: RunConfig, goal: DistilGoal, use: <M extends Module>(work: Work<M>) => T): T {
  const corpus = corpusOf(goal.text);
  const fingerprint = fingerprintOf(corpus);
  return config.model.architecture === "decoder"
    ? use(workOf(config, goal, { task: new LanguageModelling(corpus, config.training), build: buildModel, fingerprint }))
    : use(workOf(config, goal, { task: new SpanFilling(corpus, config.training), build: buildEncoderDecoder, fingerprint }));
}

/** What teacher and student share. */
interface Lesson<M extends Module> {
  readonly task: PredictingTask<M>;
  readonly build: (config: ModelConfig, random: ReturnType<typeof key>) => M;
  /** Of the text. */
  readonly fingerprint: string;
}

function workOf<M extends Module>({ model, training }: RunConfig, goal: DistilGoal, { task, build, fingerprint }: Lesson<M>): Work<M> {
  const path = modelFile(goal.from);
  const teacherConfig = configOfCheckpoint(path).model;
  const teacher = restoreModel(path, loadCheckpoint(path), () => build(teacherConfig, key(0)));
  if (sparseLayers(teacher).length === 0) throw new UserError(`--from ${goal.from}: a dense model has no experts to learn from`);
  const student = (): M => build(model, key(training.seed).at("init"));
  return {
    job: {
      task: new Distillation(task, teacher, goal),
      build: student,
      ...(goal.copy ? { begin: (fresh: M) => void copyShared(teacher, fresh) } : {}),
      fingerprint: createHash("sha256").update(fingerprint).update(readBytes(path)).digest("hex"),
    },
    name: ["distil", basename(goal.from), training.seed].join("-"),
    describe: (run) => describe(run, teacher, goal),
    conclude: (run) => conclude(run, { task, teacher, student, fingerprint }),
  };
}

function describe<M extends Module>({ trainer }: Run<M>, teacher: M, { from, hard, soft, copy }: DistilGoal): void {
  const [large, small] = [teacher, trainer.model].map((model) => model.parameters().reduce((sum, { size }) => sum + size, 0));
  const [of, left] = [large, small].map((n) => n.toLocaleString("en-US"));
  const fewer = (100 * (1 - small / large)).toFixed(0);
  console.log(`teacher: ${from}, ${of} parameters; student: dense, ${left}, ${fewer} % fewer`);
  console.log(
    `  begins ${copy ? "with the teacher's weights that are not experts'" : "from nothing"}; learns from labels (${hard}) and the ` +
      `teacher (${soft})\n`,
  );
}

interface Scores {
  readonly teacher: number;
  readonly dense: number;
  readonly student: number;
}

interface Classroom<M extends Module> {
  readonly task: PredictingTask<M>;
  readonly teacher: M;
  readonly student: () => M;
  readonly fingerprint: string;
}

/**
 * Beside the student a dense model learns from labels alone, from nothing, on the same batches: what it reaches is no gain of the teacher.
 */
async function conclude<M extends Module>(run: Run<M>, { task, teacher, student, fingerprint }: Classroom<M>): Promise<void> {
  console.log("\nthe same dense model from labels alone, for comparison:");
  const folder = join(run.folder, "dense");
  const job = { task, build: student, fingerprint };
  const change = { steps: run.config.training.steps, seconds: 0, every: 0 };
  const dense = existsSync(lastFile(folder)) ? restoreRun(folder, () => job, change) : newRun(folder, run.config, job);
  if ((await trained(dense, run.folder)) === "interrupted") return;
  const line = new ProgressLine(process.stdout);
  const score = (name: string, model: M): Promise<number> => task.score(model, (share) => line.stage(`evaluating the ${name}`, share));
  const scores: Scores = {
    teacher: await score("teacher", teacher),
    dense: await score("dense model", bestModel(dense)),
    student: await score("student", bestModel(run)),
  };
  line.clear();
  const lines = inWords(scores, task.unit);
  for (const text of lines) console.log(text);
  writeAtomically(reportFile(run.folder), reportHtml(reportOf(run, dense, scores, lines)));
  console.log(`\nkept in ${run.folder}: model.safetensors (the student), dense/; to look at: ${reportFile(run.folder)}`);
}

/** The scores, and what the student has of its teacher's gain. */
export function inWords({ teacher, dense, student }: Scores, unit: string): string[] {
  const scores = `teacher ${teacher.toFixed(3)}, dense from labels alone ${dense.toFixed(3)}, student ${student.toFixed(3)}`;
  return [`held out, ${unit}: ${scores}`, verdict({ teacher, dense, student })];
}

function verdict({ teacher, dense, student }: Scores): string {
  const gain = dense - teacher;
  if (gain <= 0) return `the teacher is no better than the dense model (by ${gain.toFixed(3)}), so there is no gain to keep`;
  const over = `gain of ${gain.toFixed(3)} over the dense model`;
  if (student < teacher) return `the student passes its teacher by ${(teacher - student).toFixed(3)}, beyond a ${over}`;
  return `the student keeps ${((100 * (dense - student)) / gain).toFixed(0)} % of the teacher's ${over}`;
}

function reportOf<M extends Module>(
  run: Run<M>,
  dense: Run<M>,
  { teacher, dense: labels, student }: Scores,
  lines: readonly string[],
): RunReport {
  const { goal, training } = run.config;
  const unit = run.job.task.unit.replace("/", " per ");
  const rows = [["teacher", teacher], ["dense, labels alone", labels], ["student", student]] as const; // prettier-ignore
  const validated = courseOf(dense).validation;
  return {
    ...courseOf(run),
    title: "A dense student of a model with experts",
    lead: `${lines[1].charAt(0).toUpperCase()}${lines[1].slice(1)}.`,
    facts: [...rows.map(([name, bits]) => ({ name, value: bits.toFixed(3), note: `${unit}, held out` })), ...trainingFacts(run)],
    unit,
    training: [],
    others: [{ name: "dense, labels alone", points: validated }],
    baselines: [{ name: "the teacher", value: teacher }],
    load: [],
    passages: [],
    samples: [],
    summary: String(summary(run.trainer.model, { length: training.length })),
    tables: [{ caption: `Held out, ${unit}`, columns: ["model", unit], rows: rows.map(([name, bits]) => [name, bits.toFixed(3)]) }],
    notes: [
      ...(goal.kind === "distil"
        ? [
            `Labels weigh ${goal.hard}, the teacher's probabilities ${goal.soft}; ` +
              `${goal.copy ? "the student begins with the teacher's weights that are not experts'" : "the student begins from nothing"}.`,
          ]
        : []),
      "The dense model learns from labels alone, from nothing, on the same batches. The curves are of a sample of the held-out text, " +
        "the table of all of it.",
    ],
  };
}
