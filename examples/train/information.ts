/**
 * What experts know about: mutual information, in bits, of the expert of a byte with its language and with the byte itself.
 *
 * E experts, L languages, N observations (one per byte and layer). Plug-in estimates from counts: they are never negative
 * and too high on few observations. The shuffled controls show by how much.
 */
import { entropy } from "switchyard-moe/moe";
import { draws, shuffled, type Uniform } from "./uniform.ts";

/** counts[x][y]: how often x and y met. */
export type Table = readonly (readonly number[])[];

/** Counts of pairs; x[i] < rows and y[i] < columns. */
export function contingency(x: ArrayLike<number>, y: ArrayLike<number>, rows: number, columns: number): number[][] {
  if (x.length !== y.length) throw new RangeError(`contingency: ${x.length} and ${y.length} observations: they come in pairs`);
  const counts = Array.from({ length: rows }, () => new Array<number>(columns).fill(0));
  for (let i = 0; i < x.length; i++) counts[x[i]][y[i]]++;
  return counts;
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const rowTotals = (counts: Table) => counts.map(sum);
const columnTotals = (counts: Table) => (counts[0] ?? []).map((_, y) => sum(counts.map((row) => row[y])));

/** I(X; Y) = H(X) + H(Y) - H(X, Y). Shannon 1948. */
export function mutualInformation(counts: Table): number {
  return Math.max(0, entropy(rowTotals(counts)) + entropy(columnTotals(counts)) - entropy(counts.flat()));
}

/** I(X; Y | Z) = sum over z of p(z) I(X; Y | Z = z), from one table of counts per z. */
export function conditionalInformation(tables: readonly Table[]): number {
  const totals = tables.map((table) => sum(rowTotals(table)));
  const total = sum(totals);
  return total === 0 ? 0 : sum(tables.map((table, z) => (totals[z] / total) * mutualInformation(table)));
}

/** Observations, one per routed byte. */
export interface Observations {
  readonly expert: ArrayLike<number>; // [N]
  readonly language: ArrayLike<number>; // [N]
  readonly byte: ArrayLike<number>; // [N]
  readonly experts: number;
  readonly languages: number;
}

/** All in bits. */
export interface Specialisation {
  readonly expertLanguage: number;
  readonly expertByte: number;
  readonly expertLanguageGivenByte: number;
  /**
   * The same three with experts (given the byte: experts of the same byte) dealt out at random: what an estimate from so few observations
   * gives without any relation.
   */
  readonly shuffled: { readonly expertLanguage: number; readonly expertByte: number; readonly expertLanguageGivenByte: number };
}

const BYTES = 256;

/** How much the expert of a byte tells about its language, about the byte, and about the language once the byte is known. */
export function specialisation(observations: Observations, uniform: Uniform): Specialisation {
  const { expert, language, byte, experts, languages } = observations;
  const draw = draws(uniform);
  const anyExpert = shuffled(Array.from(expert), draw);
  const groups = positionsOf(byte, BYTES);
  const withLanguage = (of: ArrayLike<number>) => mutualInformation(contingency(of, language, experts, languages));
  const withByte = (of: ArrayLike<number>) => mutualInformation(contingency(of, byte, experts, BYTES));
  const givenByte = (arrange: (values: number[]) => number[]) =>
    conditionalInformation(groups.map((at) => contingency(arrange(pick(expert, at)), pick(language, at), experts, languages)));
  return {
    expertLanguage: withLanguage(expert),
    expertByte: withByte(expert),
    expertLanguageGivenByte: givenByte((values) => values),
    shuffled: {
      expertLanguage: withLanguage(anyExpert),
      expertByte: withByte(anyExpert),
      expertLanguageGivenByte: givenByte((values) => shuffled(values, draw)),
    },
  };
}

const pick = (values: ArrayLike<number>, at: readonly number[]) => at.map((i) => values[i]);

function positionsOf(values: ArrayLike<number>, kinds: number): number[][] {
  const positions = Array.from({ length: kinds }, (): number[] => []);
  for (let i = 0; i < values.length; i++) positions[values[i]].push(i);
  return positions;
}

/** Share of each language's bytes (rows) that goes to each expert (columns): [L][E], rows sum to 1, or to 0 for an absent language. */
export function expertShares({ expert, language, experts, languages }: Observations): number[][] {
  return contingency(language, expert, languages, experts).map((row) => {
    const total = sum(row);
    return row.map((count) => (total === 0 ? 0 : count / total));
  });
}
