import { expect } from "chai";
import fc from "fast-check";
import { schedules } from "switchyard-moe/nn";

const { constant, cosine, inverseSquareRoot, linear, ramp, staircase } = schedules;
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

  it("stay within 0 and 1, and only fall once warm", () => {
    const all = fc.record({ warmup: fc.nat(20), more: fc.integer({ min: 1, max: 50 }), step: fc.nat(100) });
    fc.assert(
      fc.property(all, ({ warmup, more, step }) => {
        const total = warmup + more;
        for (const schedule of [
          constant({ warmup }),
          linear({ warmup, total }),
          cosine({ warmup, total }),
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
