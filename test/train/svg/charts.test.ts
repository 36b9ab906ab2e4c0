import { expect } from "chai";
import * as fc from "fast-check";
import { thinned } from "../../../examples/train/svg/curve.ts";
import { bars, curve, dispatch, heatMap, intervals, ridges, scatter, type Choice, type Point } from "../../../examples/train/svg/index.ts";
import { textWidth } from "../../../examples/train/svg/markup.ts";
import { anyLabel, parsed, type Found } from "./wellFormed.ts";

const number = fc.oneof(fc.double({ min: -1e4, max: 1e4, noNaN: true }), fc.constantFrom(NaN, Infinity, -Infinity));
const share = fc.double({ min: 0, max: 1, noNaN: true });
// A drawing carries a style sheet that the parser reads each time: fewer, larger cases.
const RUNS = { numRuns: 40 };
const captions = fc.record({ title: anyLabel, description: anyLabel });
const labels = fc.array(anyLabel, { minLength: 1, maxLength: 5 });

/** What holds of every drawing. */
function checkDrawing(svg: string, { title, description }: { title: string; description: string }): Found {
  const found = parsed(svg);
  const of = (name: string) =>
    found.attributes.filter((attribute) => attribute.element === "svg" && attribute.name === name).map(({ value }) => value);
  expect(of("role")).to.deep.equal(["img"]);
  expect(of("viewBox")[0]).to.match(/^0 0 \d+ \d+$/);
  expect(new Set(found.ids).size).to.equal(found.ids.length);
  for (const id of found.references) expect(found.ids).to.include(id);
  expect(
    found.attributes.filter(({ value }) => /NaN|undefined|Infinity/.test(value) && ![title, description].includes(value)),
  ).to.deep.equal([]);
  return found;
}

describe("a curve", () => {
  const series = fc.array(fc.record({ name: anyLabel, points: fc.array(fc.tuple(number, number), { maxLength: 40 }) }), { maxLength: 4 });
  const baselines = fc.array(fc.record({ name: anyLabel, value: number }), { maxLength: 4 });

  it("is well-formed whatever it is given, numbers that are none included", () => {
    fc.assert(
      fc.property(captions, series, baselines, anyLabel, (told, lines, levels, axis) => {
        checkDrawing(curve({ ...told, series: lines, baselines: levels, x: axis, y: axis }), told);
      }),
      RUNS,
    );
  });

  it("names axes, series and baselines, and gives each series dashes of its own", () => {
    const told = { title: "Loss", description: "falls" };
    const points: Point[] = [[0, 8], [10, 2]]; // prettier-ignore
    const svg = curve({
      ...told,
      series: ["a", "b"].map((name) => ({ name, points })),
      baselines: [{ name: "bigram", value: 3.4 }],
      x: "step",
      y: "bits per byte",
    });
    const found = checkDrawing(svg, told);
    for (const text of ["Loss", "falls", "a", "b", "bigram 3.40", "step", "bits per byte", "8"])
      expect(found.text.split("\n")).to.include(text);
    const dashed = found.attributes
      .filter(({ element, name }) => element === "path" && name === "stroke-dasharray")
      .map(({ value }) => value);
    expect(new Set(dashed).size).to.equal(2);
  });

  it("puts a larger value higher and a later one further right", () => {
    const svg = curve({ title: "", description: "", series: [{ name: "a", points: [[0, 1], [5, 4], [10, 2]] }], x: "", y: "" }); // prettier-ignore
    const [, ...numbers] = /class="line" d="M([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)L([\d.]+) ([\d.]+)"/.exec(svg) ?? [];
    const [x0, y0, x1, y1, x2, y2] = numbers.map(Number);
    expect(x0).to.be.below(x1);
    expect(x1).to.be.below(x2);
    expect(y1).to.be.below(y2);
    expect(y2).to.be.below(y0);
  });

  it("leaves out points that are no numbers", () => {
    const draw = (points: readonly Point[]) => curve({ title: "", description: "", series: [{ name: "a", points }], x: "", y: "" });
    expect(draw([[0, 1], [1, NaN], [2, 3], [Infinity, 2]])).to.equal(draw([[0, 1], [2, 3]])); // prettier-ignore
  });

  it("has room for the longest number beside its axis", () => {
    const points: Point[] = [[0, 0.0005], [10, 0.003]]; // prettier-ignore
    const svg = curve({ title: "", description: "", series: [{ name: "a", points }], x: "", y: "" });
    const beside = [...svg.matchAll(/<text x="([\d.-]+)"[^>]*text-anchor="end">([\d.]+)</g)];
    expect(beside.map(([, , text]) => text)).to.include("0.0005");
    for (const [, x, text] of beside) expect(Number(x)).to.be.at.least(textWidth(text, 10.5));
  });

  it("keeps the mean of a line that it thins", () => {
    const points = Array.from({ length: 1000 }, (_, i): Point => [i, i % 7]);
    const thin = thinned(points, 100);
    expect(thin).to.have.length(100);
    const mean = (all: readonly Point[]) => all.reduce((sum, [, y]) => sum + y, 0) / all.length;
    expect(mean(thin)).to.be.closeTo(mean(points), 1e-9);
    expect(thinned(points.slice(0, 100), 100)).to.deep.equal(points.slice(0, 100));
  });
});

describe("a heat map", () => {
  it("is well-formed for any labels and shows each value in a cell of its own", () => {
    const data = fc.tuple(labels, labels).chain(([rows, columns]) =>
      fc.record({
        rows: fc.constant(rows),
        columns: fc.constant(columns),
        values: fc.array(fc.array(share, { minLength: columns.length, maxLength: columns.length }), {
          minLength: rows.length,
          maxLength: rows.length,
        }),
      }),
    );
    fc.assert(
      fc.property(captions, data, anyLabel, (told, table, axis) => {
        const svg = heatMap({ ...told, ...table, row: axis, column: axis, unit: axis, format: (x) => `v${x.toFixed(3)}` });
        const shown = checkDrawing(svg, told).text.split("\n");
        for (const x of table.values.flat()) expect(shown).to.include(`v${x.toFixed(3)}`);
      }),
      RUNS,
    );
  });

  const base = { title: "t", description: "d", rows: ["r"], columns: ["a", "b"], row: "", column: "", unit: "" };

  it("darkens with the value and sets the largest of a row in bold", () => {
    const svg = heatMap({ ...base, values: [[1, 10]] });
    expect(svg).to.match(/class="h1".*class="h9"/s);
    expect([...svg.matchAll(/font-weight="700">(\d+)</g)].map((match) => match[1])).to.deep.equal(["10"]);
  });

  it("refuses values that do not fit its labels", () => {
    expect(() => heatMap({ ...base, values: [[1]] })).to.throw(RangeError, "values [1, 1] do not fit 1 rows and 2 columns");
  });

  it("is drawn where all is 0", () => {
    const svg = heatMap({ ...base, values: [[0, 0]] });
    expect([...svg.matchAll(/class="h0"/g)]).to.have.length(3); // two cells and the scale
    expect(svg).not.to.include('font-weight="700"');
  });
});

describe("ridges", () => {
  it("are well-formed for any rows", () => {
    const rows = fc.array(fc.record({ name: anyLabel, values: fc.array(share, { minLength: 3, maxLength: 3 }) }), { maxLength: 20 });
    fc.assert(
      fc.property(captions, rows, anyLabel, (told, all, axis) => {
        const found = checkDrawing(ridges({ ...told, xs: [0, 5, 10], rows: all, x: axis, unit: axis, fair: 0.125 }), told);
        expect(found.attributes.filter(({ name, value }) => name === "class" && value === "area")).to.have.length(all.length);
      }),
      RUNS,
    );
  });

  it("share one scale", () => {
    const svg = ridges({ title: "", description: "", xs: [0, 1], rows: [{ name: "low", values: [1, 1] }, { name: "high", values: [2, 2] }], x: "", unit: "" }); // prettier-ignore
    const heights = [...svg.matchAll(/class="area"[^>]*d="M[\d.]+ ([\d.]+)L[\d.]+ ([\d.]+)/g)].map(
      (match) => Number(match[1]) - Number(match[2]),
    );
    expect(heights[1]).to.be.closeTo(2 * heights[0], 0.2);
  });
});

describe("bars", () => {
  it("are well-formed for any names and values", () => {
    const bar = fc.record({ name: anyLabel, value: fc.double({ min: -10, max: 10, noNaN: true }), plain: fc.boolean() });
    fc.assert(
      fc.property(captions, fc.array(bar, { maxLength: 6 }), (told, all) => {
        checkDrawing(bars({ ...told, bars: all, x: "x" }), told);
      }),
      RUNS,
    );
  });

  it("are as long as their values, and hatched where they are for comparison", () => {
    const svg = bars({ title: "", description: "", bars: [{ name: "a", value: 1 }, { name: "b", value: 3, low: 2, high: 4, plain: true }], x: "" }); // prettier-ignore
    const widths = [...svg.matchAll(/<rect [^>]*width="([\d.]+)"[^>]*\/>/g)].map((match) => Number(match[1]));
    expect(widths[1] / widths[0]).to.be.closeTo(3, 0.01);
    expect([...svg.matchAll(/fill="url\(#[^"]*-hatch\)"/g)]).to.have.length(1);
    expect([...svg.matchAll(/stroke="var\(--ink\)"/g)]).to.have.length(1);
  });
});

describe("a drawn dispatch", () => {
  const situation = fc
    .record({ tokens: labels, experts: fc.integer({ min: 1, max: 5 }), capacity: fc.integer({ min: 0, max: 3 }) })
    .chain(({ tokens, experts, capacity }) =>
      fc.record({
        tokens: fc.constant(tokens),
        experts: fc.constant(experts),
        capacity: fc.constant(capacity),
        wanted: fc.array(fc.integer({ min: 0, max: experts - 1 }), { minLength: tokens.length, maxLength: tokens.length }),
      }),
    );

  /** First come, first seated. */
  const seat = (wanted: readonly number[], capacity: number): Choice[] =>
    wanted.map((expert, token) => {
      const before = wanted.slice(0, token).filter((other) => other === expert).length;
      return { token, expert, slot: before < capacity ? before : -1 };
    });

  it("shows every choice once: seated in its slot or hatched below the line", () => {
    fc.assert(
      fc.property(captions, situation, (told, { tokens, experts, capacity, wanted }) => {
        const choices = seat(wanted, capacity);
        const svg = dispatch({ ...told, tokens, experts, capacity, choices });
        const found = checkDrawing(svg, told);
        const dropped = choices.filter(({ slot }) => slot < 0).length;
        expect(found.attributes.filter(({ element, value }) => element === "rect" && value.startsWith("url(#"))).to.have.length(dropped);
        expect(found.attributes.filter(({ element, value }) => element === "rect" && value === "outline")).to.have.length(
          choices.length - dropped,
        );
        const empty = experts * capacity - (choices.length - dropped);
        const dashed = found.attributes.filter(({ element, name, value }) => element === "rect" && name === "stroke-dasharray" && value === "3 3"); // prettier-ignore
        expect(dashed).to.have.length(empty);
        if (dropped > 0) expect(found.text).to.include(`${dropped} of ${choices.length} choices dropped`);
      }),
      RUNS,
    );
  });

  it("without slots shows every choice, no empty seat and no line", () => {
    fc.assert(
      fc.property(captions, situation, (told, { tokens, experts, wanted }) => {
        const svg = dispatch({ ...told, tokens, experts, capacity: null, choices: seat(wanted, Infinity) });
        const found = checkDrawing(svg, told);
        const classes = found.attributes.filter(({ element }) => element === "rect" || element === "line").map(({ value }) => value);
        expect(classes.filter((value) => value === "outline")).to.have.length(wanted.length);
        expect(classes.filter((value) => value === "grid" || value === "axis")).to.deep.equal([]);
        expect(found.text).to.include("as many rows as tokens came");
      }),
      RUNS,
    );
  });

  it("tells of each token where it went", () => {
    const choices = [{ token: 0, expert: 1, slot: 0, gate: 0.734 }, { token: 1, expert: 1, slot: -1 }]; // prettier-ignore
    const svg = dispatch({ title: "", description: "", tokens: ["a", "b"], experts: 2, capacity: 1, choices });
    expect(svg).to.include("token 0 (a): expert 1, slot 0, gate 0.73").and.include("token 1 (b): expert 1, dropped");
  });

  it("refuses what cannot be", () => {
    const base = { title: "", description: "", tokens: ["a"], experts: 2, capacity: 1 };
    const draw = (choice: Choice) => () => dispatch({ ...base, choices: [choice] });
    expect(draw({ token: 1, expert: 0, slot: 0 })).to.throw(RangeError, "token 1 is not one of 1");
    expect(draw({ token: 0, expert: 2, slot: 0 })).to.throw(RangeError, "expert 2 is not one of 2");
    expect(draw({ token: 0, expert: 0, slot: 1 })).to.throw(RangeError, "slot 1 of expert 0 lies beyond the capacity of 1");
    const dropped = () => dispatch({ ...base, capacity: null, choices: [{ token: 0, expert: 0, slot: -1 }] });
    expect(dropped).to.throw(RangeError, "token 0 is dropped, but no capacity is given");
  });
});

describe("a scatter", () => {
  const finite = fc.double({ min: -1e4, max: 1e4, noNaN: true });
  const groups = fc.array(
    fc.record({ name: anyLabel, spots: fc.array(fc.record({ name: anyLabel, x: finite, y: finite }), { maxLength: 8 }) }),
    { maxLength: 4 },
  );

  it("is well-formed whatever its spots are called, and shows each of them", () => {
    fc.assert(
      fc.property(captions, groups, anyLabel, (told, groups, axis) => {
        const found = checkDrawing(scatter({ ...told, groups, x: axis, y: axis }), told);
        const shown = groups.reduce((sum, { spots }) => sum + spots.length, 0);
        expect((found.elements.get("title") ?? 0) - 1).to.equal(shown);
      }),
      RUNS,
    );
  });

  it("refuses a spot without a place", () => {
    const lost = [{ name: "g", spots: [{ name: "s", x: NaN, y: 0 }] }];
    expect(() => scatter({ title: "", description: "", groups: lost, x: "x", y: "y" })).to.throw(RangeError, "scatter: s is at NaN, 0");
  });
});

describe("intervals", () => {
  const finite = fc.double({ min: -1e4, max: 1e4, noNaN: true });
  const row = fc
    .record({
      name: anyLabel,
      text: anyLabel,
      ends: fc.tuple(finite, finite, finite),
      margin: fc.option(fc.double({ min: 0.01, max: 10, noNaN: true })),
    })
    .map(({ name, text, ends, margin }) => {
      const [low, value, high] = ends.toSorted((a, b) => a - b);
      return { name, text, value, low, high, ...(margin !== null && { margin }) };
    });

  it("are well-formed, inside the drawing, and hollow exactly where 0 is inside", () => {
    fc.assert(
      fc.property(captions, fc.array(row, { minLength: 1, maxLength: 5 }), anyLabel, (told, rows, side) => {
        const found = checkDrawing(intervals({ ...told, rows, left: side, right: side }), told);
        const of = (element: string, name: string) =>
          found.attributes.filter((one) => one.element === element && one.name === name).map(({ value }) => value);
        for (const x of [...of("circle", "cx"), ...of("line", "x1"), ...of("line", "x2")].map(Number)) expect(x).to.be.within(0, 420);
        expect(of("circle", "class")).to.deep.equal(rows.map(({ low, high }) => (low > 0 || high < 0 ? "area" : "paper")));
      }),
      RUNS,
    );
  });

  it("refuse a number that has no place", () => {
    const wrong = { name: "a", value: NaN, low: 0, high: 1, text: "" };
    expect(() => intervals({ title: "", description: "", rows: [wrong], left: "", right: "" })).to.throw(RangeError, "a is NaN, 0 to 1");
  });
});
