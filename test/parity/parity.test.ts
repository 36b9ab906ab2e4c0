/** A Switch language model trains to the same losses on every device that Node has. */
import { expect } from "chai";
import { cpuBackend, useBackend } from "../../src/index.ts";
import { gpu } from "../../src/backend/gpu/index.ts";
import type { GpuMode } from "../../src/backend/gpu/index.ts";
import { useSwiftShader } from "../backend/adapter.ts";
import { expectSameLosses } from "./agreement.ts";
import { firstMargin, parityLosses } from "./training.ts";

describe("training parity", function () {
  this.timeout(60_000);
  let want: number[];

  before(async () => {
    useSwiftShader();
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

  for (const mode of ["webasm", "webgpu"] as const) {
    it(`gpu.js ${mode} agrees with the reference`, async function () {
      const backend = await gpu({ mode }).catch((error: Error) => missing(mode, error));
      if (!backend) return this.skip();
      await useBackend(backend);
      expectSameLosses(backend.description, await parityLosses(), want);
      await backend.destroy();
    });
  }
});

/** Where everything must be there, a missing device is a failure. */
function missing(mode: GpuMode, error: Error): undefined {
  if (mode === "webasm" || process.env["CI"]) throw error;
}
