import { expect } from "chai";
import { Pool } from "../../../src/backend/cpu/pool.ts";

describe("the pool of freed arrays", () => {
  it("gives an array again to who asks for its type and length, once", () => {
    const pool = new Pool();
    const array = pool.take("float32", 10);
    pool.give("float32", array, 1000);
    expect(pool.take("int32", 10)).to.not.equal(array);
    expect(pool.take("float32", 11)).to.not.equal(array);
    expect(pool.take("float32", 10)).to.equal(array);
    expect(pool.take("float32", 10)).to.not.equal(array);
  });

  it("forgets what it holds rather than exceed its room", () => {
    const pool = new Pool();
    const [old, recent] = [pool.take("float64", 50), pool.take("float64", 60)];
    pool.give("float64", old, 800);
    pool.give("float64", recent, 800);
    expect(pool.take("float64", 50)).to.not.equal(old);
    expect(pool.take("float64", 60)).to.equal(recent);
  });
});
