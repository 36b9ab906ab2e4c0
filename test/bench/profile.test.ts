import { expect } from "chai";
import { cpuBackend, ones, scope, withBackend } from "switchyard-moe";
import { isProduct, stopwatch } from "../../bench/profile.ts";

describe("the stopwatch of the benchmark", () => {
  it("counts each kernel of the backend it stands before, fused ones too, and lets memory go", () => {
    const real = cpuBackend();
    const before = real.stats().liveBuffers;
    const watched = stopwatch(real);
    withBackend(watched.backend, () =>
      scope(() => {
        const x = ones([4, 4]);
        x.matmul(x).add(x).softmax(-1);
      }),
    );
    const calls = new Map(watched.times().map(({ kernel, calls: count }) => [kernel, count]));
    expect(calls.get("matmul")).to.equal(1);
    expect(calls.get("binary")).to.equal(1);
    expect([...calls.keys()].filter((kernel) => kernel.startsWith("fused softmax"))).to.deep.equal(["fused softmax forward"]);
    expect([...calls.keys()].filter(isProduct)).to.deep.equal(["matmul"]);
    const products = ["attention", "linear", "slotProduct"].flatMap((name) => [`fused ${name} forward`, `fused ${name} backward`]);
    expect([...products, "groupedMatmul", "groupedOuter"].filter((kernel) => !isProduct(kernel))).to.deep.equal([]);
    expect(["fused softmax forward", "fused biasActivation backward", "gatherRows", "fused adam"].filter(isProduct)).to.deep.equal([]);
    expect(real.stats().liveBuffers).to.equal(before);
    watched.reset();
    expect(watched.times()).to.deep.equal([]);
  });
});
