import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import * as fc from "fast-check";
import { editDistance } from "../../examples/train/editDistance.ts";
import { fingerprintOfPairs, loadPairs, stemOf } from "../../examples/train/textPairs.ts";
import { UserError } from "../../examples/train/userError.ts";

const goal = { kind: "finetune", from: "", examples: 0, text: { languages: "scripts" } } as const;

describe("spelling to phonemes", () => {
  const pairs = loadPairs({ ...goal, task: "phonemes" });

  it("is the dictionary, a tenth of it held out", () => {
    const all = pairs.training.length + pairs.heldOut.length;
    expect(all).to.be.above(100_000);
    expect(pairs.heldOut.length / all).to.be.within(0.08, 0.12);
    const known = [...pairs.training, ...pairs.heldOut].find(({ input }) => input === "abandon");
    expect(known?.target).to.equal("AH0 B AE1 N D AH0 N");
    expect(pairs.partsOf("AH0 B AE1")).to.deep.equal(["AH0", "B", "AE1"]);
  });

  it("learns no word of a stem that is held out", () => {
    const stems = new Set(pairs.training.map(({ input }) => stemOf(input)));
    expect(pairs.heldOut.filter(({ input }) => stems.has(stemOf(input)))).to.deep.equal([]);
    for (const family of [
      ["walked", "walks", "walking", "walker"],
      ["stopped", "stopping"],
      ["nations", "nation"],
    ])
      // prettier-ignore
      expect(new Set(family.map(stemOf)).size, family.join()).to.equal(1);
  });

  it("can be few, the same few each time", () => {
    const few = loadPairs({ ...goal, task: "phonemes", examples: 50 });
    expect(few.training).to.have.length(50);
    expect(new Set(few.training.map(({ input }) => input)).size).to.equal(50);
    expect(few.heldOut).to.deep.equal(pairs.heldOut);
    expect(fingerprintOfPairs(few)).to.equal(fingerprintOfPairs(loadPairs({ ...goal, task: "phonemes", examples: 50 })));
    expect(fingerprintOfPairs(few)).not.to.equal(fingerprintOfPairs(loadPairs({ ...goal, task: "phonemes", examples: 51 })));
  });
});

describe("naming languages", () => {
  it("has sentences of every language on both sides, and none on both", () => {
    const { training, heldOut } = loadPairs({ ...goal, task: "languages" });
    for (const side of [training, heldOut]) expect(new Set(side.map(({ target }) => target)).size).to.equal(8);
    const known = new Set(training.map(({ input }) => input));
    expect(heldOut.filter(({ input }) => known.has(input)).length / heldOut.length, "but for lines that articles share").to.be.below(0.05);
    for (const { input } of training) expect(Buffer.byteLength(input)).to.be.at.most(96);
  });
});

describe("pairs of one's own", () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "switchyard-pairs-"))));
  afterEach(() => rmSync(folder, { recursive: true }));
  const good = Array.from({ length: 40 }, (_, i) => `in ${i}\tout ${i}`);
  const load = (content: string | Uint8Array) => {
    const path = join(folder, "own.tsv");
    writeFileSync(path, content);
    return loadPairs({ ...goal, task: "pairs", text: { data: path } });
  };

  it("are lines of input, tab, target; line ends of Windows and empty lines are no matter", () => {
    const { training, heldOut } = load(`${good.join("\r\n")}\r\n\r\n`);
    expect(training.length + heldOut.length).to.equal(40);
    expect([...training, ...heldOut]).to.deep.include({ input: "in 3", target: "out 3" });
    expect(heldOut.length).to.be.above(0);
  });

  it("keep all targets of an input on one side", () => {
    const { training, heldOut } = load([...good, ...good.map((line) => `${line} again`)].join("\n"));
    const known = new Set(training.map(({ input }) => input));
    expect(heldOut.filter(({ input }) => known.has(input))).to.deep.equal([]);
  });

  const faults: Record<string, readonly [string | Uint8Array, RegExp]> = {
    "a line without a tab": [[...good, "no tab"].join("\n"), /own\.tsv, line 41: it has no tab; want input, tab, target$/],
    "a line with two": [["a\tb\tc", ...good].join("\n"), /own\.tsv, line 1: it has 2 tabs; want one: input, tab, target$/],
    "an empty target": [["a\t", ...good].join("\n"), /line 1: its target is empty$/],
    "an empty input": [["\tb", ...good].join("\n"), /line 1: its input is empty$/],
    "too few pairs": ["a\tb", /own\.tsv has 1 pairs, at least 20 are needed/],
    "one input only": [
      good.map((line) => line.replace(/^in \d+/, "in")).join("\n"),
      /too few different inputs to hold a tenth of them out/,
    ],
    "bytes that are no text": [Uint8Array.of(0xff, 0x09, 0x61, 0x0a), /cannot read .*own\.tsv: it is not UTF-8$/],
  };
  for (const [name, [content, message]] of Object.entries(faults))
    it(`are refused in one line for ${name}`, () => expect(() => load(content)).to.throw(UserError, message));
});

describe("the edit distance", () => {
  const lists = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 8 });

  it("is 0 for equals alone, symmetric, and obeys the triangle inequality", () => {
    fc.assert(
      fc.property(lists, lists, lists, (x, y, z) => {
        expect(editDistance(x, y) === 0).to.equal(x.join() === y.join());
        expect(editDistance(x, y)).to.equal(editDistance(y, x));
        expect(editDistance(x, z)).to.be.at.most(editDistance(x, y) + editDistance(y, z));
      }),
    );
  });

  it("counts what must be changed", () => {
    expect(editDistance([..."kitten"], [..."sitting"])).to.equal(3);
    expect(editDistance([], ["a", "b"])).to.equal(2);
  });
});
