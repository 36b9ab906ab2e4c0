/**
 * What a bug does, with it and without: both variants are asked in the smallest case that the law finds, when the site is built, and what they
 * answer is drawn. T tokens, E experts, K choices.
 */
import fc from "fast-check";
import { Tensor, scope } from "../../src/index.ts";
import type { Bug, Call } from "../../test/moe/gallery/bug.ts";
import { seatsSvg } from "../app/seatsPicture.ts";
import type { Seated } from "../app/seatsPicture.ts";

export interface BugPicture {
  /** The case, as the law was given it. */
  readonly smallest: string;
  /** HTML. */
  readonly right: string;
  readonly broken: string;
}

const SEED = 5;
const RUNS = 2000;
/** Numbers of a row that are shown. */
const SHOWN = 5;

/** Throws where the law does not refute the bug. */
export function bugPictureOf(bug: Bug): BugPicture {
  return scope(() => {
    const { counterexample } = fc.check(bug.property("broken"), { seed: SEED, numRuns: RUNS });
    if (!Array.isArray(counterexample)) throw new Error(`site: the law of "${bug.title}" found no case in ${RUNS}`);
    const drawn: readonly unknown[] = counterexample;
    const [right, broken] = [distinct(bug.calls("right", drawn)), distinct(bug.calls("broken", drawn))];
    const smallest = fc.stringify(drawn).replace(/^\[(.*)\]$/s, "$1");
    return { smallest, right: drawnCalls(right, broken), broken: drawnCalls(broken, right) };
  });
}

/** By what was asked: a law may ask the same again for each expert. */
type Calls = ReadonlyMap<string, Call>;

function distinct(calls: readonly Call[]): Calls {
  return new Map(calls.map((call) => [shortly(call.given), call]));
}

function drawnCalls(calls: Calls, others: Calls): string {
  const parts = Array.from(calls, ([asked, call]) => {
    const heading = calls.size > 1 ? `<p class="quiet"><code>${escaped(asked)}</code></p>` : "";
    return heading + drawnCall(call, others.get(asked)?.gave);
  });
  return parts.join("");
}

function drawnCall({ given, gave }: Call, other: unknown): string {
  const [first, second] = given;
  if (Array.isArray(gave) && gave.every((x) => typeof x === "boolean")) return keptSeats(expertsOf(first), gave, Number(second));
  if (isTable(gave) && isTable(first) && gave.flat().every(isPlace) && first.flat().every(isPlace) && sameShape(gave, first)) return choiceSeats(first, gave); // prettier-ignore
  return numberTable(rowsOf(gave), rowsOf(other));
}

const isPlace = (x: number): boolean => Number.isInteger(x) && x >= 0;

function isTable(x: unknown): x is number[][] {
  return Array.isArray(x) && x.length > 0 && x.every((row) => Array.isArray(row) && row.every((one) => typeof one === "number"));
}

function sameShape(a: readonly (readonly number[])[], b: readonly (readonly number[])[]): boolean {
  return a.length === b.length && a.every((row, t) => row.length === b[t].length);
}

/** The expert of each token: given as such, or the largest of its logits. */
function expertsOf(given: unknown): number[] {
  if (isTable(given)) return given.map((row) => row.indexOf(Math.max(...row)));
  return (given as readonly unknown[]).map(Number);
}

/** Tokens that are kept fill the queue of their expert from the front; the others wait below the line. */
function keptSeats(expert: readonly number[], kept: readonly boolean[], capacity: number): string {
  const waiting = new Map<number, number>();
  const next = (e: number, from: number): number => {
    const place = Math.max(from, waiting.get(e) ?? 0);
    waiting.set(e, place + 1);
    return place;
  };
  const order = [...expert.keys()].sort((a, b) => Number(kept[b]) - Number(kept[a]) || a - b);
  const seats = order.map((t): Seated => ({ label: String(t), expert: expert[t], place: next(expert[t], kept[t] ? 0 : capacity), kept: kept[t] })); // prettier-ignore
  const count = Math.max(...expert) + 1;
  const label = `C = ${capacity}; ${kept.filter(Boolean).length} / ${kept.length}`;
  return seatsSvg(seats, { experts: numbered(count), capacity, label });
}

/** Each choice at its place in the queue of its expert: token, point, choice. */
function choiceSeats(choice: readonly (readonly number[])[], places: readonly (readonly number[])[]): string {
  const seats = choice.flatMap((row, t) => row.map((expert, k): Seated => ({ label: `${t}.${k}`, expert, place: places[t][k], kept: true }))); // prettier-ignore
  const label = seats.map((seat) => `${seat.label}: ${seat.expert}, ${seat.place}`).join("; ");
  return seatsSvg(seats, { experts: numbered(Math.max(...choice.flat()) + 1), label });
}

const numbered = (count: number): string[] => Array.from({ length: count }, (_, e) => String(e));

/** Whatever a variant gave back, as rows of numbers. */
function rowsOf(value: unknown): number[][] {
  if (value instanceof Tensor) {
    const flat = Array.from(value.dataSync(), Number);
    const columns = value.shape.at(-1) ?? 1;
    return Array.from({ length: flat.length / columns }, (_, r) => flat.slice(r * columns, (r + 1) * columns));
  }
  if (isTable(value)) return value;
  return [(Array.isArray(value) ? value : [value]).map(Number)];
}

/** Numbers as a table; those that the other variant has otherwise are marked. A long row is cut around the first of them. */
function numberTable(rows: readonly (readonly number[])[], other: readonly (readonly number[])[]): string {
  const differs = (r: number, c: number): boolean => !Object.is(shownNumber(rows[r][c]), shownNumber(other[r]?.[c] ?? NaN));
  const body = rows.map((row, r) => {
    const found = row.findIndex((_, c) => differs(r, c));
    const from = row.length <= SHOWN ? 0 : Math.max(0, Math.min(found - 2, row.length - SHOWN));
    const cells = row.slice(from, from + SHOWN).map((x, i) => `<td${differs(r, from + i) ? ' class="differs"' : ""}>${shownNumber(x)}</td>`); // prettier-ignore
    return `<tr>${from > 0 ? "<td>…</td>" : ""}${cells.join("")}${from + SHOWN < row.length ? "<td>…</td>" : ""}</tr>`;
  });
  return `<table class="case"><tbody>${body.join("")}</tbody></table>`;
}

function shownNumber(x: number): string {
  if (!Number.isFinite(x)) return String(x);
  if (Number.isInteger(x)) return String(x);
  return Math.abs(x) < 1e-3 ? x.toExponential(2) : String(Number(x.toPrecision(4)));
}

const LONG = 90;

function shortly(given: readonly unknown[]): string {
  const text = given.map((one) => fc.stringify(one instanceof Tensor ? rowsOf(one) : one)).join(", ");
  return text.length > LONG ? `${text.slice(0, LONG)}…` : text;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
