import { expect } from "chai";
import * as fc from "fast-check";
import type { Kind } from "../../src/backend/arguments.ts";
import {
  callable,
  check,
  checkOptions,
  describe as described,
  either,
  finite,
  flag,
  having,
  instance,
  listOf,
  nothing,
  number,
  oneOf,
  optional,
  positive,
  rate,
  text,
  whole,
} from "../../src/backend/arguments.ts";

interface Options {
  readonly heads: number;
  readonly jitter?: number;
  readonly act?: "relu" | "gelu";
}

const kinds = { heads: whole(1), jitter: optional(rate), act: optional(oneOf("relu", "gelu")) };
const attempt = (options: unknown): (() => void) => {
  return () => checkOptions<Options>("Layer", options, kinds);
};

describe("checks of arguments", () => {
  it("accept what the table says", () => {
    expect(attempt({ heads: 1 })).not.to.throw();
    expect(attempt({ heads: 3, jitter: 0, act: "gelu" })).not.to.throw();
    expect(attempt({ heads: 3, jitter: undefined })).not.to.throw();
  });

  it("name the class, the option, what was given and what fits", () => {
    expect(attempt(undefined)).to.throw(TypeError, "Layer: options undefined: want an object with heads");
    expect(attempt([1])).to.throw(TypeError, "Layer: options [1]: want an object with heads");
    expect(attempt({})).to.throw(TypeError, "Layer: heads is missing: want a whole number of 1 or more");
    expect(attempt({ heads: 0.5 })).to.throw(RangeError, "Layer: heads 0.5: want a whole number of 1 or more");
    expect(attempt({ heads: "2" })).to.throw(TypeError, 'Layer: heads "2": want a whole number of 1 or more');
    expect(attempt({ heads: 2, jitter: NaN })).to.throw(RangeError, "Layer: jitter NaN: want a number from 0 to below 1");
    expect(attempt({ heads: 2, act: "tanh" })).to.throw(TypeError, 'Layer: act "tanh": want "relu" or "gelu"');
  });

  it("find the nearest name of an unknown option", () => {
    expect(attempt({ heads: 2, jiter: 0.1 })).to.throw(TypeError, "Layer: there is no option jiter; did you mean jitter?");
    expect(attempt({ heads: 2, zzzzzzzzzzz: 0.1 })).to.throw(TypeError, "the options are heads, jitter, act");
  });

  it("take fields of an instance for options, and no instance that has other fields, or none", () => {
    class Settings {
      readonly heads = 2;
    }
    class Layer {
      readonly weight = [1];
    }
    expect(attempt(new Settings())).not.to.throw();
    expect(attempt(new Layer())).to.throw(TypeError, "Layer: options (a Layer): want an object with heads");
    const none = (options: unknown): (() => void) => {
      return () => checkOptions<Pick<Options, "jitter" | "act">>("Layer", options, { jitter: kinds.jitter, act: kinds.act });
    };
    for (const [options, shown] of [
      [new Map([["jitter", 1]]), "(a Map)"],
      [[], "[]"],
      [new Layer(), "(a Layer)"],
    ] as const)
      // prettier-ignore
      expect(none(options)).to.throw(TypeError, `Layer: options ${shown}: want an object with jitter, act`);
    for (const options of [{}, Object.create(null), new (class extends Settings {})()])
      expect(attempt({ heads: 1, ...options })).not.to.throw();
  });

  const table: readonly [Kind, readonly unknown[], readonly unknown[]][] = [
    [whole(), [0, 5], [-1, 0.5, NaN, Infinity, "1", null, 2 ** 60]],
    [whole(1, 3), [1, 3], [0, 4]],
    [finite(), [-1e300, 0], [NaN, Infinity, "1"]],
    [finite(-1, 1), [-1, 1], [-1.1, 1.1]],
    [positive, [1e-300], [0, -1, Infinity, NaN]],
    [rate, [0, 0.999], [1, -0.1, NaN]],
    [number, [NaN, Infinity, 0], ["0", null]],
    [flag, [true, false], [0, "true"]],
    [text, [""], [0]],
    [callable, [() => 0], [{}]],
    [nothing, [null], [0]],
    [oneOf("a", null), ["a", null], ["b", 0]],
    [listOf(whole()), [[], [1, 2]], [[0.5], "12", { length: 0 }]],
    [listOf(whole(), 2), [[1, 2]], [[1], [1, 2, 3]]],
    [instance(Map), [new Map()], [{}]],
    [having("a thing", "size", "get"), [new Map()], [{ size: 1 }, null, 3]],
    [either(whole(), text), [1, "a"], [0.5, null]],
  ];
  for (const [kind, good, bad] of table)
    it(`${kind.wanted}: ${good.map(described).join(" ")}, not ${bad.map(described).join(" ")}`, () => {
      for (const value of good) expect(() => check("f", "x", value, kind)).not.to.throw();
      for (const value of bad) expect(() => check("f", "x", value, kind)).to.throw(`want ${kind.wanted}`);
      expect(() => check("f", "x", undefined, kind)).to.throw(`f: x is missing: want ${kind.wanted}`);
      expect(() => check("f", "x", undefined, optional(kind))).not.to.throw();
    });

  it("show any value in a short line", () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true }), (value) => {
        expect(described(value)).to.satisfy((shown: string) => shown.length > 0 && shown.length < 600 && !shown.includes("\n"));
      }),
    );
  });
});
