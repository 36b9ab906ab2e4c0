import { expect } from "chai";
import * as fc from "fast-check";
import { entropy } from "switchyard-moe/moe";
import {
  conditionalInformation,
  contingency,
  expertShares,
  mutualInformation,
  specialisation,
  type Table,
} from "../../examples/train/information.ts";
import { seeded } from "../../examples/train/uniform.ts";

const counts = fc.array(fc.nat(20), { minLength: 1, maxLength: 6 });
const tableOf = (rows: number, columns: number) =>
  fc.array(fc.array(fc.nat(20), { minLength: columns, maxLength: columns }), { minLength: rows, maxLength: rows });
const sizes = fc.tuple(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 5 }));
const table = sizes.chain(([rows, columns]) => tableOf(rows, columns));
const cube = sizes.chain(([rows, columns]) => fc.array(tableOf(rows, columns), { minLength: 1, maxLength: 4 }));
const transpose = (x: Table) => x[0].map((_, j) => x.map((row) => row[j]));
const rowTotals = (x: Table) => x.map((row) => row.reduce((a, b) => a + b, 0));

describe("mutual information", () => {
  it("is 0 for independent variables", () => {
    fc.assert(
      fc.property(counts, counts, (p, q) => {
        expect(mutualInformation(p.map((x) => q.map((y) => x * y)))).to.be.closeTo(0, 1e-9);
      }),
    );
  });

  it("is the entropy of a variable that the other determines", () => {
    fc.assert(
      fc.property(counts, (p) => {
        const diagonal = p.map((x, i) => p.map((_, j) => (i === j ? x : 0)));
        expect(mutualInformation(diagonal)).to.be.closeTo(entropy(p), 1e-9);
      }),
    );
  });

  it("is symmetric, not negative, and at most either entropy", () => {
    fc.assert(
      fc.property(table, (x) => {
        const bits = mutualInformation(x);
        expect(bits).to.be.closeTo(mutualInformation(transpose(x)), 1e-9);
        expect(bits).to.be.within(0, Math.min(entropy(rowTotals(x)), entropy(rowTotals(transpose(x)))) + 1e-9);
      }),
    );
  });

  it("obeys the chain rule: I(X; Y, Z) = I(X; Z) + I(X; Y | Z)", () => {
    fc.assert(
      fc.property(cube, (tables) => {
        const joint = tables[0].map((_, x) => tables.flatMap((of) => of[x])); // [X][Z Y]
        const withZ = tables[0].map((_, x) => tables.map((of) => rowTotals(of)[x])); // [X][Z]
        expect(mutualInformation(joint)).to.be.closeTo(mutualInformation(withZ) + conditionalInformation(tables), 1e-9);
      }),
    );
  });

  it("is 1 bit for a fair coin and its copy", () => {
    expect(mutualInformation(contingency([0, 1, 0, 1], [1, 0, 1, 0], 2, 2))).to.equal(1);
    expect(() => contingency([0], [0, 1], 2, 2)).to.throw(RangeError, "1 and 2 observations");
  });
});

/** n bytes of `languages` languages with an expert chosen by `choose`. */
function observe(n: number, choose: (language: number, byte: number, draw: number) => number) {
  const uniform = seeded(5);
  const [languages, experts] = [4, 4];
  const language = Array.from({ length: n }, (_, i) => Math.floor(uniform(3 * i) * languages));
  const byte = language.map((l, i) => 8 * l + Math.floor(uniform(3 * i + 1) * 16)); // overlapping alphabets
  const expert = language.map((l, i) => choose(l, byte[i], uniform(3 * i + 2)));
  return { expert, language, byte, experts, languages };
}

describe("specialisation", () => {
  it("of experts that follow the language is the language's entropy, and stays given the byte", () => {
    const bits = specialisation(
      observe(4000, (language) => language),
      seeded(1),
    );
    expect(bits.expertLanguage).to.be.closeTo(2, 0.01);
    expect(bits.expertLanguageGivenByte).to.be.greaterThan(0.5);
    expect(bits.shuffled.expertLanguage).to.be.below(0.01);
    expect(bits.shuffled.expertLanguageGivenByte).to.be.below(0.05);
  });

  it("of experts that follow the byte vanishes once the byte is known", () => {
    const bits = specialisation(
      observe(4000, (_, byte) => byte % 4),
      seeded(1),
    );
    expect(bits.expertByte).to.be.closeTo(2, 0.01);
    expect(bits.expertLanguageGivenByte).to.be.closeTo(0, 1e-12);
  });

  it("of experts chosen at random is no more than its shuffled control shows", () => {
    const random = observe(2000, (_l, _b, draw) => Math.floor(draw * 4));
    const all = Array.from({ length: 20 }, (_, seed) => specialisation(random, seeded(seed)));
    for (const name of ["expertLanguage", "expertByte", "expertLanguageGivenByte"] as const) {
      const control = all.reduce((sum, { shuffled }) => sum + shuffled[name], 0) / all.length;
      expect(control, name).to.be.greaterThan(0);
      expect(all[0][name], name).to.be.within(control * 0.5, control * 2);
    }
  });

  it("is drawn as the share of each language that goes to each expert", () => {
    const shares = expertShares({ expert: [0, 1, 1, 1], language: [0, 0, 1, 1], byte: [0, 0, 0, 0], experts: 2, languages: 3 });
    expect(shares).to.deep.equal([[0.5, 0.5], [0, 1], [0, 0]]); // prettier-ignore
  });
});
