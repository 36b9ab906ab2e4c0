import { expect } from "chai";
import * as fc from "fast-check";
import { ProgressLine, compact, formatProgress, formatSeconds, loadBars, type ProgressState } from "../../examples/train/progress.ts";

const state: ProgressState = {
  step: 12,
  steps: 300,
  loss: 2.4134,
  bits: 3.2149,
  unit: "bits/byte",
  tokensPerSecond: 11_412,
  secondsLeft: 64.2,
  dropped: 0.0312,
  load: [10, 20, 5, 5],
};

describe("the progress line", () => {
  it("tells everything at once", () => {
    expect(formatProgress(state)).to.equal("step  12/300  loss 2.413  3.21 bits/byte  11.4k tokens/s  1:05 left  dropped  3.1%  load ▄█▂▂");
  });

  it("leaves out whole parts that the terminal has no room for", () => {
    fc.assert(
      fc.property(fc.integer({ min: 20, max: 200 }), (columns) => {
        const line = formatProgress(state, columns);
        expect(line.length).to.be.below(columns);
        const parts = formatProgress(state).split(/ {2,}(?=[a-z\d])/);
        for (const part of line.split(/ {2,}(?=[a-z\d])/)) expect(parts).to.include(part);
      }),
    );
    expect(formatProgress(state, 40)).to.equal("step  12/300  loss 2.413  1:05 left");
  });

  it("tells nothing of experts where there are none", () => {
    expect(formatProgress({ ...state, load: [] })).to.match(/1:05 left$/);
  });

  it("survives numbers that are none", () => {
    const broken = formatProgress({ ...state, loss: NaN, tokensPerSecond: NaN, secondsLeft: Infinity, load: [] });
    expect(broken).to.include("loss NaN").and.include("? tokens/s").and.include("? left");
  });
});

describe("load bars", () => {
  it("rise with the load, one per expert, and mark experts without tokens", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(100), { minLength: 1, maxLength: 16 }), (load) => {
        const bars = [...loadBars(load)];
        expect(bars).to.have.length(load.length);
        bars.forEach((bar, i) => expect(bar === "·").to.equal(load[i] === 0));
        bars.forEach((bar, i) => bars.forEach((other, j) => load[i] > 0 && load[i] < load[j] && expect(bar <= other).to.equal(true)));
      }),
    );
    expect(loadBars([1, 1, 1])).to.equal("▄▄▄");
  });
});

describe("numbers for people", () => {
  it("have three digits or so", () => {
    expect([0, 999.4, 999.5, 11_412, 99_960, 999_499, 999_500, 2.34e6, NaN].map(compact)).to.deep.equal(
      ["0", "999", "1.0k", "11.4k", "100k", "999k", "1.0M", "2.3M", "?"], // prettier-ignore
    );
  });

  it("are minutes and seconds, rounded up", () => {
    expect([-3, 0, 0.1, 59.5, 64.2, 3600, 7380, NaN].map(formatSeconds)).to.deep.equal([
      "0:00",
      "0:00",
      "0:01",
      "1:00",
      "1:05",
      "1:00:00",
      "2:03:00",
      "?",
    ]);
  });
});

describe("the progress line on a screen", () => {
  const record = (isTTY: boolean) => {
    const written: string[] = [];
    return { written, screen: { isTTY, columns: 40, write: (text: string) => written.push(text) } };
  };

  it("is written over on a terminal, and notes stay above it", () => {
    const { written, screen } = record(true);
    const line = new ProgressLine(screen);
    line.show(state);
    line.note("validation 3.1");
    line.show({ ...state, step: 13 });
    line.end();
    line.end();
    const shown = "loss 2.413  1:05 left"; // 40 columns have no room for more
    expect(written).to.deep.equal([`\rstep  12/300  ${shown}\x1b[K`, "\rvalidation 3.1\x1b[K\n", `\rstep  13/300  ${shown}\x1b[K`, "\n"]);
  });

  it("is a plain line now and then where there is no terminal", () => {
    const { written, screen } = record(false);
    const line = new ProgressLine(screen, 20);
    for (let step = 1; step <= 50; step++) line.show({ ...state, step, steps: 50 });
    line.note("done");
    line.end();
    expect(written.map((text) => text.slice(0, 10))).to.deep.equal(["step 20/50", "step 40/50", "step 50/50", "done\n"]);
    for (const control of ["\r", "\x1b"]) expect(written.join("")).not.to.include(control);
  });
});
