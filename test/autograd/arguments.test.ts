/** Limits that no test could reach with a tensor of that size. */
import { expect } from "chai";
import { requireRoom } from "../../src/autograd/arguments.ts";

describe("the room of a result", () => {
  it("is 2^31 bytes, and not one more", () => {
    expect(() => requireRoom("sum", { shape: [2 ** 15, 2 ** 14], dtype: "float32" })).not.to.throw();
    const more = { shape: [2 ** 29 + 1], dtype: "float32" } as const;
    expect(() => requireRoom("sum", more)).to.throw(RangeError, "sum: a result float32 [536870913] takes 2147483652 bytes; a tensor holds at most 2147483648"); // prettier-ignore
  });
});
