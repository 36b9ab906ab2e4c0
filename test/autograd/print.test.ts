/** How tensors look: type and place, then values, summarised as PyTorch does. */
import { inspect } from "node:util";
import { expect } from "chai";
import { arange, eye, ones, scope, tensor, zeros } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { AsyncBackend } from "../backend/asyncBackend.ts";
import { f64, int, leaf } from "./helpers.ts";

const lines = (...all: string[]): string => all.join("\n");

describe("printing", () => {
  it("shows dtype, shape, device and whether a gradient flows", () => {
    expect(String(f64([1, 2]))).to.match(/^Tensor float64 \[2\] cpu\n/);
    expect(String(leaf([1, 2]))).to.match(/^Tensor float64 \[2\] cpu requiresGrad\n/);
    expect(String(leaf([1, 2]).exp())).to.match(/^Tensor float64 \[2\] cpu requiresGrad \(exp\)\n/);
    expect(String(tensor([1], { name: "w" }))).to.match(/^Tensor "w" float32 \[1\] cpu\n/);
  });

  it("console.log, String and templates show the same", () => {
    const x = int([1, 2]);
    expect(inspect(x)).to.equal(String(x));
    expect(`${x as unknown as string}`).to.equal(String(x));
    expect(inspect({ x })).to.contain("Tensor int32 [2] cpu");
  });

  it("aligns one column of one style", () => {
    expect(String(f64([[1, -2.5], [30, 4]]))).to.equal(lines("Tensor float64 [2, 2] cpu", "[[ 1.0000, -2.5000],", " [30.0000,  4.0000]]")); // prettier-ignore
    expect(String(int([[1, 20], [3, 4]]))).to.equal(lines("Tensor int32 [2, 2] cpu", "[[ 1, 20],", " [ 3,  4]]")); // prettier-ignore
  });

  it("scalars, empty axes and numbers that are not finite", () => {
    expect(String(f64(2.5))).to.equal(lines("Tensor float64 [] cpu", "2.5000"));
    expect(String(zeros([2, 0]))).to.equal(lines("Tensor float32 [2, 0] cpu", "[[],", " []]"));
    expect(String(f64([NaN, Infinity, -Infinity, 1]))).to.equal(lines("Tensor float64 [4] cpu", "[ nan,  inf, -inf,    1]"));
  });

  it("changes to powers of ten where the range is wide", () => {
    expect(String(f64([1e-9, 1]))).to.contain("1.0000e-9");
    expect(String(f64([1e9, 1]))).to.contain("1.0000e+9");
    expect(String(f64([1000.5, 0.25]))).to.contain("1000.5000,    0.2500");
  });

  it("changes exactly there: from 1e8, below 1e-4, and where 1e5 stands beside less than a thousandth of it", () => {
    const plain = [[99_999_999.5], [0.0001], [-0.0001], [1e5, 100, 100.5], [99_999.5, 0.5], [99_999_999, 1], [0, 0.5]];
    const wide = [[1e8], [-1e8], [0.00009999], [1e5, 99.99], [1e5 + 0.5, 0.5], [-1e5, 0.25], [1e8, 1]];
    for (const values of plain) expect(String(f64(values)), String(values)).not.to.match(/e[+-]/);
    for (const values of wide) expect(String(f64(values)), String(values)).to.match(/e[+-]/);
  });

  it("decides by all that is shown and by nothing else", () => {
    for (const at of [0, 7, 23]) {
      const values = Array.from({ length: 24 }, (_, i) => (i === at ? 0.5 : i));
      const [, ...rows] = String(f64(values).reshape([2, 3, 4])).split("\n");
      const numbers = rows.join().match(/[\d.]+/g) ?? [];
      expect(numbers.filter((number) => /^\d+\.\d{4}$/.test(number)), `${at}`).to.have.length(24); // prettier-ignore
    }
    const hidden = Array.from({ length: 2000 }, (_, i) => (i === 500 ? 0.5 : i));
    expect(String(f64(hidden))).not.to.contain(".0");
  });

  it("summarises beyond a thousand elements, and of these axes of more than six", () => {
    const shown = (n: number, rows: number): string => String(zeros([rows, n]));
    expect(shown(100, 10)).not.to.contain("...");
    expect(shown(7, 143)).to.contain("[0, 0, 0, ..., 0, 0, 0]");
    expect(shown(6, 167)).to.contain("[0, 0, 0, 0, 0, 0]").and.to.contain(" ...,\n");
    expect(shown(167, 6).split("\n")).to.have.length(7);
  });

  it("separates matrices by an empty line", () => {
    expect(String(zeros([2, 1, 1]))).to.equal(lines("Tensor float32 [2, 1, 1] cpu", "[[[0]],", "", " [[0]]]"));
  });

  it("shows the edges of what is longer than a thousand", () => {
    const text = String(arange(0, 2000).reshape([2, 1000]));
    expect(text).to.equal(
      lines("Tensor float32 [2, 1000] cpu", "[[   0,    1,    2, ...,  997,  998,  999],", " [1000, 1001, 1002, ..., 1997, 1998, 1999]]"),
    );
    expect(String(eye(40)).split("\n").length).to.equal(8);
    expect(String(ones([1000])).match(/1/g)?.length).to.be.above(999);
  });

  it("shows views as they read", () => {
    expect(String(int([[1, 2], [3, 4]]).transpose())).to.contain("[[1, 3],\n [2, 4]]"); // prettier-ignore
  });

  it("says how to read where it cannot, and what was freed", () => {
    expect(String(ones([2], { backend: new AsyncBackend() }))).to.equal("Tensor float32 [2] async: read it with await t.data()");
    let inner: Tensor | undefined;
    scope(() => void (inner = ones([2])));
    expect(String(inner)).to.equal("Tensor float32 [2] freed");
  });

  it("a synchronous read of a device that cannot names the other way", () => {
    expect(() => ones([2], { backend: new AsyncBackend() }).dataSync()).to.throw(/dataSync: "async" .* use await x.data\(\)/);
  });
});
