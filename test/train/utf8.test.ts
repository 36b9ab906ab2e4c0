import { expect } from "chai";
import * as fc from "fast-check";
import { namesOf } from "../../examples/train/shownText.ts";
import { Utf8Stream, characters, wholeCharacters } from "../../examples/train/utf8.ts";

const anyText = fc.string({ unit: "grapheme", maxLength: 30 });
const encode = (text: string) => [...new TextEncoder().encode(text)];
const anyBytes = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 30 });

describe("a stream of bytes", () => {
  it("gives the same text however it is cut", () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 1, max: 5 }), (text, step) => {
        const bytes = encode(text);
        const stream = new Utf8Stream();
        let shown = "";
        for (let i = 0; i < bytes.length; i += step) shown += stream.push(bytes.slice(i, i + step));
        expect(shown + stream.end()).to.equal(text);
      }),
    );
  });

  it("holds back a character until its last byte", () => {
    const stream = new Utf8Stream();
    expect(encode("가é").map((byte) => stream.push([byte]))).to.deep.equal(["", "", "가", "", "é"]);
    expect(stream.end()).to.equal("");
  });

  it("shows what can never become a character", () => {
    const stream = new Utf8Stream();
    expect(stream.push([0xff, 0x41])).to.equal("\ufffdA");
    expect(stream.push([0xea, 0xb0]) + stream.end()).to.equal("\ufffd");
  });
});

describe("characters", () => {
  it("put every byte, valid or not, in exactly one", () => {
    fc.assert(
      fc.property(fc.oneof(anyBytes, anyText.map(encode)), (bytes) => {
        let next = 0;
        for (const { start, end } of characters(bytes)) {
          expect(start).to.equal(next);
          expect(end).to.be.greaterThan(start);
          next = end;
        }
        expect(next).to.equal(bytes.length);
      }),
    );
  });

  it("together are the text", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        expect(characters(encode(text)).map((character) => character.text).join("")).to.equal(text); // prettier-ignore
      }),
    );
  });

  it("keep letters and their marks together", () => {
    const read = (text: string) => characters(encode(text)).map(({ text, start, end }) => `${text} ${end - start} at ${start}`);
    expect(read("a가é")).to.deep.equal(["a 1 at 0", "가 3 at 1", "é 2 at 4"]);
    expect(read("กำหนด")).to.have.length(4);
    expect(read("हिन्दी").map((line) => line.split(" ")[0])).to.include("हि");
  });

  it("cut off in the middle of a letter are shown byte by byte", () => {
    expect(characters([0xb0, 0x80, 0x41, 0xea]).map(({ text }) => text)).to.deep.equal(["\ufffd", "\ufffd", "A", "\ufffd"]);
  });
});

describe("names of the bytes of a trace", () => {
  it("tell a byte that continues a character from every sign that a text can hold", () => {
    expect(namesOf(encode("+é한2/3"))).to.deep.equal(["+", "é", "2/2", "한", "2/3", "3/3", "2", "/", "3"]);
  });
});

describe("a stretch of bytes", () => {
  const anyText = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 });

  it("is cut between characters, never inside, and loses no whole one", () => {
    let cut = 0;
    fc.assert(
      fc.property(anyText, fc.nat(40), fc.nat(40), (text, start, most) => {
        const bytes = new TextEncoder().encode(text).subarray(start);
        const { from, to } = wholeCharacters(bytes, most);
        expect(new TextDecoder().decode(bytes.subarray(from, to))).not.to.include("\ufffd");
        expect(to).to.be.at.most(Math.min(most, bytes.length));
        if (to < bytes.length && to >= from) expect(Math.min(most, bytes.length) - to).to.be.at.most(3);
        cut += Number(from > 0 || to < Math.min(most, bytes.length));
      }),
      { numRuns: 500 },
    );
    expect(cut, "cases with half a character").to.be.above(20);
  });
});
