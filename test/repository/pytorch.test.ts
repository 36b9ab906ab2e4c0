/** Every line of code in docs/pytorch.md runs. */
import { readFileSync } from "node:fs";
import { expect } from "chai";
import * as core from "switchyard-moe";
import * as nn from "switchyard-moe/nn";

const { key, ones, tensor } = core;

/** What the page says its lines may use. */
const given = (): Record<string, unknown> => ({
  ...core,
  ...nn,
  x: tensor([[1, 2, 3], [4, 5, 6]]), // prettier-ignore
  y: ones([2, 3]),
  z: ones([2, 4, 6]),
  i: tensor([0, 1], { dtype: "int32" }),
  m: tensor([[0, 1, 0], [1, 0, 0]]), // prettier-ignore
  k: key(1),
  pass: { training: true, random: key(2) },
  layer: new nn.Linear(3, 4, { random: key(3) }),
});

const lines = [...readFileSync("docs/pytorch.md", "utf8").matchAll(/^\| .*? \| `(.*?)` \|.*\|$/gm)].map(([, code]) => code);

describe("docs/pytorch.md", () => {
  it("has lines to run", () => expect(lines.length).to.be.above(30));

  for (const code of lines)
    it(`runs ${code}`, async () => {
      const scope = given();
      const run = Function(...Object.keys(scope), `return (async () => [${code}])()`) as (...values: unknown[]) => Promise<unknown[]>;
      for (const result of await run(...Object.values(scope))) if (result instanceof core.Tensor) await result.data();
    });
});
