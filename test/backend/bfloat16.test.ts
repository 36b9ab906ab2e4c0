import { expect } from "chai";
import * as fc from "fast-check";
import { fromBfloat16Bits, packBfloat16, toBfloat16Bits, unpackBfloat16 } from "../../src/backend/bfloat16.ts";

const patterns = Array.from({ length: 65536 }, (_, bits) => bits);

/** The value of a pattern from its definition: sign, exponent of 8 bits with bias 127, fraction of 7. */
function meaning(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 7) & 0xff;
  const fraction = (bits & 0x7f) / 128;
  if (exponent === 0xff) return fraction === 0 ? sign * Infinity : NaN;
  return exponent === 0 ? sign * fraction * 2 ** -126 : sign * (1 + fraction) * 2 ** (exponent - 127);
}

const finite = patterns.filter((bits) => Number.isFinite(meaning(bits)));

/** The neighbour of `bits` farther from zero. */
const outward = (bits: number): number => bits + 1;

describe("bfloat16", () => {
  it("reads all 65,536 patterns", () => {
    for (const bits of patterns) expect(fromBfloat16Bits(bits), `pattern ${bits}`).to.deep.equal(meaning(bits));
  });

  it("writes every value it can hold as itself, and NaN as a quiet NaN of the same sign", () => {
    for (const bits of patterns) {
      const back = toBfloat16Bits(meaning(bits));
      if (Number.isNaN(meaning(bits))) expect(back & 0x7fc0, `pattern ${bits}`).to.equal(0x7fc0);
      else expect(back, `pattern ${bits}`).to.equal(bits);
    }
  });

  it("rounds every tie to the even neighbour", () => {
    for (const bits of finite) {
      const above = meaning(outward(bits));
      // The neighbour of the largest number would be 2^128.
      const next = Number.isFinite(above) ? above : Math.sign(above) * 2 ** 128;
      const even = bits % 2 === 0 ? bits : outward(bits);
      expect(toBfloat16Bits((meaning(bits) + next) / 2), `tie above ${bits}`).to.equal(even);
    }
  });

  it("rounds to the nearest on either side of every tie, float64 included", () => {
    for (const bits of finite.filter((_, i) => i % 7 === 0)) {
      const above = meaning(outward(bits));
      if (!Number.isFinite(above)) continue;
      const tie = (meaning(bits) + above) / 2;
      const step = Math.abs(above - meaning(bits)) * 2 ** -40;
      expect(toBfloat16Bits(tie - Math.sign(above) * step), `below the tie above ${bits}`).to.equal(bits);
      expect(toBfloat16Bits(tie + Math.sign(above) * step), `beyond the tie above ${bits}`).to.equal(outward(bits));
    }
  });

  it("never has a nearer neighbour", () => {
    fc.assert(
      fc.property(fc.double({ min: -3e38, max: 3e38, noNaN: true }), (x) => {
        const bits = toBfloat16Bits(x);
        const error = Math.abs(meaning(bits) - x);
        for (const other of [bits - 1, bits + 1])
          if (Number.isFinite(meaning(other & 0xffff))) expect(Math.abs(meaning(other & 0xffff) - x)).to.be.at.least(error);
      }),
    );
  });

  it("overflows to infinity, keeps infinities and the sign of zero", () => {
    expect([3.4e38, 1e300, Infinity].map(toBfloat16Bits)).to.deep.equal([0x7f80, 0x7f80, 0x7f80]);
    expect([-1e300, -Infinity].map(toBfloat16Bits)).to.deep.equal([0xff80, 0xff80]);
    expect([0, -0, 1e-300, -1e-300].map(toBfloat16Bits)).to.deep.equal([0, 0x8000, 0, 0x8000]);
  });

  it("packs and unpacks arrays", () => {
    expect(Array.from(unpackBfloat16(packBfloat16([1, -2.5, 0.1, 1e10])))).to.deep.equal([1, -2.5, 0.10009765625, 9999220736]);
  });
});
