import { expect } from "chai";
import { HEAT_LEVELS, contrast, dark, dashes, heat, heatLevel, light, styleSheet } from "../../../examples/train/svg/palette.ts";

for (const [name, theme] of Object.entries({ light, dark })) {
  describe(`the ${name} palette`, () => {
    it("writes at 4.5:1 or more on the paper and on every cell of a heat map", () => {
      for (const ink of [theme.ink, theme.muted]) expect(contrast(ink, theme.paper)).to.be.at.least(4.5);
      for (let level = 0; level < HEAT_LEVELS; level++) {
        const { fill, text } = heat(theme, level);
        expect(contrast(fill, text), `level ${level}`).to.be.at.least(4.5);
      }
    });

    it("draws at 3:1 or more, in colours that differ", () => {
      expect(new Set(theme.series).size).to.equal(8);
      for (const colour of theme.series) expect(contrast(colour, theme.paper), colour).to.be.at.least(3);
    });

    it("gets steadily further from the paper with the level", () => {
      const distance = Array.from({ length: HEAT_LEVELS }, (_, level) => contrast(heat(theme, level).fill, theme.paper));
      expect(distance).to.deep.equal(distance.toSorted((x, y) => x - y));
      expect(new Set(distance).size).to.equal(HEAT_LEVELS);
    });
  });
}

describe("signs beside colour", () => {
  it("are dashes of their own for each series", () => {
    expect(new Set(dashes).size).to.equal(light.series.length);
  });

  it("are levels that cover the scale", () => {
    expect([-1, 0, 0.0999, 0.1, 0.95, 1, 2].map(heatLevel)).to.deep.equal([0, 0, 0, 1, 9, 9, 9]);
  });
});

describe("the style sheet", () => {
  it("asks for dark and loads nothing", () => {
    expect(styleSheet)
      .to.include("prefers-color-scheme:dark")
      .and.not.match(/url\(|@import|https?:/);
  });

  it("knows the contrast of black and white", () => {
    expect(contrast("#000000", "#ffffff")).to.be.closeTo(21, 1e-9);
    expect(contrast("#777777", "#777777")).to.equal(1);
    // By the formula of WCAG 2.2, of one channel each; the last one is on its straight part.
    const ratios = { "#767676": 4.542225, "#ff0000": 3.998477, "#00ff00": 1.37219, "#0000ff": 8.592471, "#0a0a0a": 19.798146 };
    for (const [colour, ratio] of Object.entries(ratios)) expect(contrast(colour, "#ffffff"), colour).to.be.closeTo(ratio, 1e-6);
  });
});
