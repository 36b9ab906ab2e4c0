import { apart, axes, drawing, label, legend, line, ticks, type Captions, type Plot } from "./drawing.ts";
import { element, escape, fitted, textWidth } from "./markup.ts";
import { colourClass } from "./palette.ts";

export interface Spot {
  readonly name: string;
  readonly x: number;
  readonly y: number;
}

/** Spots that belong together share a colour and a shape. */
export interface SpotGroup {
  readonly name: string;
  readonly spots: readonly Spot[];
}

export interface ScatterOptions extends Captions {
  readonly groups: readonly SpotGroup[];
  /** Names of the axes with their units. */
  readonly x: string;
  readonly y: string;
  readonly height?: number;
}

/** Named spots in a plane; names stand at the right, in the order of their heights, each with a line to its spot. */
export function scatter({ groups, x, y, height = 280, ...captions }: ScatterOptions): string {
  const spots = groups.flatMap(({ name, spots: list }, group) => list.map((spot) => ({ ...spot, group, of: name })));
  for (const { name, x: at, y: level } of spots)
    if (!Number.isFinite(at) || !Number.isFinite(level)) throw new RangeError(`scatter: ${name} is at ${at}, ${level}: places are finite`);
  return drawing("scatter", captions, () => {
    const key = legend(groups.map(({ name }, g) => ({ name, sign: (at, middle) => shape(g, at + 8, middle) })));
    const room = Math.min(150, Math.max(0, ...spots.map(({ name }) => textWidth(name, 10.5) + 18)));
    const tall = Math.max(height, spots.length * 13 + 60);
    const plot: Plot = { left: 34, right: 410 - room, top: key.height + 26, bottom: key.height + tall - 34 };
    const extent = (values: readonly number[]) => (values.length === 0 ? ticks(0, 1) : ticks(Math.min(0, ...values), Math.max(...values)));
    const frame = axes(
      plot,
      { name: x, ticks: extent(spots.map((spot) => spot.x)) },
      { name: y, ticks: extent(spots.map((spot) => spot.y)) },
    );
    const heights = apart(spots.map((spot) => frame.placeY(spot.y)), 12); // prettier-ignore
    const marks = spots.map(({ name, of, group, x: at, y: level }, i) => {
      const [px, py] = [frame.placeX(at), frame.placeY(level)];
      return element(
        "g",
        {},
        element("title", {}, escape(`${name}, ${of}: ${x} ${at.toFixed(2)}, ${y} ${level.toFixed(2)}`)),
        line(px, py, plot.right + 8, heights[i], { stroke: "var(--muted)", "stroke-width": 0.8, "stroke-dasharray": "2 2" }),
        shape(group, px, py),
        label(fitted(name, room - 12, 10.5), plot.right + 11, heights[i] + 3.5, { class: "small" }),
      );
    });
    return { height: key.height + tall, marks: [...key.marks, ...frame.marks, ...marks] };
  });
}

// A shape per group: disc, square, diamond, triangle.
const SHAPES = ["M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0", "M-3.5 -3.5h7v7h-7z", "M0 -5L5 0L0 5L-5 0z", "M0 -4.6L4.4 3.4H-4.4z"];

function shape(group: number, x: number, y: number): string {
  const place = `translate(${Math.round(10 * x) / 10} ${Math.round(10 * y) / 10})`;
  return element(
    "g",
    { class: colourClass(group) },
    element("path", { class: "area", transform: place, d: SHAPES[group % SHAPES.length] }),
  );
}
