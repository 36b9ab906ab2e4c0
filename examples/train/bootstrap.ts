/** Is one model better than another on the same text? Bits per byte saved, with an interval. */
import { draws, type Uniform } from "./uniform.ts";

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

/** Two models on the same piece of text: bits that each needed for its bytes. */
export interface PairedScore {
  /** Pieces of the same name are drawn together: an article and its translations rise and fall as one. */
  readonly label: string;
  readonly bytes: number;
  readonly first: number;
  readonly second: number;
}

export interface Interval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/**
 * Bits per byte that the second model saves over the first, with the central `level` of its values when the labels are drawn anew
 * with replacement. Paired percentile bootstrap: Efron 1979; in pairs because a split moves both models together.
 */
export function pairedBootstrap(scores: readonly PairedScore[], uniform: Uniform, { rounds = 2000, level = 0.95 } = {}): Interval {
  const labels = [...new Set(scores.map((score) => score.label))];
  const units = labels.map((label) => total(scores.filter((score) => score.label === label)));
  if (units.length < 2) throw new RangeError(`pairedBootstrap: ${units.length} labels: at least 2 are needed to draw from`);
  const draw = draws(uniform);
  const drawn = Array.from({ length: rounds }, () => saving(units.map(() => units[Math.floor(draw() * units.length)])));
  const ordered = drawn.toSorted((x, y) => x - y);
  const at = (share: number) => ordered[Math.round(share * (rounds - 1))];
  return { mean: saving(units), low: at((1 - level) / 2), high: at((1 + level) / 2) };
}

interface Unit {
  readonly bytes: number;
  readonly saved: number;
}

const total = (scores: readonly PairedScore[]): Unit => ({
  bytes: sum(scores.map((score) => score.bytes)),
  saved: sum(scores.map((score) => score.first - score.second)),
});

const saving = (units: readonly Unit[]) => sum(units.map((unit) => unit.saved)) / sum(units.map((unit) => unit.bytes));
