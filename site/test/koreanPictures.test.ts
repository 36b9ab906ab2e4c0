/** The pictures of Korean pages: their words are Korean, their numbers and their drawing those of the English ones. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { koreanPicture, pictureWords, withKoreanPictures } from "../build/koreanPictures.ts";
import { dist } from "./surroundings.ts";

const words = pictureWords(fileURLToPath(new URL("..", import.meta.url)));
const english = fileURLToPath(new URL("../../docs/pictures", import.meta.url));
const pictured = readdirSync(join(dist, "ko/pictures")).map((name) => ({
  name,
  korean: readFileSync(join(dist, "ko/pictures", name), "utf8"),
  english: readFileSync(join(english, name), "utf8"),
}));
const spoken = /(<(?:title|desc|text)\b[^>]*>)[^<]+/g;

describe("the pictures of Korean pages", () => {
  it("are all that the guide and the concepts show, in Korean", () => {
    expect(pictured.length).to.be.greaterThan(20);
    for (const { name, korean } of pictured) expect(korean, name).to.match(/<title[^>]*>[^<]*\p{Script=Hangul}/u);
    const pages = [...readdirSync(join(dist, "ko/guide")).map((page) => `ko/guide/${page}`), "ko/docs/concepts.html"];
    for (const page of pages) expect(readFileSync(join(dist, page), "utf8"), page).not.to.match(/src="\/pictures\//);
  });

  it("leave no English label but symbols and the words that are routed", () => {
    const left = pictured.flatMap(({ korean }) => [...korean.matchAll(/<text[^>]*>([^<]*)/g)].map(([, text = ""]) => text).filter((text) => /[a-z]{2}/i.test(text) && !/\p{Script=Hangul}/u.test(text))); // prettier-ignore
    const routed = "the switch swit… sends each wagon to a track of its own kind train and".split(" ");
    const symbols = ["MaxVio", "E sum f P", "CV^2", "(log sum exp)^2"];
    expect(
      [...new Set(left)].filter((text) => !/^s = [\d.]+, fan-in \d+$/.test(text) && ![...routed, ...symbols].includes(text)),
    ).to.deep.equal([]);
  });

  it("draw what the English ones draw", () => {
    for (const { name, korean, english: other } of pictured)
      expect(korean.replace(spoken, "$1"), name).to.equal(other.replace(spoken, "$1"));
  });

  it("say the numbers of the English ones", () => {
    const numbers = (svg: string): string[] => [...svg.matchAll(/<title>([^<]*)/g)].flatMap(([, text = ""]) => text.match(/-?\d+(\.\d+)?/g) ?? []).toSorted(); // prettier-ignore
    for (const { name, korean, english: other } of pictured) expect(numbers(korean), name).to.deep.equal(numbers(other));
  });

  it("put numbers and words where the Korean sentence wants them", () => {
    const text = "<text>line: capacity 3; dashed: empty slot; hatched, below: 5 of 12 choices dropped</text>";
    expect(koreanPicture(text, words)).to.match(/용량 3\..*12개 가운데 5개/);
    expect(koreanPicture("<text>switch</text><text>0.25</text>", words)).to.equal("<text>switch</text><text>0.25</text>");
    expect(koreanPicture("<text>What a teacher&#39;s &lt; is</text>", { ...words, words: { "What a teacher's < is": "가 & 나" } })).to.equal("<text>가 &amp; 나</text>"); // prettier-ignore
  });

  it("are an error of the build where words are missing", () => {
    expect(() => koreanPicture("<text>a new caption 3</text>", words)).to.throw('a picture says "a new caption 3"');
    expect(() => withKoreanPictures("![A new picture](/pictures/x.svg)", words)).to.throw('described as "A new picture"');
  });
});
