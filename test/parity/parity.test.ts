/** A Switch language model trains to the same losses on gpu.js as on the reference; test/browser holds the other modes to the same losses. */
import { expect } from "chai";
import { cpuBackend, useBackend } from "../../src/index.ts";
import { gpu } from "../../src/backend/gpu/index.ts";
import { expectSameLosses } from "./agreement.ts";
import { firstMargin, parityLosses } from "./training.ts";

describe("training parity", function () {
  this.timeout(60_000);
  let want: number[];

  before(async () => {
    await useBackend("cpu");
    want = await parityLosses();
  });
  afterEach(() => useBackend(cpuBackend()));

  it("has a first step in which no token hesitates between two experts", async () => {
    expect(await firstMargin()).to.be.greaterThan(1e-4);
  });

  it("learns", () => {
    expect(want[want.length - 1]).to.be.lessThan(0.75 * want[0]);
  });

  it("refuses losses that differ", () => {
    expect(() => expectSameLosses("shifted", want.with(2, want[2] * (1 + 3e-5)), want)).to.throw("step 3");
    expect(() => expectSameLosses("shifted", want.with(40, want[40] * 1.003), want)).to.throw("step 41");
  });

  it("gpu.js webasm agrees with the reference", async () => {
    const backend = await gpu({ mode: "webasm" });
    await useBackend(backend);
    expectSameLosses(backend.description, await parityLosses(), want);
    await backend.destroy();
  });
});
