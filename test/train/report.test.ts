import { expect } from "chai";
import * as fc from "fast-check";
import { reportHtml, type RunReport } from "../../examples/train/report.ts";
import { pageStyle } from "../../examples/train/reportStyle.ts";
import { contrast } from "../../examples/train/svg/palette.ts";
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
    passages: [
      { title: label, lang: "ar", dir: "rtl", layer: label, experts: 2, bytes: [216, 167, 10], expert: [0, 1, 1], kept: [1, 1, 0] },
    ],
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
    expect(found.elements.get("details")).to.equal(1);
  });

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
