import { expect } from "chai";
import { full, key, ones, scope, tensor, zeros } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { Linear, Module, Sgd, summary, under } from "switchyard-moe/nn";

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

/** Holds the same things in another way each time. */
class Holder extends Module {
  readonly held: unknown;
  readonly last: Tensor = ones([1], { requiresGrad: true });
  constructor(held: unknown) {
    super();
    this.held = held;
  }
}

describe("what a field holds counts, however it holds it", () => {
  const trained = (size: number): Tensor => ones([size], { requiresGrad: true });
  const ways: Record<string, [held: unknown, names: string[]]> = {
    "an array": [
      [trained(2), trained(3)],
      ["held.0", "held.1"],
    ],
    "an array with gaps": [
      [null, trained(2), "text", trained(3), 5, undefined],
      ["held.1", "held.3"],
    ],
    "arrays of arrays": [
      [[trained(2)], [], [trained(3)]],
      ["held.0.0", "held.2.0"],
    ],
    "a plain object": [{ scale: trained(2), shift: trained(3) }, ["held.scale", "held.shift"]],
    "an object without prototype": [Object.assign(Object.create(null) as object, { a: trained(2), b: trained(3) }), ["held.a", "held.b"]],
    "a Map": [new Map<unknown, Tensor>([["scale", trained(2)], [7, trained(3)]]), ["held.scale", "held.7"]], // prettier-ignore
    "a Map of arrays in an object": [{ of: new Map([["x", [trained(2), trained(3)]]]) }, ["held.of.x.0", "held.of.x.1"]],
  };
  for (const [what, [held, names]] of Object.entries(ways)) {
    it(`${what} of parameters is named, costs, is summed up, loaded and trained`, () => {
      const model = new Holder(held);
      expect(model.namedParameters().map(([name, { size }]) => [name, size])).to.deep.equal([[names[0], 2], [names[1], 3], ["last", 1]]); // prettier-ignore
      expect(model.cost(1).active).to.equal(6);
      expect(summary(model).rows[0].shapes).to.equal(`${names[0]} [2], ${names[1]} [3], last [1]`);
      model.load(new Map([...model.state()].map(([name, { size }]) => [name, full([size], 3)])));
      const loss = model.parameters().reduce((sum, parameter) => sum.add(parameter.sum()), zeros([]));
      loss.backward();
      new Sgd(model, { lr: 1 }).step();
      for (const parameter of model.parameters()) expect([...parameter.dataSync()]).to.deep.equal(Array(parameter.size).fill(2));
    });
  }

  it("modules in any of them are parts", () => {
    const model = new Holder({ list: [linear(1)], table: new Map([["x", [linear(2)]]]) });
    expect(model.children().map(([name]) => name)).to.deep.equal(["held.list.0", "held.table.x.0"]);
    expect(model.namedParameters().map(([name]) => name)).to.deep.equal([
      "last",
      "held.list.0.weight",
      "held.list.0.bias",
      "held.table.x.0.weight",
      "held.table.x.0.bias",
    ]);
  });

  it("buffers in them are saved, what was computed is not, and neither is trained", () => {
    const weight = trained(2);
    const model = new Holder([zeros([4]), weight.mul(2), weight]);
    expect([...model.state().keys()]).to.deep.equal(["held.0", "held.2", "last"]);
    expect(model.namedParameters().map(([name]) => name)).to.deep.equal(["held.2", "last"]);
    expect(model.cost(1).active).to.equal(3);
  });

  it("objects of other classes are not looked into, and circles end", () => {
    const circle: unknown[] = [trained(2)];
    circle.push(circle, { back: circle });
    expect([...new Holder(circle).state().keys()]).to.deep.equal(["held.0", "last"]);
    expect([...new Holder(new (class { readonly inside = trained(2); })()).state().keys()]).to.deep.equal(["last"]); // prettier-ignore
  });

  it("refuses what gives them no name, and two of one name", () => {
    const wanted = "Holder: held gives what it holds no name: want an array, a plain object, or a Map by text or number";
    for (const held of [new Set([trained(2)]), new Map([[linear(1), trained(2)]]), new Map([[{}, [linear(1)]]])])
      expect(() => new Holder(held).parameters(), String(held)).to.throw(TypeError, wanted);
    expect(() => new Holder([{ deep: new Set([trained(2)]) }]).state()).to.throw("Holder: held.0.deep gives what it holds no name");
    expect([...new Holder(new Set([1, "text"])).state().keys()]).to.deep.equal(["last"]);
    const twice = new Holder({ "a.b": trained(2), a: { b: trained(3) } });
    expect(() => twice.state()).to.throw(RangeError, 'Holder.state: two tensors have the path "held.a.b"');
  });
});
