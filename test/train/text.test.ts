import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { declarationSections, languageSets, loadDeclaration, loadFiles, type TextClass } from "../../examples/train/text.ts";
import { UserError } from "../../examples/train/userError.ts";

const decode = (bytes: Uint8Array) => new TextDecoder("utf-8", { fatal: true }).decode(bytes);
const textOf = (text: TextClass, label: string) => {
  const span = text.heldOut.find((held) => held.label === label);
  if (span === undefined) throw new Error(`${text.code} holds out no ${label}`);
  return decode(text.document.subarray(span.start, span.end));
};

describe("the declaration", () => {
  it("comes in eight scripts", () => {
    const corpus = loadDeclaration("scripts");
    expect(corpus.classes.map((text) => text.code)).to.deep.equal(["eng", "kor", "jpn", "rus", "arb", "hin", "ell", "tha"]);
    expect(corpus.classes.map((text) => text.dir)).to.deep.equal(["ltr", "ltr", "ltr", "ltr", "rtl", "ltr", "ltr", "ltr"]);
    const scripts = ["Latin", "Hangul", "Han", "Cyrillic", "Arabic", "Devanagari", "Greek", "Thai"];
    corpus.classes.forEach((text, i) => expect(decode(text.document), text.code).to.match(new RegExp(`\\p{Script=${scripts[i]}}`, "u")));
  });

  it("holds out the same articles in every language, whole, and trains on none of them", () => {
    for (const text of loadDeclaration("scripts").classes) {
      expect(text.heldOut.map((span) => span.label)).to.deep.equal([5, 10, 15, 20, 25, 30].map((n) => `article ${n}`));
      const training = decode(text.training);
      for (const { label } of text.heldOut) expect(training, `${text.code} ${label}`).not.to.include(textOf(text, label).trim());
    }
  });

  it("puts article 5 in article 5", () => {
    const [english, korean] = loadDeclaration("eng,kor").classes;
    expect(textOf(english, "article 5")).to.match(/^Article 5\nNo one shall be subjected to torture .*\.\n\n$/);
    expect(textOf(korean, "article 5")).to.match(/^제 5 조\n.*고문.*\n\n$/);
  });

  it("divides each document into held-out and training text, with nothing lost or repeated", () => {
    for (const text of loadDeclaration("latin").classes) {
      const held = text.heldOut.reduce((sum, span) => sum + span.end - span.start, 0);
      expect(held + text.training.length).to.equal(text.document.length);
      expect(held / text.document.length).to.be.within(0.1, 0.2);
      expect(decode(text.document))
        .to.match(/\n\n$/)
        .and.not.match(/<\/?\w+>|&#/);
    }
  });

  it("loads every named set of languages", () => {
    for (const [name, codes] of Object.entries(languageSets)) {
      const { classes } = loadDeclaration(name);
      expect(classes.map((text) => text.code)).to.deep.equal([...codes]);
      for (const text of classes) expect(text.heldOut, text.code).to.have.length(6);
    }
    expect(languageSets["many"]).to.have.length.at.least(24);
  });

  it("takes codes of both standards and names", () => {
    const names = loadDeclaration("en,ko,Swahili").classes.map((text) => text.name);
    expect(names).to.deep.equal(["English", "Korean", "Swahili"]);
  });

  it("refuses what it does not know in one line, with the nearest that it does", () => {
    expect(() => loadDeclaration("eng,korr")).to.throw(UserError, /"korr" is no language of the declaration; did you mean .*kor/);
    expect(() => loadDeclaration("latn")).to.throw(UserError, /did you mean latin/);
    expect(() => loadDeclaration("eng,")).to.throw(UserError, /""/);
    expect(() => loadDeclaration("eng,eng")).to.throw(UserError, "eng is named twice");
    expect(() => loadDeclaration("chv")).to.throw(UserError, "chv (Chuvash) has 19 of 30 articles");
  });

  it("reads headings and paragraphs as lines", () => {
    const html = `<body><h1>T</h1><article data-number="1"><h2>One</h2><ol><li><p>a\n   b &#x26; c</p></li></ol></article></body>`;
    expect(declarationSections(html)).to.deep.equal(["T\n\n", "One\na b & c\n\n"]);
  });
});

describe("one's own text", () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "text-"))));
  afterEach(() => rmSync(folder, { recursive: true }));
  const write = (name: string, content: string) => writeFileSync(join(folder, name), content);

  it("is one class if a file, and its last tenth is held out", () => {
    write("one.txt", "é".repeat(1000));
    const [text] = loadFiles(join(folder, "one.txt")).classes;
    expect(text.code).to.equal("one.txt");
    expect(decode(text.training)).to.equal("é".repeat(900));
    expect(text.heldOut).to.have.length(8);
    expect(text.heldOut[0].start).to.equal(1800);
    expect(text.heldOut[7].end).to.equal(2000);
    for (const span of text.heldOut) expect(decode(text.document.subarray(span.start, span.end))).to.match(/^é{12,13}$/);
  });

  it("is a class per file and per sub-folder if a folder", () => {
    mkdirSync(join(folder, "b", "deep"), { recursive: true });
    write("a.txt", "a".repeat(1000));
    write("b/1.txt", "b".repeat(600));
    write("b/deep/2.txt", "c".repeat(600));
    write(".hidden", "not text");
    const corpus = loadFiles(folder);
    expect(corpus.classes.map((text) => text.code)).to.deep.equal(["a.txt", "b"]);
    expect([corpus.unit, loadDeclaration("eng").unit]).to.deep.equal(["class", "language"]);
    expect(decode(corpus.classes[1].document)).to.equal("b".repeat(600) + "c".repeat(600));
  });

  it("is refused in one line if missing, empty or too short", () => {
    write("empty.txt", "");
    write("short.txt", "x".repeat(999));
    mkdirSync(join(folder, "hollow"));
    expect(() => loadFiles(join(folder, "no.txt"))).to.throw(UserError, /cannot read .*no\.txt: no such file or directory$/);
    expect(() => loadFiles(join(folder, "empty.txt"))).to.throw(UserError, /empty\.txt is empty$/);
    expect(() => loadFiles(join(folder, "short.txt"))).to.throw(UserError, "999 bytes, at least 1000");
    expect(() => loadFiles(join(folder, "hollow"))).to.throw(UserError, /empty folder/);
  });
});
