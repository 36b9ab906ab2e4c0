import { drawing, hatching, label, line, scale, tickText, ticks, WIDTH, type Captions } from "./drawing.ts";
import { element, escape, fitted, textWidth } from "./markup.ts";
import { colourClass } from "./palette.ts";

export interface Bar {
  readonly name: string;
  readonly value: number;
  /** Ends of its range, over seeds or by bootstrap. */
  readonly low?: number;
  readonly high?: number;
  /** Hatched instead of filled: what is compared with. */
  readonly plain?: boolean;
}

export interface BarsOptions extends Captions {
  readonly bars: readonly Bar[];
  /** Name of the value with its unit. */
  readonly x: string;
  /** What the bars are told apart by: "margin of the best two logits". */
  readonly of?: string;
  readonly format?: (value: number) => string;
}

const STEP = 24;

/** Values side by side from 0, each with its number and, where given, its range. */
export function bars({ bars: rows, x, of, format = (value) => value.toFixed(2), ...captions }: BarsOptions): string {
  const left = Math.min(170, Math.max(0, ...rows.map(({ name }) => textWidth(name, 11))) + 8);
  const ends = rows.flatMap(({ value, low = value, high = value }) => [low, high]);
  const marks = ticks(Math.min(0, ...ends), Math.max(0, ...ends), 4);
  const place = scale([marks[0], marks[marks.length - 1]], [left, WIDTH - 44]);
  const top = of === undefined ? 0 : 16;
  const bottom = top + rows.length * STEP;
  const grid = marks.flatMap((value) => [
    line(place(value), top, place(value), bottom, { class: value === 0 ? "axis" : "grid" }),
    label(tickText(value), place(value), bottom + 14, { class: "muted small", "text-anchor": "middle" }),
  ]);
  const name = label(x, (left + WIDTH - 44) / 2, bottom + 29, { class: "muted small", "text-anchor": "middle" });
  const heading = of === undefined ? [] : [label(of, 0, 10, { class: "muted small" })];
  return drawing("bars", captions, (id) => ({
    height: bottom + 36,
    definitions: [hatching(`${id}-hatch`)],
    marks: [
      ...heading,
      ...grid,
      ...rows.map((row, i) => barMark(row, top + i * STEP, { left, place, format, hatch: `url(#${id}-hatch)` })),
      name,
    ],
  }));
}

interface Look {
  readonly left: number;
  readonly place: (value: number) => number;
  readonly format: (value: number) => string;
  readonly hatch: string;
}

function barMark({ name, value, low, high, plain = false }: Bar, y: number, { left, place, format, hatch }: Look): string {
  const [from, to] = [Math.min(place(0), place(value)), Math.max(place(0), place(value))];
  const at = { x: from, y: y + 4, width: to - from, height: STEP - 8 };
  const fill = plain ? { fill: hatch, stroke: "var(--muted)" } : { class: "area" };
  const range = low === undefined || high === undefined ? [] : [rangeMark(place(low), place(high), y + STEP / 2)];
  const end = Math.max(to, high === undefined ? to : place(high));
  return element(
    "g",
    { class: colourClass(0) },
    element("title", {}, escape(`${name}: ${format(value)}`)),
    element("rect", { ...at, ...fill }),
    ...range,
    label(fitted(name, left - 8, 11), 0, y + STEP / 2 + 4, { "font-size": 11 }),
    label(format(value), end + 5, y + STEP / 2 + 4, { class: "small" }),
  );
}

function rangeMark(from: number, to: number, y: number): string {
  return element("path", {
    stroke: "var(--ink)",
    "stroke-width": 1.4,
    d: `M${from.toFixed(1)} ${y}H${to.toFixed(1)}M${from.toFixed(1)} ${y - 4}v8M${to.toFixed(1)} ${y - 4}v8`,
  });
}
