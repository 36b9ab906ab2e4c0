/** What all drawings share: the frame with its title and description, scales, ticks and axes. */
import { element, escape, identifier, textWidth, wrapped, type Attributes } from "./markup.ts";
import { styleSheet } from "./palette.ts";

/** What every drawing is told. */
export interface Captions {
  /** Stands above the drawing and names it to a screen reader. */
  readonly title: string;
  /** What is to be seen, in words, for those who do not see it. */
  readonly description: string;
}

/** All drawings are this wide, in pixels, so that they stay readable on a telephone. */
export const WIDTH = 420;
const TITLE_SIZE = 13;
const TITLE_LINE = 17;

export interface Body {
  readonly width?: number;
  readonly height: number;
  readonly marks: readonly string[];
  readonly definitions?: readonly string[];
}

/** A whole <svg> with title, description and style; `body` is given a prefix for its ids and stands below the title. */
export function drawing(kind: string, { title, description }: Captions, body: (id: string) => Body): string {
  const id = identifier(`${kind} ${title} ${description}`);
  const { width = WIDTH, height, marks, definitions = [] } = body(id);
  const lines = title === "" ? [] : wrapped(title, width, TITLE_SIZE);
  const top = lines.length * TITLE_LINE + (lines.length > 0 ? 6 : 0);
  const heading = lines.map((line, i) => label(line, 0, (i + 1) * TITLE_LINE - 4, { class: "strong", "font-size": TITLE_SIZE }));
  const size = { width, height: top + height, viewBox: `0 0 ${width} ${Math.ceil(top + height)}` };
  const style = width > WIDTH ? `min-width:${Math.round(width * 0.9)}px` : undefined; // letters stay legible where a page shrinks drawings
  const names = { role: "img", "aria-labelledby": `${id}-title ${id}-desc` };
  return element(
    "svg",
    { xmlns: "http://www.w3.org/2000/svg", class: "switchyard", style, ...size, ...names },
    element("title", { id: `${id}-title` }, escape(title)),
    element("desc", { id: `${id}-desc` }, escape(description)),
    element("style", {}, styleSheet),
    definitions.length > 0 ? element("defs", {}, ...definitions) : "",
    ...heading,
    element("g", { transform: `translate(0 ${top})` }, ...marks),
  );
}

export function label(text: string, x: number, y: number, attributes: Attributes = {}): string {
  return element("text", { x, y, ...attributes }, escape(text));
}

export function line(x1: number, y1: number, x2: number, y2: number, attributes: Attributes): string {
  return element("line", { x1, y1, x2, y2, ...attributes });
}

/** Lines of hatching, for what must differ without colour. */
export function hatching(id: string): string {
  const stroke = element("path", { d: "M0 6L6 0", stroke: "var(--muted)", "stroke-width": 1.2 });
  return element("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse" }, stroke);
}

/** From values to places, linearly. A range of no extent is shown in the middle. */
export function scale([from, to]: readonly [number, number], [start, end]: readonly [number, number]): (value: number) => number {
  if (to === from) return () => (start + end) / 2;
  return (value) => start + ((value - from) / (to - from)) * (end - start);
}

/** Round values, about `count` of them, that enclose `from` and `to`: steps of 1, 2 or 5 times a power of ten. */
export function ticks(from: number, to: number, count = 5): number[] {
  if (!Number.isFinite(from) || !Number.isFinite(to)) throw new RangeError(`ticks: ${from} to ${to}: a scale needs finite ends`);
  const span = to > from ? to - from : Math.abs(from);
  const extent = span > 1e-300 ? span : 1; // a fifth of less underflows
  const rough = extent / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough * 0.999) ?? 10);
  const first = Math.floor(from / step + 1e-9);
  const last = Math.max(first + 1, Math.ceil(to / step - 1e-9));
  return Array.from({ length: last - first + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** 0.25, 12, 1,500, 2.5M: as short as it can be. */
export function tickText(value: number): string {
  if (Math.abs(value) >= 1e6) return `${Number((value / 1e6).toPrecision(4))}M`;
  if (value !== 0 && Math.abs(value) < 1e-4) return value.toExponential(0);
  return Number(value.toPrecision(6)).toLocaleString("en-US", { maximumFractionDigits: 6 });
}

export interface Plot {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Grid lines, tick labels and names of both axes; ticks give the extent. */
export function axes(
  plot: Plot,
  x: Axis,
  y: Axis,
): { marks: string[]; placeX: (value: number) => number; placeY: (value: number) => number } {
  const placeX = scale([x.ticks[0], x.ticks[x.ticks.length - 1]], [plot.left, plot.right]);
  const placeY = scale([y.ticks[0], y.ticks[y.ticks.length - 1]], [plot.bottom, plot.top]);
  const rows = y.ticks.flatMap((value) => [
    line(plot.left, placeY(value), plot.right, placeY(value), { class: "grid" }),
    label(tickText(value), plot.left - 6, placeY(value) + 4, { class: "muted small", "text-anchor": "end" }),
  ]);
  const columns = x.ticks.map((value) =>
    label(tickText(value), placeX(value), plot.bottom + 15, { class: "muted small", "text-anchor": "middle" }),
  );
  const names = [
    label(x.name, (plot.left + plot.right) / 2, plot.bottom + 30, { class: "muted small", "text-anchor": "middle" }),
    label(y.name, 0, plot.top - 11, { class: "muted small" }),
  ];
  return {
    marks: [...rows, ...columns, line(plot.left, plot.bottom, plot.right, plot.bottom, { class: "axis" }), ...names],
    placeX,
    placeY,
  };
}

export interface Axis {
  /** With its unit: "bits per byte". */
  readonly name: string;
  readonly ticks: readonly number[];
}

/** Places as near as possible to those wanted, at least `gap` apart, in the same order. */
export function apart(wanted: readonly number[], gap: number): number[] {
  const order = wanted.map((_, i) => i).toSorted((i, j) => wanted[i] - wanted[j]);
  const placed = [...wanted];
  // Each sweep pushes close neighbours away from each other by half of what is missing.
  for (let sweep = 0; sweep < 200; sweep++) {
    for (let k = 1; k < order.length; k++) {
      const missing = gap - (placed[order[k]] - placed[order[k - 1]]);
      if (missing <= 0) continue;
      placed[order[k]] += missing / 2;
      placed[order[k - 1]] -= missing / 2;
    }
  }
  return placed;
}

export interface LegendEntry {
  readonly name: string;
  /** Draws the sign in a box 22 wide and 10 high, its left middle at (x, y). */
  sign(x: number, y: number): string;
}

const ROW = 16;

/** Signs with their names in rows. */
export function legend(entries: readonly LegendEntry[], width = WIDTH): { marks: string[]; height: number } {
  const marks: string[] = [];
  let [x, row] = [0, 0];
  for (const { name, sign } of entries) {
    const wide = 28 + textWidth(name, 10.5) + 14;
    if (x > 0 && x + wide > width) [x, row] = [0, row + 1];
    const y = row * ROW + ROW / 2;
    marks.push(sign(x, y), label(name, x + 28, y + 4, { class: "small" }));
    x += wide;
  }
  return { marks, height: entries.length === 0 ? 0 : (row + 1) * ROW };
}
