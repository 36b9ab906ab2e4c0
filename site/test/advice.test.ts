/** What the playground advises about errors, held to the words that the library really uses. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { zeros } from "switchyard-moe";
import { wasm } from "switchyard-moe/backend/wasm";
import { adviceOn } from "../app/advice.ts";
import { english, korean } from "../app/strings.ts";

const source = (device: string): string =>
  readFileSync(fileURLToPath(new URL(`../../src/backend/gpu/devices/${device}.ts`, import.meta.url)), "utf8");

/** The message of what `act` throws. */
function thrownBy(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return String(error);
  }
  throw new Error("nothing was thrown");
}

describe("the playground's advice", () => {
  it("is about memory where a tensor or all of them together are too large", async () => {
    const backend = await wasm({ threads: 1, maximumBytes: 2 ** 25 });
    const whole = thrownBy(() => zeros([2 ** 30], { backend }));
    const together = thrownBy(() => zeros([2 ** 24], { backend }));
    for (const message of [whole, together, "RangeError: Array buffer allocation failed"])
      for (const strings of [english, korean]) expect(adviceOn(message, strings), message).to.contain(strings.outOfMemory);
  });

  it("is about the device where that was lost, though too little memory may be why", () => {
    for (const device of ["webgpu", "webgl"]) {
      const message = /"(the Web[^"]* lost [^"]*)"/.exec(source(device))?.[1] ?? "";
      expect(message).not.to.equal("");
      expect(adviceOn(message, english), message).to.contain(english.deviceLost);
    }
  });

  it("is nothing about any other error", () => expect(adviceOn("width 3 does not divide into 2 heads", english)).to.equal(""));
});
