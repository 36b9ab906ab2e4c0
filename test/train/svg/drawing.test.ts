import { expect } from "chai";
import * as fc from "fast-check";
import { apart, legend, scale, tickText, ticks, WIDTH } from "../../../examples/train/svg/drawing.ts";

const value = fc.double({ min: -1e6, max: 1e6, noNaN: true });

describe("ticks", () => {
  it("enclose the range, evenly, at round values, about as many as asked", () => {
    fc.assert(
      fc.property(value, fc.double({ min: 1e-3, max: 1e6, noNaN: true }), fc.integer({ min: 2, max: 10 }), (from, extent, count) => {
        const marks = ticks(from, from + extent, count);
        const step = marks[1] - marks[0];
        expect(marks[0]).to.be.at.most(from + step * 1e-6);
        expect(marks[marks.length - 1]).to.be.at.least(from + extent - step * 1e-6);
        expect(marks.length).to.be.within(2, count + 3);
        marks.slice(1).forEach((mark, i) => expect(mark - marks[i]).to.be.closeTo(step, Math.abs(step) * 1e-3));
      }),
    );
    expect(ticks(0, 8)).to.deep.equal([0, 2, 4, 6, 8]);
    expect(ticks(0.1, 0.32)).to.deep.equal([0.1, 0.15, 0.2, 0.25, 0.3, 0.35]);
  });

  it("exist where the range has no extent", () => {
    for (const at of [0, 3, -2.5, 1e9]) expect(ticks(at, at).length).to.be.at.least(2);
    for (const least of [Number.MIN_VALUE, 1e-310]) expect(ticks(0, least).length).to.be.within(2, 8);
  });

  it("refuse ends that are no numbers", () => {
    expect(() => ticks(NaN, 1)).to.throw(RangeError, "NaN to 1");
  });

  it("are written shortly", () => {
    expect([0, 0.25, 12, 1500, 2.5e6, 1e-5, -0.1].map(tickText)).to.deep.equal(["0", "0.25", "12", "1,500", "2.5M", "1e-5", "-0.1"]);
  });
});

describe("a scale", () => {
  it("takes ends to ends and keeps the order", () => {
    fc.assert(
      fc.property(value, value, value, (from, to, x) => {
        fc.pre(Math.abs(to - from) > 1e-3);
        const place = scale([from, to], [10, 110]);
        expect([place(from), place(to)]).to.deep.equal([10, 110]);
        expect(place((from + to) / 2)).to.be.closeTo(60, 1e-6);
        if (x > from === to > from) expect(place(x)).to.be.at.least(10);
      }),
    );
    expect(scale([5, 5], [0, 100])(5)).to.equal(50);
  });
});

describe("labels set apart", () => {
  it("keep their order and their distance, and stay if they were far enough apart", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 200 }), { maxLength: 8 }), (wanted) => {
        const placed = apart(wanted, 12);
        const order = wanted.map((_, i) => i).toSorted((i, j) => wanted[i] - wanted[j]);
        for (let k = 1; k < order.length; k++) expect(placed[order[k]] - placed[order[k - 1]]).to.be.at.least(11.5);
      }),
    );
    expect(apart([50, 0, 20], 12)).to.deep.equal([50, 0, 20]);
    expect(apart([0, 4], 12)).to.deep.equal([-4, 8]);
  });
});

describe("a legend", () => {
  it("starts a new row where the drawing ends", () => {
    const places: number[][] = [];
    const entries = Array.from({ length: 12 }, (_, i) => ({
      name: `a long name of series ${i}`,
      sign: (x: number, y: number) => `${places.push([x, y])}`,
    }));
    const { height } = legend(entries);
    expect(Math.max(...places.map(([x]) => x))).to.be.below(WIDTH);
    expect(new Set(places.map(String)).size).to.equal(12);
    expect(height).to.be.greaterThan(Math.max(...places.map(([, y]) => y)));
    expect(legend([])).to.deep.equal({ marks: [], height: 0 });
  });
});
