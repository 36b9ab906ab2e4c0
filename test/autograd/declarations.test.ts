/** What the declarations promise to a strict caller: this file compiles only while they do. */
import { expect } from "chai";
import { tensor } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { writeSafetensors } from "switchyard-moe/nn";

/** Takes memory that no other thread sees, as `fetch`, `Blob` and `crypto.subtle` do. */
const unshared = (view: ArrayBufferView<ArrayBuffer>): ArrayBuffer => view.buffer;

describe("declarations", () => {
  it("gradients answers with a tuple for a tuple, and a list for a list", () => {
    const x = tensor(3, { requiresGrad: true });
    const y = x.square();
    const [slope, ...none]: [Tensor] = y.gradients([x]);
    const pair: [Tensor, Tensor] = y.gradients([x, x]);
    const list: Tensor[] = y.gradients([x, x].slice(1));
    expect([slope, ...none, ...pair, ...list].map((g) => g.itemSync())).to.deep.equal([6, 6, 6, 6]);
  });

  it("what is read back, and written, lies in memory of its own", async () => {
    const x = tensor([1, 2]);
    expect(unshared(await x.data())).to.be.instanceOf(ArrayBuffer);
    expect(unshared(x.dataSync())).to.be.instanceOf(ArrayBuffer);
    expect(unshared(await x.cast("bfloat16").data())).to.be.instanceOf(ArrayBuffer);
    const file = await writeSafetensors(new Map([["x", x]]));
    expect(new Blob([file]).size).to.equal(unshared(file).byteLength);
  });
});
