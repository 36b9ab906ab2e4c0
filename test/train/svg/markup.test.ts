import { expect } from "chai";
import * as fc from "fast-check";
import { element, escape, fitted, identifier, textWidth, wrapped } from "../../../examples/train/svg/markup.ts";
import { anyLabel, parsed } from "./wellFormed.ts";

describe("markup", () => {
  it("is well-formed for any text between tags and in attributes", () => {
    fc.assert(
      fc.property(anyLabel, anyLabel, (text, value) => {
        const found = parsed(element("a", { title: value }, escape(text)));
        expect([...found.elements]).to.deep.equal([["a", 1]]);
      }),
      { numRuns: 500 },
    );
  });

  it("gives back what was written, where XML can hold it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const plain = text.replace(/[^ -\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "");
        expect(parsed(element("a", {}, escape(plain))).text).to.equal(plain);
      }),
    );
  });

  it("replaces what XML cannot hold", () => {
    expect(escape("a\u0000\ud800b\uffff")).to.equal("a\ufffd\ufffdb\ufffd");
    expect(escape(`<a href="x">'&`)).to.equal("&lt;a href=&quot;x&quot;&gt;&#39;&amp;");
  });

  it("leaves out what is undefined, rounds, and refuses places that are none", () => {
    expect(element("rect", { x: 1.23456, y: undefined })).to.equal('<rect x="1.23"/>');
    expect(element("td", {}, "")).to.equal("<td></td>");
    expect(() => element("circle", { cx: NaN })).to.throw(RangeError, "cx of <circle> is NaN");
  });
});

describe("text in a drawing", () => {
  it("is cut to its width, with an ellipsis", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.integer({ min: 12, max: 200 }), (text, width) => {
        const cut = fitted(text, width, 10);
        expect(textWidth(cut, 10) <= width || [...cut].length <= 2).to.equal(true);
        if (cut !== text)
          expect(cut)
            .to.match(/…$/)
            .and.satisfy((short: string) => text.startsWith(short.slice(0, -1)));
      }),
    );
  });

  it("is wrapped at spaces without losing a word", () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-z]{1,9}$/), { minLength: 1 }), fc.integer({ min: 20, max: 300 }), (words, width) => {
        const lines = wrapped(words.join(" "), width, 12);
        expect(lines.join(" ")).to.equal(words.join(" "));
        for (const line of lines) expect(textWidth(line, 12) <= width || !line.includes(" ")).to.equal(true);
      }),
    );
  });

  it("has ids that do not collide for what it is used for", () => {
    const ids = new Set(Array.from({ length: 2000 }, (_, i) => identifier(`heat layer ${i}`)));
    expect(ids.size).to.equal(2000);
  });
});
