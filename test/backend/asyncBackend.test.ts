import { expect } from "chai";
import { AsyncBackend } from "./asyncBackend.ts";
import { conformance } from "./conformance.ts";

conformance("the asynchronous double", () => new AsyncBackend());

describe("the asynchronous double", () => {
  const type = { shape: [2], dtype: "float32" } as const;

  it("has no synchronous read", () => {
    expect(new AsyncBackend().downloadSync).to.equal(undefined);
  });

  it("reports a kernel's error at the next read, with the kernel's name, and then goes on", async () => {
    const backend = new AsyncBackend();
    const buffer = backend.full(type, 1);
    backend.free(buffer);
    const late = backend.unary("exp", type, { ...type, buffer, strides: [1], offset: 0 });
    const error = await backend.download(late, type).catch((reason: unknown) => reason);
    expect(String(error)).to.match(/^BackendError: exp: .*freed/);
    expect(Array.from(await backend.download(backend.full(type, 3), type))).to.deep.equal([3, 3]);
  });
});
