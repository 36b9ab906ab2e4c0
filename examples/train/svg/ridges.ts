import { drawing, label, line, scale, tickText, ticks, WIDTH, type Captions } from "./drawing.ts";
import { element, escape, fitted } from "./markup.ts";
import { colourClass } from "./palette.ts";

export interface RidgesOptions extends Captions {
  /** Common places of all rows, ascending. */
  readonly xs: readonly number[];
  readonly rows: readonly { readonly name: string; readonly values: readonly number[] }[];
  readonly x: string;
  /** What the heights are, with their unit. */
  readonly unit: string;
  /** The even value, as a dotted line through each row. */
  readonly fair?: number;
  readonly format?: (value: number) => string;
}

const LEFT = 64;
const RIGHT = WIDTH - 46;

/** A row per name, each a small hill over its own ground, all of one scale: many courses that would cover each other in one plot. */
export function ridges({ xs, rows, x, unit, fair, format = tickText, ...captions }: RidgesOptions): string {
  const step = rows.length > 12 ? 18 : 26;
  const most = Math.max(...rows.flatMap((row) => row.values), fair ?? 0) || 1;
  const placeX = scale([xs[0] ?? 0, xs[xs.length - 1] ?? 1], [LEFT, RIGHT]);
  const height = scale([0, most], [0, step - 4]);
  const top = 18;
  const hills = rows.flatMap((row, i) =>
    hill(row.name, row.values, { placeX: xs.map(placeX), height, ground: top + (i + 1) * step, index: i, fair, format }),
  );
  const bottom = top + rows.length * step;
  const across = ticks(xs[0] ?? 0, xs[xs.length - 1] ?? 1, 4).filter(
    (value) => placeX(value) >= LEFT - 0.5 && placeX(value) <= RIGHT + 0.5,
  );
  const marks = [
    label(fair === undefined ? unit : `${unit}; dotted: even share, ${format(fair)}; at the right: last`, 0, 10, { class: "muted small" }),
    ...hills,
    ...across.map((value) => label(tickText(value), placeX(value), bottom + 15, { class: "muted small", "text-anchor": "middle" })),
    label(x, (LEFT + RIGHT) / 2, bottom + 30, { class: "muted small", "text-anchor": "middle" }),
  ];
  return drawing("ridges", captions, () => ({ height: bottom + 36, marks }));
}

interface Row {
  readonly placeX: readonly number[];
  readonly height: (value: number) => number;
  readonly ground: number;
  readonly index: number;
  readonly fair: number | undefined;
  readonly format: (value: number) => string;
}

function hill(name: string, values: readonly number[], { placeX, height, ground, index, fair, format }: Row): string[] {
  const crest = placeX.map((x, i) => `L${x.toFixed(1)} ${(ground - height(values[i] ?? 0)).toFixed(1)}`).join("");
  const d = `M${LEFT} ${ground}${crest}L${(placeX[placeX.length - 1] ?? LEFT).toFixed(1)} ${ground}z`;
  const level =
    fair === undefined
      ? []
      : [line(LEFT, ground - height(fair), RIGHT, ground - height(fair), { class: "axis", "stroke-dasharray": "1 3" })];
  const last = values[values.length - 1];
  return [
    element(
      "g",
      { class: colourClass(index) },
      element("title", {}, escape(name)),
      element("path", { class: "area", "fill-opacity": 0.3, d }),
      element("path", { class: "line", "stroke-width": 1.4, d: `M${crest.slice(1)}` }),
    ),
    line(LEFT, ground, RIGHT, ground, { class: "grid" }),
    ...level,
    label(fitted(name, LEFT - 8, 11), 0, ground - 3, { "font-size": 11 }),
    label(last === undefined ? "" : format(last), RIGHT + 6, ground - 3, { class: "small" }),
  ];
}
