/**
 * What a routing did, in numbers. Books are read to the host once, may be added up over batches, and are then only counted.
 * T tokens, E experts, K choices.
 */
import type { Routing } from "./routing.ts";

/** The books of a routing as plain arrays. */
export interface HostBooks {
  /** T, padding among them. */
  readonly tokens: number;
  /** [T]: 0 for padding; without it, all are tokens. */
  readonly real?: ArrayLike<number> | undefined;
  readonly experts: number;
  readonly choices: number;
  /** Rows at the experts over all groups: E G C, or as many as were used where none are left empty. */
  readonly rows: number;
  /** [T, K] each, row-major. */
  readonly expertOfChoice: Int32Array;
  readonly slotOfChoice: Int32Array;
  readonly gate: Float64Array;
}

/** Reads the books of a routing. Start it before the scope of the step closes; await it whenever. */
export async function readBooks({ kind, books, layout }: Routing): Promise<HostBooks> {
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

/** What a routing did, in numbers: the load of the experts, what was dropped, how sure the router was. */
export interface RoutingMetrics {
  /** Choices of each expert, before capacity. */
  readonly load: readonly number[];
  /** All but padding. */
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

/** The metrics of all given books together; zero where there is nothing to divide by. */
export function measure(...all: readonly HostBooks[]): RoutingMetrics {
  const load = new Array<number>(Math.max(0, ...all.map((books) => books.experts))).fill(0);
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

/** For each class (a position, a language, a byte) how many of its tokens were there, and how many no expert served. */
export function droppedBy(books: HostBooks, classOfToken: ArrayLike<number>, classes: number): { tokens: number[]; dropped: number[] } {
  requireClasses("droppedBy", books, classOfToken);
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

/** How often each expert was chosen by tokens of each class, before capacity: [classes][E]. */
export function expertsByClass(books: HostBooks, classOfToken: ArrayLike<number>, classes: number): number[][] {
  requireClasses("expertsByClass", books, classOfToken);
  const table = Array.from({ length: classes }, () => new Array<number>(books.experts).fill(0));
  for (let at = 0; at < books.expertOfChoice.length; at++) {
    const expert = books.expertOfChoice[at];
    if (expert >= 0) table[classOfToken[Math.floor(at / books.choices)]][expert]++;
  }
  return table;
}

function requireClasses(operation: string, { tokens }: HostBooks, classOfToken: ArrayLike<number>): void {
  if (classOfToken.length !== tokens) throw new RangeError(`${operation}: ${classOfToken.length} classes for ${tokens} tokens`);
}

/** H in bits, -sum p log2 p, of a distribution given by counts; 0 of nothing. Shannon 1948. */
export function entropy(counts: readonly number[]): number {
  const total = counts.reduce((sum, n) => sum + n, 0);
  return counts.reduce((sum, n) => (n > 0 ? sum + (n / total) * Math.log2(total / n) : sum), 0);
}

/** Entropy of the load over its largest value, log2 E: 1 where it is even, 0 where one expert has all. One expert counts as even. */
export function loadEntropy(load: readonly number[]): number {
  return load.length > 1 ? entropy(load) / Math.log2(load.length) : 1;
}

/** MaxVio, (largest load - mean) / mean: 0 where it is even, E - 1 where one expert has all. Wang et al. 2024, arXiv:2408.15664, section 4.1. */
export function maxViolation(load: readonly number[]): number {
  const mean = load.reduce((sum, n) => sum + n, 0) / load.length;
  return ratio(Math.max(0, ...load) - mean, mean);
}
