/**
 * Reading texts token by token: keys and values of what was read are kept, so that each new token costs one step. B rows, T tokens, P tokens of
 * the past, V vocabulary.
 */
import { noGrad } from "../autograd/context.ts";
import type { Backend } from "../autograd/contract.ts";
import { formatShape, sameShape } from "../autograd/contract.ts";
import { tensor } from "../autograd/create.ts";
import type { Numbers } from "../autograd/read.ts";
import { scope } from "../autograd/scope.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Seen } from "./block.ts";
import type { LanguageModel } from "./evaluate.ts";
import { scoring } from "./evaluate.ts";
import { lastOf } from "./languageModel.ts";
import type { Pass } from "./module.ts";

/** The logits of one row, [V], on the host, where the next token is decided. */
export type Logits = ArrayLike<number>;

/** A generator that yields logits [B, 1, V] for each step, is given their numbers, and returns what was written. `waiting` or `atOnce` runs it. */
export type Writing<T> = Generator<Tensor, T, readonly Logits[]>;

/** Runs the generator, and waits for the numbers of each step. */
export async function waiting<T>(writing: Writing<T>): Promise<T> {
  let step = writing.next();
  while (!step.done) {
    const rows = await numbersOf(step.value).catch((reason: unknown) => void writing.throw(reason)); // throws it here too, after its `finally`
    step = writing.next(rows ?? []);
  }
  return step.value;
}

/** The same on a device that can be read at once. */
export function atOnce<T>(writing: Writing<T>): T {
  let step = writing.next();
  while (!step.done) {
    const { value } = step;
    step = writing.next(byRow(value.dataSync(), value));
    value.dispose();
  }
  return step.value;
}

/** The numbers of logits [B, 1, V], row by row; frees the tensor. */
export async function numbersOf(logits: Tensor): Promise<Logits[]> {
  try {
    return byRow(await logits.data(), logits);
  } finally {
    logits.dispose();
  }
}

function byRow(numbers: Numbers, { shape: [B, , V] }: Tensor): Logits[] {
  return Array.from({ length: B }, (_, b) => numbers.subarray(b * V, (b + 1) * V));
}

/**
 * Several texts that are read together, each token once. Shorter texts are padded on the left, so that all last tokens are in one column; padding
 * is masked, and no text depends on another. `close` frees what was kept.
 */
export class Reading {
  readonly #model: LanguageModel;
  readonly #cache: boolean;
  /** Ids of each row, padding included. */
  #rows: number[][];
  /** How much padding each row begins with. */
  #pads: number[];
  #past: readonly Seen[] | undefined;
  /** Tensors that were made here and must be freed here. */
  #owned = new Set<Tensor>();
  #ownsMasks = false;

  /** Without a cache everything is read again at each step, with the same result. */
  constructor(model: LanguageModel, cache = true) {
    this.#model = model;
    this.#cache = cache;
    this.#rows = [];
    this.#pads = [];
  }

  /** Forgets what was read and reads these texts. Returns the logits after each, [B, 1, V]. */
  begin(prompts: readonly (readonly number[])[], padding = 0): Tensor {
    this.close();
    const longest = prompts.reduce((most, { length }) => Math.max(most, length), 0);
    this.#pads = prompts.map(({ length }) => longest - length);
    this.#rows = prompts.map((ids, b) => [...new Array<number>(this.#pads[b]).fill(padding), ...ids]);
    return this.#read(0);
  }

  /** Reads one more token of each row. Returns the logits after it, [B, 1, V]. */
  next(ids: readonly number[]): Tensor {
    this.#rows.forEach((row, b) => row.push(ids[b]));
    return this.#read(this.#past ? this.#rows[0].length - 1 : 0);
  }

  /** Continues with these rows, some of them more than once. */
  reorder(rows: readonly number[]): void {
    if (rows.length === this.#rows.length && rows.every((from, to) => from === to)) return;
    this.#rows = rows.map((row) => [...this.#rows[row]]);
    this.#pads = rows.map((row) => this.#pads[row]);
    const past = this.#past;
    if (!past) return;
    this.#ownsMasks = true;
    this.#keep(noGrad(() => scope(() => rowsOf(past, rows))));
  }

  close(): void {
    for (const x of this.#owned) x.dispose();
    this.#owned.clear();
    this.#ownsMasks = false;
    this.#past = undefined;
  }

  /** Reads the tokens from place `from` on. */
  #read(from: number): Tensor {
    const [B, all] = [this.#rows.length, this.#rows[0].length];
    const fresh = this.#rows.flatMap((row) => row.slice(from));
    const { logits, seen } = noGrad(() =>
      scope(() => {
        const ids = integers(fresh, [B, all - from], this.#model);
        const output = this.#model.forward(ids, { past: this.#past, logits: "last", ...this.#padding(from, all) }, scoring);
        return { logits: lastOf(output.logits), seen: this.#cache ? output.seen : [] };
      }),
    );
    if (this.#cache) this.#keep(seen);
    return logits;
  }

  /** Mask and places, where a row has padding. */
  #padding(from: number, all: number): { mask?: Tensor; positions?: Tensor } {
    if (this.#pads.every((pad) => pad === 0)) return {};
    const table = (begin: number, value: (place: number) => number): Tensor =>
      integers(
        this.#pads.flatMap((pad) => Array.from({ length: all - begin }, (_, i) => value(begin + i - pad))),
        [this.#pads.length, all - begin],
        this.#model,
      );
    return { mask: table(0, (place) => Number(place >= 0)), positions: table(from, (place) => Math.max(0, place)) };
  }

  /** Keeps what is new and frees what it replaces. The first mask of a memory is freed by the caller, who made it. */
  #keep(seen: readonly Seen[]): void {
    const now = new Set(seen.flatMap((one) => tensorsOf(one, this.#ownsMasks)));
    for (const x of this.#owned) if (!now.has(x)) x.dispose();
    this.#owned = now;
    this.#past = seen;
  }
}

function tensorsOf({ keys, values, memory }: Seen, masksToo: boolean): Tensor[] {
  return [keys, values, ...(memory ? [memory.keys, memory.values, ...(masksToo && memory.mask ? [memory.mask] : [])] : [])];
}

/** These rows of all keys and values; a tensor that several layers share is taken once. */
function rowsOf(past: readonly Seen[], rows: readonly number[]): Seen[] {
  const taken = new Map<Tensor, Tensor>();
  const take = (x: Tensor): Tensor => {
    const moved = taken.get(x) ?? x.takeRows(tensor(Int32Array.from(rows), { backend: x.backend }));
    taken.set(x, moved);
    return moved;
  };
  return past.map((seen) => mapTensors(seen, take));
}

/** The same structure with `to` applied to each tensor. */
function mapTensors({ keys, values, memory }: Seen, to: (x: Tensor) => Tensor): Seen {
  if (!memory) return { keys: to(keys), values: to(values) };
  const { mask } = memory;
  return {
    keys: to(keys),
    values: to(values),
    memory: { keys: to(memory.keys), values: to(memory.values), ...(mask ? { mask: to(mask) } : {}) },
  };
}

/** int32 numbers where the model lives. */
function integers(values: readonly number[], shape: readonly number[], { backend }: { readonly backend?: Backend }): Tensor {
  return tensor(Int32Array.from(values), { shape, ...(backend ? { backend } : {}) });
}

/** A model that reads one text and writes another: an encoder-decoder. */
export interface TextToText {
  /** Where its parameters live. Default: the current backend. */
  readonly backend?: Backend;
  /** The id that its decoder reads first. */
  readonly start: number;
  encode(ids: Tensor, input: { readonly mask?: Tensor | undefined }, pass: Pass): Memory;
  given(encoded: Memory): LanguageModel;
}

interface Memory {
  readonly memory: Tensor;
  readonly mask?: Tensor | undefined;
}

/** Texts as arrays of ids; or as ids [B, T] int32 with a mask [B, T], 0 for padding on either side. */
export type Prompts = readonly (readonly number[])[] | { readonly ids: Tensor; readonly mask?: Tensor };

/** The texts without their padding. Throws where one is empty. */
export async function textsOf(where: string, given: Prompts): Promise<readonly (readonly number[])[]> {
  const texts = "ids" in given ? await unpadded(where, given.ids, given.mask) : given;
  const empty = texts.findIndex(({ length }) => length === 0);
  if (empty >= 0) throw new RangeError(`${where}: prompt ${empty} is empty; give at least one id`);
  return texts;
}

async function unpadded(where: string, ids: Tensor, mask?: Tensor): Promise<number[][]> {
  if (ids.shape.length !== 2 || (mask && !sameShape(mask.shape, ids.shape)))
    throw new RangeError(`${where}: ids ${formatShape(ids.shape)}${mask ? ` and mask ${formatShape(mask.shape)}` : ""}: want [B, T] both`);
  const [B, T] = ids.shape;
  const [numbers, real] = [await ids.data(), await mask?.data()];
  return Array.from({ length: B }, (_, b) => [...numbers.subarray(b * T, (b + 1) * T)].filter((_, t) => !real || real[b * T + t] !== 0));
}

/** A language model and the prompts that it continues. */
export interface Opened {
  readonly model: LanguageModel;
  readonly prompts: readonly (readonly number[])[];
  /** Frees what was made of the prompts. */
  close(): void;
}

/** A language model continues the prompts. Of an encoder-decoder the encoder reads the prompts, once, and the decoder continues the start id. */
export function open(model: LanguageModel | TextToText, prompts: readonly (readonly number[])[], padding = 0): Opened {
  if (!("encode" in model)) return { model, prompts, close: () => {} };
  const longest = prompts.reduce((most, { length }) => Math.max(most, length), 0);
  const shape = [prompts.length, longest];
  const filled = (value: (ids: readonly number[], t: number) => number): Tensor =>
    integers(
      prompts.flatMap((ids) => Array.from({ length: longest }, (_, t) => value(ids, t))),
      shape,
      model,
    );
  const { memory, mask } = noGrad(() =>
    scope(() => {
      const mask = filled((ids, t) => Number(t < ids.length));
      const ids = filled((row, t) => row[t] ?? padding);
      const padded = prompts.some(({ length }) => length < longest);
      const { memory } = model.encode(ids, padded ? { mask } : {}, scoring);
      return { memory, ...(padded ? { mask } : {}) };
    }),
  );
  const close = (): void => {
    memory.dispose();
    mask?.dispose();
  };
  return { model: model.given({ memory, mask }), prompts: prompts.map(() => [model.start]), close };
}
