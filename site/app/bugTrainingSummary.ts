/** What a training of both twins showed, as curves and as sentences that are made of its numbers alone. */
import type { Twin, TwinStep } from "../../test/moe/gallery/trained/twins.ts";
import { twins } from "../../test/moe/gallery/trained/twins.ts";
import type { WatchedName } from "./bugTrainingProtocol.ts";
import type { TrainingStrings } from "./bugTrainingStrings.ts";
import { curvePicture } from "./curvePicture.ts";
import { filled } from "./museumStrings.ts";

/** Steps over which the numbers at the end are means. */
const WINDOW = 20;
/** What is smaller is a rounding error of float32. */
const NOTHING = 5e-7;

type Point = readonly [step: number, value: number];

/** The steps of one training. */
export class TrainingHistory {
  readonly watched: WatchedName;
  readonly losses: Readonly<Record<Twin, Point[]>> = { right: [], broken: [] };
  readonly looks: Readonly<Record<Twin, Point[]>> = { right: [], broken: [] };
  /** What ended the broken twin. */
  error: { readonly step: number; readonly message: string } | null = null;
  step = 0;

  constructor(watched: WatchedName) {
    this.watched = watched;
  }

  add(step: number, made: Readonly<Record<Twin, TwinStep | null>>): void {
    this.step = step;
    for (const twin of twins) this.#add(twin, step, made[twin]);
  }

  #add(twin: Twin, step: number, made: TwinStep | null): void {
    if (!made) return;
    if (made.error !== null) this.error = { step, message: made.error };
    else this.losses[twin].push([step, made.bits]);
    if (made.watched !== null) this.looks[twin].push([step, Math.abs(made.watched) < NOTHING ? 0 : made.watched]);
  }
}

/** The two pictures: the losses, and the number that betrays the bug. */
export function picturesOf({ losses, looks, watched: { name, as } }: TrainingHistory, strings: TrainingStrings): [string, string] {
  const factor = as === "percent" ? 100 : 1;
  const series = (twin: Twin, points: readonly Point[], by: number) => ({ name: strings[twin], points: points.map(([step, y]) => [step, y * by] as const) }); // prettier-ignore
  const picture = (title: string, y: string, points: Readonly<Record<Twin, readonly Point[]>>, by: number): string =>
    curvePicture({ title, right: series("right", points.right, by), broken: series("broken", points.broken, by), x: strings.step, y });
  return [picture(strings.lossTitle, strings.bits, losses, 1), picture(strings.watched[name] ?? name, strings.units[as], looks, factor)];
}

const mean = (values: readonly number[]): number => values.reduce((sum, x) => sum + x, 0) / values.length;
const last = (points: readonly Point[]): number[] => points.slice(-WINDOW).map(([, y]) => y);

/** A sentence in the language of the page, or the message of an error, which is English. */
export interface Said {
  readonly text: string;
  readonly error?: true;
}

/** What is to be said after the steps that there were. */
export function sentencesOf(history: TrainingHistory, strings: TrainingStrings, language: string): Said[] {
  const { losses, step, error } = history;
  if (step === 0) return [];
  // Where the broken twin ended with an error, both are compared up to there.
  const common = error ? losses.broken.length : step;
  const [right, broken] = twins.map((twin) => last(losses[twin].slice(0, common)));
  const bits = (x: number): string => x.toFixed(3);
  const notNumber = losses.broken.find(([, y]) => !Number.isFinite(y))?.[0];
  const told: Said[] = [];
  if (error) told.push({ text: filled(strings.crashed, { step: error.step }) }, { text: error.message, error: true });
  if (notNumber !== undefined) told.push({ text: filled(strings.notNumber, { step: notNumber, right: bits(mean(right)) }) });
  else if (broken.length > 0) told.push(...comparedLosses(right, broken, strings, losses));
  if (history.looks.right.length > 0) told.push({ text: betrayal(history, strings, language) });
  return told;
}

/** The losses of the last steps that both have made, and whether all were the same. */
function comparedLosses(
  right: readonly number[],
  broken: readonly number[],
  strings: TrainingStrings,
  all: TrainingHistory["losses"],
): Said[] {
  const step = all.broken.length;
  const same = all.broken.every(([, y], i) => y === all.right[i][1]);
  const gap = mean(broken) - mean(right);
  const spread = Math.sqrt(mean(right.map((x) => (x - mean(right)) ** 2)));
  const said = Math.abs(gap) <= spread ? strings.hidden : gap > 0 ? strings.higher : strings.lower;
  const bits = (x: number): string => x.toFixed(3);
  return [
    { text: filled(strings.result, { step, right: bits(mean(right)), broken: bits(mean(broken)), window: right.length }) },
    { text: same ? strings.same : filled(said, { gap: bits(Math.abs(gap)), spread: bits(spread) }) },
  ];
}

/** The number that betrays the bug, of both twins. */
function betrayal({ looks, watched: { name, as } }: TrainingHistory, strings: TrainingStrings, language: string): string {
  const [right = "–", broken] = twins.map((twin) => (looks[twin].length > 0 ? written(mean(last(looks[twin])), as, language) : undefined));
  const said = broken === undefined ? strings.alone : broken === right ? strings.alike : strings.betrayed;
  return filled(said, { name: strings.watched[name] ?? name, right, broken: broken ?? "–" });
}

function written(x: number, as: WatchedName["as"], language: string): string {
  if (as === "percent") return `${(100 * x).toLocaleString(language, { maximumFractionDigits: 1 })} %`;
  if (as === "count") return x.toLocaleString(language, { maximumFractionDigits: 1 });
  return x.toLocaleString(language, { maximumSignificantDigits: 3 });
}
