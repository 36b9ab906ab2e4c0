/**
 * Sequences of bytes for training and for scoring.
 *
 * B sequences of a batch, T positions of a sequence. Position t reads inputs[t] and predicts targets[t], the byte after it.
 */
import type { Corpus, Span, TextClass } from "./text.ts";
import { draws, shuffled, type Uniform } from "./uniform.ts";
import { UserError } from "./userError.ts";

export interface Sequence {
  readonly inputs: Int32Array; // [T]
  readonly targets: Int32Array; // [T]
  /** 1 where the position counts, 0 where it only gives context. */
  readonly scored: Int32Array; // [T]
  /** Index of the class in its corpus. */
  readonly classIndex: number;
  /** Name of the span that is scored; "" in training. */
  readonly label: string;
}

export interface Batch {
  readonly size: number;
  readonly length: number;
  readonly inputs: Int32Array; // [B, T]
  readonly targets: Int32Array; // [B, T]
  readonly scored: Int32Array; // [B, T]
  readonly classOf: Int32Array; // [B]
  readonly labels: readonly string[];
}

/** Sequences of one length, row under row. */
export function collate(sequences: readonly Sequence[]): Batch {
  const length = sequences[0]?.inputs.length ?? 0;
  const rows = (part: (sequence: Sequence) => Int32Array) => {
    const flat = new Int32Array(sequences.length * length);
    sequences.forEach((sequence, b) => flat.set(part(sequence), b * length));
    return flat;
  };
  return {
    size: sequences.length,
    length,
    inputs: rows((sequence) => sequence.inputs),
    targets: rows((sequence) => sequence.targets),
    scored: rows((sequence) => sequence.scored),
    classOf: Int32Array.from(sequences, (sequence) => sequence.classIndex),
    labels: sequences.map((sequence) => sequence.label),
  };
}

/**
 * A training batch: every class as often as any other, give or take one, at random places of its training text.
 * The order is random: capacity serves early positions first, and a fixed order would always drop the same languages.
 */
export function sampleBatch(corpus: Corpus, { size, length }: { size: number; length: number }, uniform: Uniform): Batch {
  const draw = draws(uniform);
  const classes = shuffled(corpus.classes.keys(), draw);
  const sequences = Array.from({ length: size }, (_, i) => {
    const classIndex = classes[i % classes.length];
    return trainingSequence(corpus.classes[classIndex], classIndex, length, draw);
  });
  return collate(shuffled(sequences, draw));
}

function trainingSequence(text: TextClass, classIndex: number, length: number, draw: () => number): Sequence {
  const places = text.training.length - length;
  if (places <= 0) throw tooShort(text, text.training.length, length);
  const start = Math.floor(draw() * places);
  return cut(text.training, start, length, { classIndex, label: "" }, { from: 0, to: length });
}

/**
 * The held-out text as windows of T positions: each held-out byte is scored once, `stride` bytes per window (default T / 2, so that
 * a scored byte sees at least T / 2 bytes of context), from what stands before it in the document, training text included.
 */
export function validationWindows(
  corpus: Corpus,
  { length, stride = Math.ceil(length / 2) }: { length: number; stride?: number },
): Sequence[] {
  if (!(stride >= 1 && stride <= length)) throw new RangeError(`validationWindows: stride ${stride} is not in 1..${length}, the length`);
  return corpus.classes.flatMap((text, classIndex) => {
    if (text.document.length <= length) throw tooShort(text, text.document.length, length);
    return text.heldOut.flatMap((span) => windowsOf(text, classIndex, span, length, stride));
  });
}

function windowsOf(text: TextClass, classIndex: number, span: Span, length: number, stride: number): Sequence[] {
  const count = Math.ceil((span.end - span.start) / stride);
  return Array.from({ length: count }, (_, k) => {
    const first = span.start + k * stride;
    const end = Math.min(span.end, first + stride);
    const start = Math.max(0, end - length - 1);
    const scored = { from: first - start - 1, to: end - start - 1 };
    return cut(text.document, start, length, { classIndex, label: span.label }, scored);
  });
}

/** T + 1 bytes from `start` on, as inputs and targets. */
function cut(
  bytes: Uint8Array,
  start: number,
  length: number,
  whose: Pick<Sequence, "classIndex" | "label">,
  scored: { from: number; to: number },
): Sequence {
  return {
    ...whose,
    inputs: Int32Array.from(bytes.subarray(start, start + length)),
    targets: Int32Array.from(bytes.subarray(start + 1, start + 1 + length)),
    scored: new Int32Array(length).fill(1, scored.from, scored.to),
  };
}

/** About `count` of the windows, evenly spread: a quick look at the held-out text between training steps. */
export function spread<T>(values: readonly T[], count: number): T[] {
  if (count >= values.length) return [...values];
  return Array.from({ length: count }, (_, i) => values[Math.floor(((i + 0.5) * values.length) / count)]);
}

/** Windows in batches of at most `size`. */
export function inBatches(windows: readonly Sequence[], size: number): Batch[] {
  const count = Math.ceil(windows.length / size);
  return Array.from({ length: count }, (_, i) => collate(windows.slice(i * size, (i + 1) * size)));
}

function tooShort(text: TextClass, bytes: number, length: number): UserError {
  return new UserError(`--length ${length}: ${text.code} has ${bytes} bytes of text, and a sequence needs ${length + 1}`);
}
