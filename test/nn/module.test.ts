import { expect } from "chai";
import { full, key, ones, scope, tensor, zeros } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { Linear, Module, under } from "switchyard-moe/nn";

class Pair extends Module {
  readonly scale: Tensor = ones([2], { requiresGrad: true });
  readonly counts: Tensor = zeros([3]).persist();
  readonly parts: Module[];
  readonly note = "not a tensor";
  readonly #secret: Tensor = ones([1], { requiresGrad: true });

  constructor(...parts: Module[]) {
    super();
    this.parts = parts;
  }

  get secret(): Tensor {
    return this.#secret;
  }
}

const linear = (seed: number): Linear => new Linear(2, 3, { random: key(seed) });

describe("Module", () => {
  it("names parameters by their path in field order, buffers in the state only", () => {
    const model = new Pair(linear(1), new Pair());
    expect([...model.state().keys()]).to.deep.equal([
      "scale",
      "counts",
      "parts.0.weight",
      "parts.0.bias",
      "parts.1.scale",
      "parts.1.counts",
    ]);
    expect(model.namedParameters().map(([name]) => name)).to.deep.equal(["scale", "parts.0.weight", "parts.0.bias", "parts.1.scale"]);
    expect(model.namedModules().map(([path]) => path)).to.deep.equal(["", "parts.0", "parts.1"]);
    expect(model.secret.shape).to.deep.equal([1]);
  });

  it("names what stands in two places once", () => {
    const shared = linear(1);
    expect(new Pair(shared, shared).parameters()).to.have.length(3);
  });

  it("labels its tensors for errors", () => {
    const model = new Pair(linear(1)).label();
    expect(model.parameters()[1].label).to.equal('"parts.0.weight" float32 [2, 3]');
  });

  it("loads a state, buffers too, and keeps it beyond the scope of the load", () => {
    const [from, to] = [new Pair(linear(1)), new Pair(linear(2))];
    from.counts.assign(full([3], 7));
    scope(() => to.load(new Map([...from.state()].map(([name, t]) => [name, t.mul(1)]))));
    for (const [name, value] of to.state())
      expect([...value.dataSync()], name).to.deep.equal([...(from.state().get(name)?.dataSync() ?? [])]);
    expect(to.counts.dataSync()[0]).to.equal(7);
  });

  it("refuses a state that does not fit and stays as it was", () => {
    const model = new Pair(linear(1));
    const before = [...model.parameters()[1].dataSync()];
    const state = (change: (map: Map<string, Tensor>) => void): Map<string, Tensor> => {
      const map = new Map([...model.state()].map(([name, t]) => [name, t.mul(0)]));
      change(map);
      return map;
    };
    expect(() => model.load(state((map) => map.delete("counts")))).to.throw(RangeError, 'load: "counts" [3] is not in the saved state');
    expect(() => model.load(state((map) => map.set("extra", ones([1]))))).to.throw('"extra" of the saved state has no place here');
    expect(() => model.load(state((map) => map.set("parts.0.bias", ones([4]))))).to.throw(
      '"parts.0.bias" is [4] in the saved state, [3] here',
    );
    expect(() => model.load(state((map) => map.set("parts.0.bias", tensor([1, 2, 3], { dtype: "int32" }))))).to.throw(
      '"parts.0.bias" is int32 in the saved state, float32 here',
    );
    expect([...model.parameters()[1].dataSync()]).to.deep.equal(before);
  });

  it("gives parts random streams of their own, and none in evaluation", () => {
    const pass = { training: true, random: key(1) };
    const streams = [under(pass, "a"), under(pass, "b"), under(pass, "a", 1)].map(({ random }) => String(random));
    expect(new Set(streams).size).to.equal(3);
    const quiet = { training: false, random: key(1) };
    expect(under(quiet, "a")).to.equal(quiet);
  });
});
