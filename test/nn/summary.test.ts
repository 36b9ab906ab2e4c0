import { expect } from "chai";
import { key } from "switchyard-moe";
import { FeedForwardExperts, MoE, TopKRouter } from "switchyard-moe/moe";
import { DecoderLanguageModel, Linear, Module, summary } from "switchyard-moe/nn";

const init = { random: key(1) } as const;

/** Two of four experts for each token, and a list of heads. */
class Sparse extends Module {
  readonly layer = new MoE({
    router: new TopKRouter({ ...init, width: 30, experts: 4, choices: 2 }),
    experts: new FeedForwardExperts({ ...init, width: 30, experts: 4, hidden: 50 }),
  });
  readonly heads = [new Linear(30, 7, init), new Linear(30, 2, { ...init, bias: false })];
}

// An expert has 30 * 50 + 50 + 50 * 30 + 30 = 3,080 parameters, of which 3,000 are multiplied.
const table = [
  "module            kind                own parameters                                                                  parameters  active per token  FLOPs per token",
  "----------------  ------------------  ------------------------------------------------------------------------------  ----------  ----------------  ---------------",
  "model             Sparse                                                                                                  12,717             6,557           12,780",
  "  layer           MoE                                                                                                     12,440             6,280           12,240",
  "    router        TopKRouter                                                                                                 120               120              240",
  "      projection  Projection          weight [30, 4]                                                                         120               120              240",
  "    experts       FeedForwardExperts  hidden [4, 30, 50], hiddenBias [4, 50], output [4, 50, 30], outputBias [4, 30]      12,320             6,160           12,000",
  "  heads.0         Linear              weight [30, 7], bias [7]                                                               217               217              420",
  "  heads.1         Linear              weight [30, 2]                                                                          60                60              120",
  "a token attends to 3 tokens",
];

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

  it("prints a sparse model, letter for letter: of its experts those that a token visits cost", () => {
    expect(String(summary(new Sparse(), { length: 3 })).split("\n")).to.deep.equal(table);
    expect(String(summary(new Sparse())).split("\n").at(-1), "by default").to.equal("a token attends to 1 tokens");
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
