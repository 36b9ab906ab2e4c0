/** The commands of the main job and every option with its default. */
import { didYouMean } from "switchyard-moe";
import { choice, describeOptions, factor, flag, integer, positive, readOptions, real, required, text, type Reader } from "./commandLine.ts";
import { modelOptions } from "./modelOptions.ts";
import { checkedShards, isShared, processOptions, refuseProcesses } from "./processOptions.ts";
import { languageSets } from "./text.ts";
import { UserError } from "./userError.ts";

const DEFAULT_LANGUAGES = "many";

/** Backends that can be asked for. */
const backend = choice("auto", "cpu", "wasm", "gpu");

/** How a run learns, whatever it learns; saved with it, so that `resume` needs none of them. */
const trainingOptionsFrom =
  ({ steps = 1400, batch = 32, lr = 3e-3 }: { readonly steps?: number; readonly batch?: number; readonly lr?: number } = {}) =>
  (read: Reader) => ({
    steps: read("steps", integer(1), steps, "optimiser steps"),
    seconds: read("seconds", real(0), 0, "stop after this time; 0: only --steps counts"),
    seed: read("seed", integer(0), 1, "of the initial values, the batches and the noise"),
    batch: read("batch", integer(1), batch, "sequences of a step"),
    clip: read("clip", positive(), 1, "largest norm of the gradient"),
    weightDecay: read("weight-decay", real(0), 0.01, "decoupled, of matrices"),
    accumulate: read(
      "accumulate",
      integer(1),
      1,
      "batches averaged into one step: as one large batch, but capacity and balance stay those of each",
    ),
    lr: read("lr", positive(), lr, "highest learning rate"),
    warmup: read("warmup", integer(0), 20, "steps until the learning rate is reached; then it falls as a cosine"),
    every: read("every", integer(1), 100, "steps between validations, checkpoints and lines of metrics"),
  });

export const trainingOptions = trainingOptionsFrom();

/** Where a run is kept. */
const folderOptions = (read: Reader) => ({
  out: read("out", text("FOLDER"), "", "where the run is kept, an empty or new folder; default: a new one in runs/"),
  overwrite: read("overwrite", flag, false, "with --out: replace the files of a run that is there"),
});

const computed = (read: Reader) => ({
  backend: read("backend", backend, "auto", "what computes; auto: the fastest that needs no permission"),
});

const trainOptions = (read: Reader) => ({
  languages: read(
    "languages",
    text("SET|CODES"),
    DEFAULT_LANGUAGES,
    `${Object.keys(languageSets).join(", ")}, or codes such as eng,kor,jpn`,
  ),
  data: read("data", text("PATH"), "", "your own text instead: a file, or a folder with a class per file or sub-folder"),
  compare: read("compare", flag, false, "also train a dense model of equal compute, both over 3 seeds, and compare"),
  ...trainingOptions(read),
  ...modelOptions(read),
  ...processOptions(read),
  ...folderOptions(read),
  ...computed(read),
});

const finetuneOptions = (read: Reader) => ({
  from: read("from", required(text("RUN")), "", "the folder of an encoder-decoder's run, whose best model is tuned"),
  task: read(
    "task",
    choice("phonemes", "languages"),
    "phonemes",
    "from the spelling of an English word to its phonemes, or naming the language of a sentence",
  ),
  data: read("data", text("FILE"), "", "a task of your own instead: lines of input, tab, target"),
  languages: read("languages", text("SET|CODES"), "scripts", "the languages that are named"),
  examples: read("examples", integer(0), 0, "pairs to learn from, a random choice; 0: all. Few are over-fitted soon"),
  dropout: read("dropout", real(0, 0.99), 0.1, "everywhere but inside the experts"),
  expertDropout: read("expert-dropout", real(0, 0.99), 0.4, "inside the experts"),
  ...trainingOptionsFrom({ steps: 3000, batch: 64, lr: 3e-3 })(read),
  ...folderOptions(read),
  ...computed(read),
});

const distilOptions = (read: Reader) => ({
  from: read("from", required(text("RUN")), "", "the folder of a run with experts, whose best model teaches"),
  hard: read("hard", real(0), 0.75, "weight of the labels; 0: the teacher alone"),
  soft: read("soft", real(0), 0.25, "weight of the teacher's probabilities; 0: the labels alone"),
  noCopy: read("no-copy", flag, false, "begin from nothing instead of with the teacher's weights that are not experts'"),
  ...trainingOptionsFrom()(read),
  ...folderOptions(read),
  ...computed(read),
});

const fillOptions = (read: Reader) => ({
  from: read("from", required(text("RUN")), "", "the folder of an encoder-decoder's run, or its model.safetensors"),
  text: read("text", required(text("TEXT")), "", 'a text with gaps: "All human <1> are born <2>"; after finetune, an input'),
  bytes: read("bytes", integer(1), 64, "how much to write at most"),
  ...computed(read),
});

const resumeOptions = (read: Reader) => ({
  from: read("from", text("FOLDER"), "", "the run to go on with; default: the newest in runs/"),
  steps: read("steps", integer(0), 0, "go on until this step; 0: as many as the run was started with"),
  seconds: read("seconds", real(0), 0, "stop after this time, what it took so far included; 0: as the run was started"),
  every: read("every", integer(0), 0, "steps between validations; 0: as the run was started"),
  processes: read("processes", integer(0), 0, "processes that share every step from now on; 0: as the run was last trained"),
  expertsOver: read(
    "experts-over",
    integer(0),
    0,
    "processes that share the experts out; 0: as before, or 1 where that does not divide the processes",
  ),
  ordered: read("ordered", flag, false, "sums over shards in their order from now on"),
  sharedState: read("shared-state", flag, false, "the processes share out what the optimiser remembers from now on"),
  threads: read("threads", integer(0), 0, "threads of the wasm backend in each process; 0: the cores of the host, shared by its processes"),
  backend: read("backend", choice("run", "auto", "cpu", "wasm", "gpu"), "run", "what computes; run: what the run was started on"),
});

const generateOptions = (read: Reader) => ({
  from: read("from", required(text("FILE")), "", "a model.safetensors, or the folder that holds it"),
  prompt: read("prompt", text("TEXT"), "\n", "what the text begins with"),
  bytes: read("bytes", integer(1), 400, "how much to write"),
  temperature: read("temperature", real(0), 0.8, "0: always the likeliest byte"),
  topK: read("top-k", integer(0), 0, "only among this many likeliest bytes; 0: all"),
  topP: read("top-p", positive(1), 1, "only among the likeliest bytes that share this probability"),
  seed: read("seed", integer(0), 1, "of the choice of bytes"),
  ...computed(read),
});

const traceOptions = (read: Reader) => ({
  from: read("from", required(text("FILE")), "", "a model.safetensors, or the folder that holds it"),
  text: read("text", required(text("TEXT")), "", "what the model reads while its routers are watched"),
  capacityFactor: read("capacity-factor", factor, Infinity, 'slots per expert over the fair share; "none": nothing is dropped'),
  ...computed(read),
});

const exportOptions = (read: Reader) => ({
  from: read("from", required(text("RUN")), "", "the folder of a run, or its model.safetensors"),
  out: read("out", text("FOLDER"), "", "where the model is written, an empty or new folder; default: a new one in runs/"),
  ...computed(read),
});

const commands = {
  train: { options: trainOptions, summary: "train a model, show its progress and write a report (the default)" },
  finetune: { options: finetuneOptions, summary: "tune an encoder-decoder on a text-to-text task" },
  distil: { options: distilOptions, summary: "teach a dense student what a model with experts has learned" },
  resume: { options: resumeOptions, summary: "go on with a run that was interrupted" },
  generate: { options: generateOptions, summary: "write text with a trained model" },
  fill: { options: fillOptions, summary: "write what fits into the gaps of a text, and show the expert of every token" },
  trace: { options: traceOptions, summary: "show which expert takes each byte of a text, layer by layer" },
  export: { options: exportOptions, summary: "write a run's best model with Hugging Face's names, where a published family fits it" },
};

export type TrainOptions = ReturnType<typeof trainOptions>;
export type FinetuneOptions = ReturnType<typeof finetuneOptions>;
export type DistilOptions = ReturnType<typeof distilOptions>;
export type FillOptions = ReturnType<typeof fillOptions>;
export type ResumeOptions = ReturnType<typeof resumeOptions>;
export type GenerateOptions = ReturnType<typeof generateOptions>;
export type TraceOptions = ReturnType<typeof traceOptions>;
export type ExportOptions = ReturnType<typeof exportOptions>;

export type Command =
  | { readonly command: "help"; readonly text: string }
  | { readonly command: "train"; readonly options: TrainOptions }
  | { readonly command: "finetune"; readonly options: FinetuneOptions }
  | { readonly command: "distil"; readonly options: DistilOptions }
  | { readonly command: "fill"; readonly options: FillOptions }
  | { readonly command: "resume"; readonly options: ResumeOptions }
  | { readonly command: "generate"; readonly options: GenerateOptions }
  | { readonly command: "trace"; readonly options: TraceOptions }
  | { readonly command: "export"; readonly options: ExportOptions };

/** process.argv.slice(2) as a command with typed options. Throws a UserError, one line, for what it does not understand. */
export function parseCommand(argv: readonly string[]): Command {
  const named = argv.length > 0 && !argv[0].startsWith("-");
  const command = named ? argv[0] : "train";
  const rest = named ? argv.slice(1) : argv;
  if (command === "help" || argv.includes("--help") || argv.includes("-h"))
    return { command: "help", text: helpText(named && command !== "help" ? command : rest[0]) };
  if (Object.hasOwn(commands, command)) refuseProcesses(command, rest);
  switch (command) {
    case "train":
      return { command, options: checked(readOptions(command, trainOptions, rest)) };
    case "finetune":
      return { command, options: checkedTuning(readOptions(command, finetuneOptions, rest)) };
    case "distil":
      return { command, options: checkedDistillation(readOptions(command, distilOptions, rest)) };
    case "fill":
      return { command, options: readOptions(command, fillOptions, rest) };
    case "resume":
      return { command, options: readOptions(command, resumeOptions, rest) };
    case "generate":
      return { command, options: readOptions(command, generateOptions, rest) };
    case "trace":
      return { command, options: readOptions(command, traceOptions, rest) };
    case "export":
      return { command, options: readOptions(command, exportOptions, rest) };
    default:
      throw new UserError(`${command} is no command${didYouMean(command, Object.keys(commands)) || "; --help lists them"}`);
  }
}

/** Every option at its default. */
export function trainDefaults(): TrainOptions {
  return trainOptions((_name, _kind, value) => value);
}

/** The same of the other commands that make a run. */
export const finetuneDefaults = (from: string): FinetuneOptions => ({ ...finetuneOptions((_name, _kind, value) => value), from });
export const distilDefaults = (from: string): DistilOptions => ({ ...distilOptions((_name, _kind, value) => value), from });

function checked(options: TrainOptions): TrainOptions {
  const { architecture, compare, width, heads, data, languages } = options;
  if (width % heads !== 0) throw new UserError(`--width ${width} --heads ${heads}: ${heads} heads do not divide a width of ${width}`);
  if (data !== "" && languages !== DEFAULT_LANGUAGES) throw new UserError(`--data ${data} --languages ${languages}: one or the other`);
  if (isShared(options)) checkSharing(options);
  if (compare && architecture !== "decoder")
    throw new UserError(
      `--compare --architecture ${architecture}: only decoders are compared, byte by byte of the held-out articles; distil trains a ` +
        "dense model of two stacks beside its student",
    );
  return checkedFolder(options);
}

function checkSharing(options: TrainOptions): void {
  if (options.compare) throw new UserError("--compare: its six runs are trained in one process each; leave out what shares a run");
  if (options.backend === "gpu")
    throw new UserError(
      "--backend gpu: the numbers of the gpu can only be read by waiting, and processes that share a run block; use cpu or wasm",
    );
  checkedShards({ ...options, expertsOver: options.expertsOver || 1 }, { model: options, training: options });
}

function checkedTuning(options: FinetuneOptions): FinetuneOptions {
  const { data, task } = options;
  if (data !== "" && task !== "phonemes") throw new UserError(`--data ${data} --task ${task}: one or the other`);
  return checkedFolder(options);
}

function checkedDistillation(options: DistilOptions): DistilOptions {
  if (options.hard + options.soft === 0) throw new UserError("--hard 0 --soft 0: there is nothing left to learn from");
  return checkedFolder(options);
}

function checkedFolder<T extends { readonly out: string; readonly overwrite: boolean }>(options: T): T {
  if (options.overwrite && options.out === "") throw new UserError("--overwrite replaces the run in --out FOLDER, which is missing");
  return options;
}

/** Every option of a command with its default; without a command (or an unknown one), of all. */
export function helpText(only?: string): string {
  const all = Object.entries(commands);
  const shown = all.filter(([command]) => command === only);
  const sections = (shown.length > 0 ? shown : all).map(([command, { summary, options }]) =>
    [`${command}: ${summary}`, ...describeOptions(options)].join("\n"),
  );
  const usage = shown.length > 0 ? `npm start -- ${only} [options]` : "npm start -- [command] [options]";
  return [usage, ...sections].join("\n\n");
}
