import { expect } from "chai";
import * as fc from "fast-check";
import { laneLegend, passageFigure, type Passage } from "../../examples/train/passage.ts";
import { BYTES, END, PADDING, VOCABULARY, sentinels } from "../../examples/train/vocabulary.ts";
import { parsed } from "./svg/wellFormed.ts";

const bytesOf = (text: string) => [...new TextEncoder().encode(text)];
const anyBytes = fc.oneof(
  fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 40 }),
  fc.string({ unit: "grapheme", maxLength: 12 }).map(bytesOf),
);

const anyIds = fc.array(fc.oneof(anyBytes, fc.integer({ min: BYTES, max: VOCABULARY - 1 }).map((id) => [id])), { maxLength: 6 }).map((parts) => parts.flat()); // prettier-ignore

const passages = fc.tuple(anyIds, fc.integer({ min: 1, max: 20 }), fc.constantFrom("ltr", "rtl")).chain(([ids, experts, dir]) =>
  fc.record({
    title: fc.string(),
    lang: fc.constantFrom("ko", ""),
    dir: fc.constant<"ltr" | "rtl">(dir === "rtl" ? "rtl" : "ltr"),
    layer: fc.string(),
    experts: fc.constant(experts),
    ids: fc.constant(ids),
    expert: fc.array(fc.integer({ min: 0, max: experts - 1 }), { minLength: ids.length, maxLength: ids.length }),
    kept: fc.array(fc.boolean(), { minLength: ids.length, maxLength: ids.length }),
  }),
);

const base: Passage = {
  title: "t",
  lang: "ko",
  dir: "ltr",
  layer: "layer 0",
  experts: 8,
  ids: bytesOf("가"),
  expert: [1, 1, 3],
  kept: [true, true, true],
};
const styles = (passage: Passage) =>
  parsed(passageFigure(passage))
    .attributes.filter(({ element, name }) => element === "span" && name === "style")
    .map(({ value }) => value);

describe("a passage as a piano roll", () => {
  it("is well-formed for any ids and shows all of its text", () => {
    fc.assert(
      fc.property(passages, (passage) => {
        const found = parsed(passageFigure(passage));
        const paragraph = found.attributes.filter(({ element }) => element === "p");
        expect(paragraph.find(({ name }) => name === "dir")?.value).to.equal(passage.dir);
        expect(paragraph.find(({ name }) => name === "lang")?.value).to.equal(passage.lang === "" ? undefined : passage.lang);
        const spans = found.attributes.filter(({ element, name }) => element === "span" && name === "title");
        const named = spans.flatMap(({ value }) => / = (id \d+|[0-9a-f ]+); expert /.exec(value)?.[1].split(/(?<!^id) /) ?? []);
        expect(named.map((name) => (name.startsWith("id ") ? Number(name.slice(3)) : parseInt(name, 16)))).to.deep.equal([...passage.ids]);
      }),
    );
  });

  it("draws the bytes that were kept on the lanes of their experts, and no others", () => {
    fc.assert(
      fc.property(passages, (passage) => {
        const drawn = styles(passage).flatMap((style) => [...style.matchAll(/var\(--e(\d+)\)/g)].map((match) => Number(match[1])));
        const expected = new Set(passage.expert.filter((_, i) => passage.kept[i]).map((expert) => expert % 8));
        expect(new Set(drawn)).to.deep.equal(expected);
      }),
    );
  });

  it("joins neighbouring bytes of one expert and places them in reading order", () => {
    const [style] = styles(base);
    expect(style).to.include("background-image:var(--e1),var(--e3),var(--ground)");
    expect(style).to.include("background-size:66.7% var(--lane),33.3% var(--lane),");
    expect(style).to.include("background-position:0% calc(100% - 6*var(--lane)),100% calc(100% - 4*var(--lane)),");
    const [mirrored] = styles({ ...base, dir: "rtl" });
    expect(mirrored).to.include("background-position:calc(100% - 0%) calc(100% - 6*var(--lane)),calc(100% - 100%) ");
  });

  it("leaves a gap for a dropped byte, says so, and does not join across it", () => {
    const dropped = { ...base, expert: [1, 1, 1], kept: [1, 0, 1] };
    expect(styles(dropped)[0]).to.include("background-image:var(--e1),var(--e1),var(--ground)");
    const figure = passageFigure(dropped);
    expect(figure).to.include("layer 0: 1 of 3 dropped").and.include("ea b0 80; expert 1, 1 (dropped), 1");
    expect(passageFigure(base)).to.include("no byte of 3 dropped");
  });

  it("counts for each expert what it took and what was dropped", () => {
    const cells = parsed(passageFigure({ ...base, experts: 2, expert: [0, 1, 1], kept: [1, 1, 0] })).text.split("\n");
    expect(cells.slice(cells.indexOf("expert 0"))).to.deep.equal(["expert 0", "1", "0", "expert 1", "1", "1"]);
  });

  it("names what is no byte, and counts tokens then", () => {
    const figure = passageFigure({ ...base, experts: 2, ids: [65, sentinels.first + 1, PADDING], expert: [0, 1, 1], kept: [1, 1, 0] });
    expect(parsed(figure).text.split("\n")).to.include.members(["A", "<2>", "start", "tokens taken"]);
    expect(figure).to.include("&lt;2&gt; = id 259; expert 1").and.include("start = id 256; expert 1 (dropped)");
    expect(passageFigure({ ...base, ids: [65, END, 66] })).to.include("no token of 3 dropped");
  });

  it("breaks the line after a line break", () => {
    const found = parsed(passageFigure({ ...base, ids: bytesOf("a\nb") }));
    expect(found.elements.get("br")).to.equal(1);
    expect(found.text).to.include("↵");
  });

  it("refuses tables of another length", () => {
    expect(() => passageFigure({ ...base, expert: [1] })).to.throw(RangeError, "1 values of expert for 3 tokens");
  });
});

describe("the legend of lanes", () => {
  it("names each expert, from the top to the bottom", () => {
    const found = parsed(laneLegend(3));
    expect(found.text.split("\n")).to.deep.equal(["expert 0", "expert 1", "expert 2"]);
    const places = found.attributes.flatMap(({ value }) => /background-position:0 (\d+)%/.exec(value)?.[1] ?? []);
    expect(places).to.deep.equal(["0", "50", "100"]);
  });
});
