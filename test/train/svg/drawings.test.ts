/**
 * Drawings as they are, with every option and without: `drawings.txt`. A change on purpose is written by
 * `DRAWINGS=write npx mocha test/train/svg/drawings.test.ts`; look at the pictures of docs/lessons as well.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { expect } from "chai";
import { bars, curve, dispatch, heatMap, intervals, ridges, scatter } from "../../../examples/train/svg/index.ts";
import type { Choice, IntervalRow, Point } from "../../../examples/train/svg/index.ts";

const file = new URL("./drawings.txt", import.meta.url);
const told = { title: "What is drawn", description: "in words" } as const;
const long = {
  title: "A title so long that it does not fit on one line of a drawing, and goes on below",
  description: "it wraps",
} as const;
const course = (n: number, height: number): Point[] => Array.from({ length: n }, (_, i) => [10 * i, height + Math.cos(i)]);
const seats: Choice[] = [
  { token: 0, expert: 0, slot: 0, gate: 0.734 },
  { token: 1, expert: 1, slot: 0 },
  { token: 2, expert: 1, slot: 1, gate: 1 },
  { token: 3, expert: 1, slot: -1 },
  { token: 4, expert: 1, slot: -1, gate: 0.5 },
  { token: 0, expert: 3, slot: 1 },
];
const tokens = ["the", "router", "sends", "extraordinarily", "é"];
const bar = [{ name: "a", value: 1 }, { name: "a much longer name than there is room for", value: 3, low: 2, high: 4, plain: true }, { name: "below", value: -0.5, low: -1, high: 0.25 }]; // prettier-ignore
const table = { rows: ["English", "Korean"], columns: ["0", "1", "2"], values: [[0, 12.5, 100], [3, 3, 4]], row: "language", column: "expert", unit: "%" }; // prettier-ignore
const interval: IntervalRow[] = [
  { name: "clear", value: 0.3, low: 0.1, high: 0.5, text: "+0.30" },
  { name: "open", value: -0.1, low: -0.4, high: 0.2, text: "-0.10", margin: 0.05 },
  {
    name: "a comparison whose name is much too long for one line of a drawing, and wraps",
    value: -2,
    low: -3,
    high: -1,
    text: "-2",
    margin: 4,
  },
];
const spots = [
  { name: "dense", spots: [{ name: "small", x: 1, y: 3 }, { name: "large", x: 4, y: 2.5 }] }, // prettier-ignore
  { name: "sparse", spots: [{ name: "two experts", x: 2, y: 2 }, { name: "near it", x: 2.1, y: 2.01 }] }, // prettier-ignore
  { name: "third", spots: [{ name: "s", x: 0, y: 0 }] },
];

const drawings: Record<string, () => string> = {
  "curve, empty": () => curve({ ...told, series: [], x: "step", y: "loss" }),
  "curve, one line": () => curve({ ...told, series: [{ name: "a", points: course(3, 5) }], x: "step", y: "loss" }),
  "curve, marks": () => curve({ ...told, series: [{ name: "a", points: course(30, 5) }, { name: "b", points: course(31, 0) }], x: "x", y: "y" }), // prettier-ignore
  "curve, all": () =>
    curve({
      ...long,
      series: ["a", "b", "c", "d", "e", "f", "g"].map((name, i) => ({ name, points: course(i === 2 ? 200 : 12, 3 * i) })),
      baselines: [{ name: "bigram", value: 3.4 }, { name: "trigram", value: 3.3 }, { name: "none", value: NaN }], // prettier-ignore
      x: "step",
      y: "bits per byte",
      height: 300,
    }),
  heatMap: () => heatMap({ ...told, ...table }),
  "heatMap, all": () => heatMap({ ...long, ...table, most: 200, format: (x) => x.toFixed(2) }),
  "heatMap, wide": () =>
    heatMap({ ...told, rows: ["a rather long name of a row"], columns: Array.from({ length: 24 }, (_, i) => `column ${i}`), values: [Array.from({ length: 24 }, (_, i) => i / 24)], row: "r", column: "c", unit: "share" }), // prettier-ignore
  dispatch: () => dispatch({ ...told, tokens, experts: 4, capacity: 2, choices: seats }),
  "dispatch, nobody dropped": () => dispatch({ ...told, tokens, experts: 4, capacity: 3, choices: seats.slice(0, 3) }),
  "dispatch, without slots": () =>
    dispatch({ ...told, tokens, experts: 2, capacity: null, choices: seats.slice(0, 3).map((choice) => ({ ...choice })) }),
  "dispatch, many experts": () => dispatch({ ...told, tokens, experts: 12, capacity: 1, choices: seats.slice(0, 2) }),
  ridges: () =>
    ridges({
      ...told,
      xs: [0, 5, 10],
      rows: [
        { name: "low", values: [0, 1, 0.5] },
        { name: "an expert of a long name", values: [1, 1, 1] },
      ],
      x: "step",
      unit: "share",
    }),
  "ridges, all": () =>
    ridges({ ...told, xs: [3, 5, 10, 21], rows: Array.from({ length: 13 }, (_, i) => ({ name: `expert ${i}`, values: [i, 1, 2, i / 2] })), x: "step", unit: "share", fair: 14, format: (x) => `${x} %` }), // prettier-ignore
  "ridges, twelve": () =>
    ridges({ ...told, xs: [], rows: Array.from({ length: 12 }, (_, i) => ({ name: `${i}`, values: [] })), x: "step", unit: "share", fair: 1 }), // prettier-ignore
  bars: () => bars({ ...told, bars: bar, x: "bits" }),
  "bars, all": () => bars({ ...told, bars: bar.slice(0, 1), x: "bits", of: "margin", format: (x) => `${x} bits` }),
  "bars, none": () => bars({ ...told, bars: [], x: "bits" }),
  intervals: () => intervals({ ...told, rows: interval, left: "less", right: "more" }),
  scatter: () => scatter({ ...told, groups: spots, x: "parameters", y: "bits" }),
  "scatter, low": () => scatter({ ...told, groups: [], x: "parameters", y: "bits", height: 200 }),
  "scatter, crowded": () =>
    scatter({ ...told, groups: [{ name: "all", spots: Array.from({ length: 20 }, (_, i) => ({ name: `a spot with a long name ${i}`, x: i % 3, y: i / 10 })) }], x: "x", y: "y", height: 200 }), // prettier-ignore
};

/** An element a line; the style sheet, which all share, stands in the first alone. */
function asText(): string {
  const texts = Object.entries(drawings).map(([name, draw], i) => {
    const svg = i === 0 ? draw() : draw().replace(/<style>.*<\/style>/s, "<style/>");
    return `== ${name}\n${svg.replaceAll("><", ">\n<")}\n`;
  });
  return texts.join("\n");
}

describe("drawings", () => {
  it("are as they were", () => {
    const text = asText();
    if (process.env["DRAWINGS"] === "write") writeFileSync(file, text);
    expect(text.split("\n")).to.deep.equal(readFileSync(file, "utf8").split("\n"));
  });
});
