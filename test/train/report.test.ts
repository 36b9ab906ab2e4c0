import { readFileSync, writeFileSync } from "node:fs";
import { expect } from "chai";
import * as fc from "fast-check";
import { sentence } from "../../examples/train/findings.ts";
import { reportHtml, type RunReport } from "../../examples/train/report.ts";
import { pageStyle } from "../../examples/train/reportStyle.ts";
import { contrast } from "../../examples/train/svg/palette.ts";
import { classCount } from "../../examples/train/text.ts";
import { anyLabel, parsed } from "./svg/wellFormed.ts";

const bits = { expertLanguage: 0.5, expertByte: 1.25, expertLanguageGivenByte: 0.125 };
const information = { ...bits, shuffled: { expertLanguage: 0.01, expertByte: 0.02, expertLanguageGivenByte: 0.03 } };

/** A whole report in which every text that a run supplies is `label`. */
function reportWith(label: string): RunReport {
  const shares = [[0.25, 0.75], [0.5, 0.5]]; // prettier-ignore
  return {
    title: label,
    lead: label,
    facts: [{ name: label, value: label, note: label }],
    command: label,
    settings: { [`x${label}`]: label, steps: 3, compare: true },
    training: [[1, 8], [2, 4], [3, NaN]], // prettier-ignore
    validation: [[3, 3.9]], // prettier-ignore
    others: [{ name: label, points: [[1, 7]] }], // prettier-ignore
    baselines: [{ name: label, value: 5 }, { name: "5-gram", value: 1.7 }], // prettier-ignore
    load: [{ layer: label, steps: [1, 2], shares }],
    specialisation: {
      sentence: label,
      unit: "language",
      languages: [label, "b"],
      layers: [{ layer: label, before: shares, after: shares, informationBefore: information, informationAfter: information }],
    },
    passages: [{ title: label, lang: "ar", dir: "rtl", layer: label, experts: 2, ids: [216, 167, 10], expert: [0, 1, 1], kept: [1, 1, 0] }],
    samples: [{ name: label, prompt: label, text: label, lang: "ko", dir: "ltr" }, { name: "b", prompt: "", text: "" }], // prettier-ignore
    summary: label,
    tables: [{ caption: label, columns: [label, label], rows: [[label, 1.5]] }],
    notes: [label],
  };
}

const empty: RunReport = {
  title: "t",
  lead: "l",
  facts: [],
  command: "",
  settings: {},
  training: [],
  validation: [],
  baselines: [],
  load: [],
  passages: [],
  samples: [],
  summary: "",
  tables: [],
};
/** A page without its styles and what it was made by, an element a line. */
function asText(html: string): string {
  const still = html.replaceAll(/<style>.*?<\/style>/gs, "<style/>").replace(/<p class="made">.*?<\/p>/, "");
  return still.replaceAll("><", ">\n<");
}

const withoutDoctype = (html: string) => html.replace(/^<!DOCTYPE html>\n/, "");

describe("the report", () => {
  const html = reportHtml(reportWith("label"));
  const found = parsed(withoutDoctype(html));

  it("is well-formed whatever a run calls its things", () => {
    fc.assert(
      fc.property(anyLabel, (label) => {
        const page = parsed(withoutDoctype(reportHtml(reportWith(label))));
        expect(page.elements.get("svg")).to.equal(4);
        expect(page.elements.get("script")).to.equal(undefined);
      }),
      { numRuns: 15 },
    );
  });

  it("is as it was: REPORT=write writes it, after a change on purpose", () => {
    const file = new URL("./report.txt", import.meta.url);
    const passage = {
      title: "a passage",
      lang: "en",
      dir: "ltr",
      layer: "layer 1",
      ids: [72, 101, 10, 33, 260],
      kept: [1, 0, 1, 1, 1],
    } as const;
    const passages = [1, 3, 12].map((experts) => ({ ...passage, experts, expert: [0, 1, 2, 11, 5].map((e) => e % experts) }));
    const text = `${[reportWith("label"), { ...empty, passages }].map((report) => asText(reportHtml(report))).join("\n\n")}\n`;
    if (process.env["REPORT"] === "write") writeFileSync(file, text);
    expect(text.split("\n")).to.deep.equal(readFileSync(file, "utf8").split("\n"));
  });

  it("asks the network for nothing, and forbids it", () => {
    expect(html).to.include(`content="default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;"`);
    const outward = found.attributes.filter(
      ({ name, value }) => ["src", "href", "srcset", "data"].includes(name) && !value.startsWith("#"),
    );
    expect(outward).to.deep.equal([]);
    expect(pageStyle).not.to.match(/url\(|@import/);
  });

  it("has ids that occur once and links that lead somewhere", () => {
    expect(new Set(found.ids).size).to.equal(found.ids.length);
    expect(found.references).to.include("results");
    for (const id of found.references) expect(found.ids).to.include(id);
  });

  it("marks language and direction of foreign text", () => {
    const marked = found.attributes.filter(({ element, name }) => ["p", "blockquote"].includes(element) && ["lang", "dir"].includes(name));
    expect(marked.map(({ value }) => value)).to.deep.equal(["ar", "rtl", "ko", "ltr", "auto"]);
  });

  it("lets the keyboard reach what scrolls", () => {
    const reachable = found.attributes.filter(({ name, value }) => name === "tabindex" && value === "0").map(({ element }) => element);
    for (const element of ["pre", "div"]) expect(reachable).to.include(element);
    expect(found.elements.get("details")).to.equal(2); // a passage and its numbers
  });

  it("folds all passages but those of the first text", () => {
    const [passage] = reportWith("first").passages;
    const of = (title: string) => ["layer 0", "layer 1"].map((layer) => ({ ...passage, title, layer }));
    const page = parsed(withoutDoctype(reportHtml({ ...empty, passages: ["a", "b", "c"].flatMap(of) })));
    const folds = page.attributes.filter(({ element, name, value }) => element === "details" && name === "class" && value === "fold");
    expect(folds).to.have.length(3);
    expect(page.attributes.filter(({ element, name }) => element === "details" && name === "open")).to.have.length(1);
    expect(page.attributes.filter(({ name, value }) => name === "class" && value === "passage")).to.have.length(6);
  });

  it("names what says how even the load is, first and last", () => {
    const cells = found.text.split("\n");
    const row = cells.lastIndexOf("MaxVio, last");
    // Shares 0.25 and 0.5 of two experts first, 0.75 and 0.5 last.
    expect(cells.slice(row + 1, row + 6)).to.deep.equal(["label", "0.918", "0.971", "0.333", "0.200"]);
    expect(found.text).to.include("0 where the load is even");
  });

  it("says by which version and when it was made", () =>
    expect(found.text).to.match(/Made on \d{4}-\d\d-\d\d \(UTC\) by switchyard-moe \d+\.\d+\.\d+/));

  it("keeps the names of rows in sight where a table scrolls", () =>
    expect(pageStyle).to.match(/\.scroll th:first-child\{position:sticky;left:0/));

  it("says how the validation loss stands to the baselines", () => {
    expect(found.text).to.include("The validation loss ends at 3.90 bits per byte, below what label needs.");
  });

  it("shows the information of trained router, untrained router and control", () => {
    const cells = found.text.split("\n");
    const row = cells.indexOf("I(expert; byte), label");
    expect(cells.slice(row + 1, row + 4)).to.deep.equal(["1.250", "1.250", "0.020"]);
  });

  it("leaves out what a run does not have", () => {
    const page = parsed(withoutDoctype(reportHtml(empty)));
    expect(page.ids).to.deep.equal(["results", "model"]);
    expect(page.elements.get("svg")).to.equal(undefined);
    const dense = parsed(withoutDoctype(reportHtml({ ...empty, validation: [[1, 2]] }))); // prettier-ignore
    expect(dense.text).to.include("validation").and.not.include("training");
  });

  it("says nothing of the class where there is one", () => {
    const whole = reportWith("label");
    const share = [[0.25, 0.75]]; // prettier-ignore
    const layers = [{ layer: "one", before: share, after: share, informationBefore: information, informationAfter: information }];
    const page = parsed(reportHtml({ ...whole, specialisation: { sentence: "", unit: "language", languages: ["label"], layers } }).slice(15)); // prettier-ignore
    expect(page.text).to.include("I(expert; byte), one").and.not.include("I(expert; language");
    const corpus = { unit: "language", classes: [{}] } as const;
    expect(classCount(corpus)).to.equal("1 language");
    expect(sentence([{ trained: information, untrained: information }], corpus)).to.equal("An expert tells 1.25 bits of the byte.");
    const two = { unit: "language", classes: [{}, {}] } as const;
    expect(classCount(two)).to.equal("2 languages");
    expect(sentence([{ trained: information, untrained: information }], two)).to.include("1.25 bits of the byte and 0.50 of the language");
  });

  it("lets the cells of a table of texts wrap", () => {
    const tables = [{ caption: "pairs", columns: ["input", "target"], rows: [["a", "b"]] }];
    const classes = (texts: boolean): string[] =>
      parsed(withoutDoctype(reportHtml({ ...empty, tables: tables.map((table) => ({ ...table, texts })) })))
        .attributes.filter(({ element, name }) => element === "table" && name === "class")
        .map(({ value }) => value);
    expect(classes(true)).to.deep.equal(["texts"]);
    expect(classes(false)).to.deep.equal([]);
  });
});

describe("the style of the report", () => {
  const [light, dark] = ["", "prefers-color-scheme:dark"].map((media) => {
    const block = pageStyle.slice(media === "" ? 0 : pageStyle.indexOf(media));
    return (name: string) => new RegExp(`--${name}:(#[0-9a-f]{6})`).exec(block)?.[1] ?? "";
  });

  it("writes at 4.5:1 or more in light and in dark", () => {
    for (const colour of [light, dark]) {
      for (const ink of ["ink", "link", "muted"]) expect(contrast(colour(ink), colour("paper")), ink).to.be.at.least(4.5);
      expect(contrast(colour("ink"), colour("well"))).to.be.at.least(4.5);
    }
    expect(light("paper")).not.to.equal(dark("paper"));
  });
});
