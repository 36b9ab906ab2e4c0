import { expect } from "chai";
import { key } from "switchyard-moe";
import { DecoderLanguageModel, summary } from "switchyard-moe/nn";

describe("summary", () => {
  const [V, D, F, layers, length] = [256, 64, 128, 2, 50];
  const model = new DecoderLanguageModel({
    vocabulary: V,
    width: D,
    layers,
    heads: 4,
    hidden: F,
    context: 32,
    kind: "swiglu",
    random: key(1),
  });
  const { rows, parameters, active, flops, toString } = summary(model, { length });
  const block = 4 * D * D + 3 * D * F;

  it("counts parameters, those active for a token, and the FLOPs of its matrix products", () => {
    expect(parameters).to.equal(model.parameters().reduce((sum, p) => sum + p.size, 0));
    // One row of the embedding; the bias of each distance; two norms a block and one at the end.
    expect(active).to.equal(D + 32 * 4 + layers * (block + 2 * D) + D + V * D);
    expect(flops).to.equal(layers * (2 * block + 4 * length * D) + 2 * V * D);
  });

  it("has a row for each module", () => {
    expect(rows.map(({ path }) => path)).to.deep.equal(model.namedModules().map(([path]) => path));
    expect(rows.find(({ path }) => path === "blocks.1.feedForward.factor")).to.deep.include({
      kind: "Linear",
      shapes: "weight [64, 128]",
      parameters: D * F,
      flops: 2 * D * F,
    });
  });

  it("prints as a table whose columns stand in line", () => {
    const lines = toString().split("\n");
    expect(lines).to.have.length(rows.length + 3);
    const [head, rule] = lines;
    const ends = [...rule.matchAll(/-+/g)].map((column) => column.index + column[0].length);
    expect(head.slice(0, ends[5])).to.match(/FLOPs per token$/);
    for (const line of lines.slice(2, -1)) expect(line.slice(ends[4], ends[5])).to.match(/^ +[\d,]+$/);
    expect(lines.at(-1)).to.equal("a token attends to 50 tokens");
  });
});
