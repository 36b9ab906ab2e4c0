import { drawing, label, line, scale, WIDTH, type Captions } from "./drawing.ts";
import { element, escape, wrapped } from "./markup.ts";
import { colourClass } from "./palette.ts";

export interface IntervalRow {
  readonly name: string;
  readonly value: number;
  readonly low: number;
  readonly high: number;
  /** As it is printed: "+0.03 (+0.01 to +0.05) bits". */
  readonly text: string;
  /** Half the width of a band around 0 that counts as no difference. */
  readonly margin?: number;
}

export interface IntervalsOptions extends Captions {
  readonly rows: readonly IntervalRow[];
  /** What lies on either side of 0. */
  readonly left: string;
  readonly right: string;
}

const [LINE, MARK, FONT] = [14, 22, 11];
const PLOT: readonly [number, number] = [6, WIDTH - 6];

/** Estimates with their intervals around a common 0, each row in a scale of its own: filled where 0 is left out, hollow where it is not. */
export function intervals({ rows, left, right, ...captions }: IntervalsOptions): string {
  for (const { name, value, low, high } of rows)
    if (![value, low, high].every(Number.isFinite))
      throw new RangeError(`intervals: ${name} is ${value}, ${low} to ${high}: places are finite`);
  const middle = (PLOT[0] + PLOT[1]) / 2;
  const marks: string[] = [
    label(`◂ ${left}`, middle - 8, 10, { class: "muted small", "text-anchor": "end" }),
    label(`${right} ▸`, middle + 8, 10, { class: "muted small" }),
  ];
  let top = 18;
  for (const row of rows) {
    const words = wrapped(row.name, WIDTH, FONT);
    marks.push(...words.map((text, i) => label(text, 0, top + (i + 1) * LINE - 3, { "font-size": FONT })));
    const y = top + words.length * LINE + MARK / 2 - 3;
    marks.push(line(middle, y - 7, middle, y + 9, { class: "axis" }), rowMark(row, y));
    top += words.length * LINE + MARK + 6;
  }
  const band = rows.some(({ margin }) => margin !== undefined) ? "; a shaded band counts as no difference" : "";
  marks.push(label(`each row in a scale of its own${band}`, 0, top + 6, { class: "muted small" }));
  return drawing("intervals", captions, () => ({ height: top + 12, marks }));
}

function rowMark({ name, value, low, high, text, margin }: IntervalRow, y: number): string {
  const most = Math.max(Math.abs(low), Math.abs(high), Math.abs(value), margin ?? 0) || 1;
  const place = scale([-most, most], [PLOT[0] + 4, PLOT[1] - 4]);
  const known = low > 0 || high < 0;
  const band =
    margin === undefined
      ? []
      : [
          element("rect", {
            x: place(-margin),
            y: y - 6,
            width: place(margin) - place(-margin),
            height: 12,
            class: "area",
            "fill-opacity": 0.15,
          }),
        ];
  return element(
    "g",
    { class: colourClass(known ? 0 : 1) },
    element("title", {}, escape(`${name}: ${text}`)),
    ...band,
    line(PLOT[0], y, PLOT[1], y, { class: "grid" }),
    line(place(low), y, place(high), y, { class: "line", "stroke-width": 3 }),
    element("circle", {
      cx: place(value),
      cy: y,
      r: 4.5,
      class: known ? "area" : "paper",
      stroke: "var(--c,var(--ink))",
      "stroke-width": 2,
    }),
  );
}
