import { drawing, label, WIDTH, type Captions } from "./drawing.ts";
import { element, escape, fitted, textWidth } from "./markup.ts";
import { HEAT_LEVELS, heatLevel } from "./palette.ts";

export interface HeatMapOptions extends Captions {
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  /** values[row][column], at least 0. */
  readonly values: readonly (readonly number[])[];
  /** Names of the axes: "language", "expert". */
  readonly row: string;
  readonly column: string;
  /** What the numbers are, with their unit: "% of the language's bytes". */
  readonly unit: string;
  /** A value as a short text for its cell. */
  readonly format?: (value: number) => string;
  /** The value of the darkest cell; default: the largest. */
  readonly most?: number;
}

const CELL_HEIGHT = 22;

/** A table whose cells are as dark as their values are large; each cell shows its number, and the largest of a row is bold. */
export function heatMap({
  rows,
  columns,
  values,
  row,
  column,
  unit,
  format = (value) => String(Math.round(value)),
  most,
  ...captions
}: HeatMapOptions): string {
  check(rows, columns, values);
  const largest = most ?? Math.max(...values.flat(), 0);
  const left = Math.min(110, Math.max(textWidth(row, 10.5), ...rows.map((name) => textWidth(name, 11))) + 8);
  const cell = Math.min(44, Math.max(26, (WIDTH - left) / columns.length));
  const top = 32;
  const heads = columns.map((name, c) =>
    label(fitted(name, cell, 10.5), left + (c + 0.5) * cell, top - 6, { class: "small", "text-anchor": "middle" }),
  );
  const names = rows.map((name, r) => label(fitted(name, left - 4, 11), 0, top + (r + 0.5) * CELL_HEIGHT + 4, { "font-size": 11 }));
  const cells = values.flatMap((ofRow, r) =>
    ofRow.map((value, c) => {
      const at = { x: left + c * cell, y: top + r * CELL_HEIGHT, width: cell, height: CELL_HEIGHT };
      const level = heatLevel(largest > 0 ? value / largest : 0);
      return cellMark(
        at,
        level,
        format(value),
        value > 0 && value === Math.max(...ofRow),
        `${row} ${rows[r]}, ${column} ${columns[c]}: ${format(value)}`,
      );
    }),
  );
  const below = top + rows.length * CELL_HEIGHT;
  const titles = [label(row, 0, top - 6, { class: "muted small" }), label(column, left, 12, { class: "muted small" })];
  const marks = [...titles, ...heads, ...names, ...cells, ...scaleMarks(left, below + 10, format(0), `${format(largest)} ${unit}`)];
  return drawing("heat", captions, () => ({ width: Math.max(WIDTH, Math.ceil(left + cell * columns.length)), height: below + 26, marks }));
}

function check(rows: readonly string[], columns: readonly string[], values: readonly (readonly number[])[]): void {
  const fits = values.length === rows.length && values.every((ofRow) => ofRow.length === columns.length);
  if (!fits)
    throw new RangeError(
      `heatMap: values [${values.length}, ${values[0]?.length ?? 0}] do not fit ${rows.length} rows and ${columns.length} columns`,
    );
}

interface Place {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

function cellMark(at: Place, level: number, text: string, strong: boolean, hint: string): string {
  const fill = element("rect", { ...at, class: `h${level}`, stroke: "var(--paper)" });
  const weight = strong ? { "font-weight": 700 } : {};
  const number = label(text, at.x + at.width / 2, at.y + at.height / 2 + 4, {
    class: `on${level} small`,
    "text-anchor": "middle",
    ...weight,
  });
  return element("g", {}, element("title", {}, escape(hint)), fill, number);
}

function scaleMarks(x: number, y: number, least: string, most: string): string[] {
  const steps = Array.from({ length: HEAT_LEVELS }, (_, level) =>
    element("rect", { x: x + 16 + level * 9, y, width: 9, height: 9, class: `h${level}` }),
  );
  const right = x + 16 + HEAT_LEVELS * 9 + 6;
  return [
    label(least, x + 10, y + 9, { class: "muted small", "text-anchor": "end" }),
    ...steps,
    label(most, right, y + 9, { class: "muted small" }),
  ];
}
