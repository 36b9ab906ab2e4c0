import { expect } from "chai";
import fc from "fast-check";
import { schedules } from "switchyard-moe/nn";

const { constant, cosine, cosineWithRestarts, inverseSquareRoot, linear, polynomial, ramp, staircase, warmRestarts } = schedules;
const values = (schedule: schedules.Schedule, steps: readonly number[]): number[] => steps.map(schedule);

describe("schedules", () => {
  it("constant, linear, cosine and inverse square root, after a linear warm-up", () => {
    expect(values(constant({ warmup: 4 }), [0, 1, 3, 4, 100])).to.deep.equal([0, 0.25, 0.75, 1, 1]);
    expect(values(linear({ warmup: 4, total: 12 }), [0, 2, 4, 8, 12, 20])).to.deep.equal([0, 0.5, 1, 0.5, 0, 0]);
    expect(values(linear({ total: 10, final: 0.1 }), [0, 5, 10])).to.deep.equal([1, 0.55, 0.1]);
    const wave = values(cosine({ warmup: 4, total: 12 }), [2, 4, 8, 12, 20]);
    [0.5, 1, 0.5, 0, 0].forEach((wanted, i) => expect(wave[i]).to.be.closeTo(wanted, 1e-12));
    expect(cosine({ total: 10, final: 0.2 })(10)).to.be.closeTo(0.2, 1e-12);
    expect(values(inverseSquareRoot({ warmup: 100 }), [0, 50, 100, 400, 10_000])).to.deep.equal([0, 0.5, 1, 0.5, 0.1]);
    expect(inverseSquareRoot({ warmup: 0, scale: 9 })(0)).to.equal(1);
    expect(inverseSquareRoot({ warmup: 0, scale: 9 })(27)).to.equal(0.5);
  });

  it("a ramp and a staircase", () => {
    expect(values(ramp({ from: 0.25, to: 1, steps: 3 }), [0, 1, 3, 9])).to.deep.equal([0.25, 0.5, 1, 1]);
    expect(values(staircase({ every: 2, gamma: 0.5 }), [0, 1, 2, 3, 4])).to.deep.equal([1, 1, 0.5, 0.5, 0.25]);
  });

  const near = (got: readonly number[], wanted: readonly number[]): void =>
    wanted.forEach((value, i) => expect(got[i], `${i}`).to.be.closeTo(value, 1e-12));

  it("a polynomial: the power of the way that is left", () => {
    near(values(polynomial({ warmup: 2, total: 6, power: 2 }), [0, 1, 2, 3, 4, 6, 9]), [0, 0.5, 1, 0.5625, 0.25, 0, 0]);
    near(values(polynomial({ total: 4, final: 0.2, power: 3 }), [0, 2, 4]), [1, 0.2 + 0.8 / 8, 0.2]);
    near(values(polynomial({ total: 10 }), [0, 3, 10]), values(linear({ total: 10 }), [0, 3, 10]));
  });

  it("a cosine that starts again: equal cycles up to a last step, and growing ones without end", () => {
    const restarts = cosineWithRestarts({ warmup: 2, total: 10, cycles: 2, final: 0.1 });
    near(values(restarts, [1, 2, 4, 6, 8, 10, 99]), [0.5, 1, 0.55, 1, 0.55, 0.1, 0.1]);
    near(values(cosineWithRestarts({ total: 8 }), [0, 4, 8]), values(cosine({ total: 8 }), [0, 4, 8]));
    const growing = warmRestarts({ warmup: 1, first: 2, growth: 2 });
    near(values(growing, [0, 1, 2, 3, 5, 7, 11, 15, 23]), [0, 1, 0.5, 1, 0.5, 1, 0.5, 1, 0.5]);
    near(values(warmRestarts({ first: 4, final: 0.5 }), [0, 2, 4, 6, 4_000_000]), [1, 0.75, 1, 0.75, 1]);
  });

  it("a cosine of a whole cycle rises again", () => near(values(cosine({ total: 8, cycles: 1 }), [0, 4, 8]), [1, 0, 1]));

  // prettier-ignore
  const bad: [string, () => unknown, string][] = [
    ["no end", () => linear({ warmup: 3 } as never), "schedules.linear: total is missing: want a finite number above 0"],
    ["a mistyped option", () => cosine({ total: 3, cylces: 1 } as never), "schedules.cosine: there is no option cylces; did you mean cycles?"],
    ["a number instead of options", () => linear(100 as never), "schedules.linear: options 100: want an object with total"],
    ["a negative warm-up", () => constant({ warmup: -1 }), "schedules.constant: warmup -1: want a finite number of 0 or more"],
    ["an end at no number", () => polynomial({ total: NaN }), "schedules.polynomial: total NaN: want a finite number above 0"],
    ["cycles that shrink", () => warmRestarts({ first: 2, growth: 0.5 }), "schedules.warmRestarts: growth 0.5: want a finite number of 1 or more"],
    ["no cycles", () => cosineWithRestarts({ total: 3, cycles: 0 }), "schedules.cosineWithRestarts: cycles 0: want a finite number above 0"],
    ["a scale of 0", () => inverseSquareRoot({ scale: 0 }), "schedules.inverseSquareRoot: scale 0: want a finite number above 0"],
    ["steps of 0", () => staircase({ every: 0, gamma: 1 }), "schedules.staircase: every 0: want a finite number above 0"],
    ["a ramp to nowhere", () => ramp({ from: 0, steps: 3 } as never), "schedules.ramp: to is missing: want a finite number"],
    ["a step that is none", () => constant()(undefined as never), "schedules.constant: step is missing: want a finite number of 0 or more"],
  ];
  for (const [what, attempt, message] of bad) it(`refuse ${what}`, () => expect(attempt).to.throw(message));

  it("stay within 0 and 1, and only fall once warm", () => {
    const all = fc.record({ warmup: fc.nat(20), more: fc.integer({ min: 1, max: 50 }), step: fc.nat(100) });
    fc.assert(
      fc.property(all, ({ warmup, more, step }) => {
        const total = warmup + more;
        for (const schedule of [
          constant({ warmup }),
          linear({ warmup, total }),
          cosine({ warmup, total }),
          polynomial({ warmup, total, power: 2 }),
          cosineWithRestarts({ warmup, total }),
          inverseSquareRoot({ warmup, scale: more }),
        ]) {
          const [now, next] = [schedule(step), schedule(step + 1)];
          expect(now).to.be.within(0, 1);
          if (step >= warmup) expect(next).to.be.at.most(now);
          else expect(next).to.be.above(now);
        }
      }),
    );
  });
});
