import { apart, axes, drawing, label, legend, line, tickText, ticks, type Captions, type Plot } from "./drawing.ts";
import { element, escape, fitted, textWidth } from "./markup.ts";
import { colourClass, dashes } from "./palette.ts";

export type Point = readonly [x: number, y: number];

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

/** A value without a course, drawn across: what counting achieves, a goal. */
export interface Level {
  readonly name: string;
  readonly value: number;
}

export interface CurveOptions extends Captions {
  readonly series: readonly Series[];
  readonly baselines?: readonly Level[];
  /** Names of the axes with their units. */
  readonly x: string;
  readonly y: string;
  readonly height?: number;
}

const MOST_POINTS = 160;
const MARKED = 30;

/** Lines over a common axis, each with its own colour, dashes and marks, and baselines with their names at the right. */
export function curve({ series, baselines = [], x, y, height = 250, ...captions }: CurveOptions): string {
  const thin = series.map(({ name, points }) => ({ name, points: thinned(points.filter(isFinitePoint)) }));
  const levels = baselines.filter(({ value }) => Number.isFinite(value));
  return drawing("curve", captions, () => {
    const key = legend(thin.map(({ name, points }, i) => ({ name, sign: (at, middle) => sample(i, at, middle, points.length <= MARKED) })));
    const names = levels.map(({ name, value }) => `${name} ${value.toFixed(2)}`);
    const room = Math.min(120, Math.max(0, ...names.map((name) => textWidth(name, 10.5) + 16)));
    const points = thin.flatMap((one) => one.points);
    const marks = around([...points.map((point) => point[1]), ...levels.map(({ value }) => value)]);
    const left = Math.max(34, ...marks.map((value) => textWidth(tickText(value), 10.5) + 8));
    const plot: Plot = { left, right: 410 - room, top: key.height + 26, bottom: key.height + height - 34 };
    const frame = axes(plot, { name: x, ticks: around(points.map((point) => point[0])) }, { name: y, ticks: marks });
    const across = levelMarks(levels.map(({ value }) => frame.placeY(value)), names, plot); // prettier-ignore
    const lines = thin.map((one, i) =>
      path(
        one.points.map((point): Point => [frame.placeX(point[0]), frame.placeY(point[1])]),
        i,
        one.name,
      ),
    );
    return { height: key.height + height, marks: [...key.marks, ...frame.marks, ...across, ...lines] };
  });
}

const isFinitePoint = (point: Point) => point.every((value) => Number.isFinite(value));

function around(values: readonly number[]): number[] {
  return values.length === 0 ? ticks(0, 1) : ticks(Math.min(...values), Math.max(...values));
}

/** Means of neighbours where there are more points than a line can show. */
export function thinned(points: readonly Point[], most = MOST_POINTS): readonly Point[] {
  if (points.length <= most) return points;
  return Array.from({ length: most }, (_, i): Point => {
    const bucket = points.slice(Math.floor((i * points.length) / most), Math.floor(((i + 1) * points.length) / most));
    const mean = (axis: 0 | 1) => bucket.reduce((sum, point) => sum + point[axis], 0) / bucket.length;
    return [mean(0), mean(1)];
  });
}

function levelMarks(places: readonly number[], names: readonly string[], plot: Plot): string[] {
  const labels = apart(places, 12);
  const end = plot.right + 10;
  return places.flatMap((y, i) => [
    line(plot.left, y, plot.right, y, { class: "axis", "stroke-dasharray": "3 3" }),
    element("path", { class: "axis", d: `M${plot.right} ${round(y)}L${end} ${round(labels[i])}` }),
    label(fitted(names[i], 106, 10.5), end + 3, labels[i] + 3.5, { class: "small" }),
  ]);
}

const round = (x: number) => Math.round(x * 10) / 10;

function path(points: readonly Point[], index: number, name: string): string {
  const d = points.map(([x, y], i) => `${i === 0 ? "M" : "L"}${round(x)} ${round(y)}`).join("");
  const marks = points.length <= MARKED ? points.map(([x, y]) => mark(index, x, y)) : [];
  const stroke = element("path", { class: "line", d, "stroke-dasharray": dashes[index % dashes.length] });
  return element("g", { class: colourClass(index) }, element("title", {}, escape(name)), stroke, ...marks);
}

function sample(index: number, x: number, y: number, marked: boolean): string {
  const stroke = line(x, y, x + 22, y, { class: "line", "stroke-dasharray": dashes[index % dashes.length] });
  return element("g", { class: colourClass(index) }, stroke, marked ? mark(index, x + 11, y) : "");
}

// A shape per series: disc, square, diamond, triangle.
const SHAPES = ["M-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0", "M-2.7 -2.7h5.4v5.4h-5.4z", "M0 -3.8L3.8 0L0 3.8L-3.8 0z", "M0 -3.6L3.4 2.6H-3.4z"];

function mark(index: number, x: number, y: number): string {
  return element("path", { class: "area", transform: `translate(${round(x)} ${round(y)})`, d: SHAPES[index % SHAPES.length] });
}
