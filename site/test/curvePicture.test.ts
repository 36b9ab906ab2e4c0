/** The picture of two runs: both are named, told apart without colour, and described in numbers. */
import { expect } from "chai";
import { curvePicture } from "../app/curvePicture.ts";

const run = (name: string, values: readonly number[]) => ({ name, points: values.map((value, i) => [i + 1, value] as const) });

describe("the picture of two runs", () => {
  const svg = curvePicture({
    title: "Loss",
    right: run("right", [8, 4]),
    broken: run("broken", [8, 5, NaN]),
    x: "step",
    y: "bits per byte",
  });

  it("describes each run by its last number and step", () =>
    expect(svg).to.contain("right: bits per byte 4.000, step 2; broken: bits per byte NaN, step 3</desc>"));

  it("draws the right one solid and the broken one dashed, above it", () => {
    const dashes = [...svg.matchAll(/<path class="line"[^>]*stroke-dasharray="([^"]+)"/g)].map(([, pattern]) => pattern);
    expect(dashes).to.have.length(2);
    expect([dashes[0] === "none", dashes[1] === "none"]).to.deep.equal([true, false]);
  });

  it("is drawn before there is any number", () =>
    expect(curvePicture({ title: "", right: run("a", []), broken: run("b", []), x: "", y: "" })).to.contain("a: –; b: –</desc>"));
});
