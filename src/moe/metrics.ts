/**
 * Routing metrics: load, drops, confidence, utilisation. The books of a routing are read to the host once and then counted; those of several
 * batches or layers may be counted together. T tokens, E experts, K choices.
 */
import type { Kind, Kinds } from "./arguments.ts";
import { aShape, check, checkOptions, having, listOf, number, optional, someBooks, someNumbers, whole } from "./arguments.ts";
import type { Routing } from "./routing.ts";

/** The books of a routing as plain arrays: what `readBooks` reads and the metrics count. */
export interface HostBooks {
  /** T, padding included. */
  readonly tokens: number;
  /** [T]: 0 for padding; undefined: there is none. */
  readonly real?: ArrayLike<number> | undefined;
  readonly experts: number;
  readonly choices: number;
  /** Rows at the experts over all groups: E G C slots, or the choices that were made where rows are sorted. */
  readonly rows: number;
  /** [T, K] each, row-major. */
  readonly expertOfChoice: Int32Array;
  readonly slotOfChoice: Int32Array;
  readonly gate: Float64Array;
}

export const aRouting = having("a routing, as Router.route and MoE.forward return it", "kind", "books", "layout");

/**
 * Reads the books of a routing from its device to plain arrays. Start it before the scope of the step closes; the promise may be awaited later.
 * Throws for anything but a routing.
 */
export async function readBooks(routing: Routing): Promise<HostBooks> {
  check("readBooks", "routing", routing, aRouting);
  const { kind, books, layout } = routing;
  check("readBooks", "routing.books", books, someBooks(true));
  check("readBooks", "routing.layout", layout, having("the layout of a routing", "experts", "lead"));
  check("readBooks", "routing.layout.lead", layout.lead, aShape);
  const [tokens, choices] = books.expertOfChoice.shape;
  const all = [books.expertOfChoice.data(), books.slotOfChoice.data(), books.gate.data(), books.real?.data()] as const;
  const [expert, slot, gate, real] = await Promise.all(all);
  const [expertOfChoice, slotOfChoice] = [Int32Array.from(expert), Int32Array.from(slot)];
  const rows = kind === "slots" ? layout.lead.reduce((a, b) => a * b, 1) : count(slotOfChoice);
  return { tokens, experts: layout.experts, choices, rows, real, expertOfChoice, slotOfChoice, gate: Float64Array.from(gate) };
}

function count(slots: Int32Array): number {
  return slots.reduce((n, slot) => n + Number(slot >= 0), 0);
}

/** The numbers of one or several routings: the load of the experts, the dropped tokens, the mean gate. */
export interface RoutingMetrics {
  /** Choices of each expert, before capacity. */
  readonly load: readonly number[];
  /** How many tokens there were, without padding. */
  readonly tokens: number;
  /** Share of tokens that no expert serves. */
  readonly dropped: number;
  /** Share of choices that found no slot. */
  readonly droppedChoices: number;
  /** `loadEntropy` of the load. */
  readonly loadEntropy: number;
  /** `maxViolation` of the load. */
  readonly maxViolation: number;
  /** Mean gate of the choices that were served. */
  readonly confidence: number;
  /** Share of the rows at the experts that hold a token. */
  readonly utilisation: number;
}

const bookKinds: Kinds<HostBooks> = {
  tokens: whole(0, 2 ** 31),
  real: optional(someNumbers),
  experts: whole(1, 2 ** 31),
  choices: whole(0, 2 ** 31),
  rows: whole(),
  expertOfChoice: someNumbers,
  slotOfChoice: someNumbers,
  gate: someNumbers,
};

/** Throws unless the arrays of the books are as long as their sizes say, and name experts from -1 to E - 1. */
function checkBooks(where: string, books: HostBooks): void {
  checkOptions<HostBooks>(`${where}: books`, books, bookKinds);
  const { tokens, choices, experts, real, expertOfChoice, slotOfChoice, gate } = books;
  for (const [name, array] of Object.entries({ expertOfChoice, slotOfChoice, gate }))
    if (array.length !== tokens * choices)
      throw new RangeError(`${where}: books: ${name} of ${array.length}: want ${tokens} tokens x ${choices} choices`);
  if (real && real.length !== tokens)
    throw new RangeError(`${where}: books: real of ${real.length}: want one entry for each of ${tokens} tokens`);
  expertOfChoice.forEach((expert, at) => {
    if (!(expert >= -1 && expert < experts))
      throw new RangeError(`${where}: books: expertOfChoice[${at}] ${expert}: want -1 to ${experts - 1}`);
  });
}

/** The metrics of all given books together, of several layers or batches; 0 where there is nothing to divide by. Throws for damaged books. */
export function measure(...all: readonly HostBooks[]): RoutingMetrics {
  for (const books of all) checkBooks("measure", books);
  const load = new Array<number>(all.reduce((most, { experts }) => Math.max(most, experts), 0)).fill(0);
  const sum = { tokens: 0, served: 0, choices: 0, kept: 0, gates: 0, rows: 0 };
  for (const books of all) {
    sum.rows += books.rows;
    for (let token = 0; token < books.tokens; token++) {
      const seen = visit(books, token, load);
      sum.tokens += Number(isReal(books, token));
      sum.served += Number(seen.kept > 0);
      sum.choices += seen.made;
      sum.kept += seen.kept;
      sum.gates += seen.gates;
    }
  }
  return {
    load,
    tokens: sum.tokens,
    dropped: ratio(sum.tokens - sum.served, sum.tokens),
    droppedChoices: ratio(sum.choices - sum.kept, sum.choices),
    loadEntropy: loadEntropy(load),
    maxViolation: maxViolation(load),
    confidence: ratio(sum.gates, sum.kept),
    utilisation: ratio(sum.kept, sum.rows),
  };
}

function visit(books: HostBooks, token: number, load: number[]): { made: number; kept: number; gates: number } {
  const seen = { made: 0, kept: 0, gates: 0 };
  for (let at = token * books.choices; at < (token + 1) * books.choices; at++) {
    if (books.expertOfChoice[at] < 0) continue;
    load[books.expertOfChoice[at]]++;
    seen.made++;
    if (books.slotOfChoice[at] < 0) continue;
    seen.kept++;
    seen.gates += books.gate[at];
  }
  return seen;
}

function isReal({ real }: HostBooks, token: number): boolean {
  return !real || real[token] !== 0;
}

function ratio(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}

/**
 * For each class (a position, a language, a byte) how many tokens it had, and how many of them no expert served; [classes] both. classOfToken
 * [T]: from 0 to classes - 1; padding is not counted. Throws for books or classes that do not fit.
 */
export function droppedBy(books: HostBooks, classOfToken: ArrayLike<number>, classes: number): { tokens: number[]; dropped: number[] } {
  requireClasses("droppedBy", books, classOfToken, classes);
  const tokens = new Array<number>(classes).fill(0);
  const dropped = new Array<number>(classes).fill(0);
  for (let token = 0; token < books.tokens; token++) {
    if (!isReal(books, token)) continue;
    const { kept } = visit(books, token, []);
    tokens[classOfToken[token]]++;
    dropped[classOfToken[token]] += Number(kept === 0);
  }
  return { tokens, dropped };
}

/**
 * How often each expert was chosen by tokens of each class, before capacity: [classes][E]. classOfToken [T]: from 0 to classes - 1; padding
 * chooses nothing. Throws for books or classes that do not fit.
 */
export function expertsByClass(books: HostBooks, classOfToken: ArrayLike<number>, classes: number): number[][] {
  requireClasses("expertsByClass", books, classOfToken, classes);
  const table = Array.from({ length: classes }, () => new Array<number>(books.experts).fill(0));
  for (let at = 0; at < books.expertOfChoice.length; at++) {
    const expert = books.expertOfChoice[at];
    if (expert >= 0) table[classOfToken[Math.floor(at / books.choices)]][expert]++;
  }
  return table;
}

function requireClasses(where: string, books: HostBooks, classOfToken: ArrayLike<number>, classes: number): void {
  checkBooks(where, books);
  check(where, "classOfToken", classOfToken, someNumbers);
  check(where, "classes", classes, whole(1, 2 ** 24));
  const { tokens } = books;
  if (classOfToken.length !== tokens)
    throw new RangeError(`${where}: classOfToken of ${classOfToken.length}: want one for each of ${tokens} tokens`);
  const inRange: Kind = whole(0, classes - 1);
  for (let token = 0; token < tokens; token++)
    if (isReal(books, token)) check(where, `classOfToken[${token}]`, classOfToken[token], inRange);
}

/** The entropy in bits, -sum p log2 p, of the distribution p = counts / their sum; 0 where the sum is 0. Throws for counts below 0. Shannon 1948. */
export function entropy(counts: readonly number[]): number {
  checkCounts("entropy", "counts", counts);
  const total = counts.reduce((sum, n) => sum + n, 0);
  return counts.reduce((sum, n) => (n > 0 ? sum + (n / total) * Math.log2(total / n) : sum), 0);
}

function checkCounts(where: string, name: string, counts: readonly number[]): void {
  check(where, name, counts, {
    ...listOf({ ...number, accepts: (n) => typeof n === "number" && n >= 0 }),
    wanted: "an array of counts of 0 or more",
  });
}

/**
 * The entropy of the load [E] divided by its largest possible value, log2 E: 1 where the load is even, 0 where one expert has all. It is 1 for a
 * single expert. Throws for counts below 0. Shannon 1948.
 */
export function loadEntropy(load: readonly number[]): number {
  checkCounts("loadEntropy", "load", load);
  return load.length > 1 ? entropy(load) / Math.log2(load.length) : 1;
}

/**
 * MaxVio of the load [E], (largest load - mean) / mean: 0 where it is even, E - 1 where one expert has all. Throws for counts below 0. Wang et
 * al. 2024, arXiv:2408.15664, section 4.1.
 */
export function maxViolation(load: readonly number[]): number {
  checkCounts("maxViolation", "load", load);
  const mean = load.reduce((sum, n) => sum + n, 0) / load.length;
  return ratio(load.reduce((most, n) => Math.max(most, n), 0) - mean, mean);
}
