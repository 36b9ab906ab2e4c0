import { expect } from "chai";
import { BackendError, cpu } from "../../src/backend/index.ts";
import { conformance } from "./conformance.ts";

conformance("cpu", cpu);

describe("cpu: what it refuses", () => {
  const type = { shape: [2, 3], dtype: "float32" } as const;

  it("a buffer that was freed", () => {
    const backend = cpu();
    const buffer = backend.full(type, 1);
    backend.free(buffer);
    expect(() => backend.free(buffer)).to.throw(BackendError, "a buffer of 24 bytes was freed before");
    expect(() => backend.downloadSync(buffer, type)).to.throw(BackendError, "freed before");
    expect(backend.stats().liveBytes).to.equal(0);
  });

  it("a buffer of another device", () => {
    expect(() => cpu().free({ bytes: 24 })).to.throw(BackendError, "a buffer of 24 bytes belongs to another backend");
  });

  it("data that does not fill the shape", () => {
    expect(() => cpu().upload(type, new Float32Array(5))).to.throw(BackendError, "upload: 5 elements for shape [2, 3], which has 6");
  });

  it("more uniform numbers than the hash has", () => {
    const many = { shape: [4097, 4096], dtype: "float32" } as const;
    expect(() => cpu().uniform(many, [2049, 0, 2049, 0, 2049, 0, 2049, 0])).to.throw(
      BackendError,
      "uniform: [4097, 4096] has 16781312 elements",
    );
  });
});
