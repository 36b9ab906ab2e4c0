import { expect } from "chai";
import fc from "fast-check";
import { Module, callOf } from "../../src/backend/wasm/assembler.ts";
import type { Body } from "../../src/backend/wasm/assembler.ts";
import { f32, f32x4, f64, i32, i32x4, signed, unreachable, unsigned, v128 } from "../../src/backend/wasm/instructions.ts";
import { engine } from "../../src/backend/wasm/platform.ts";

type Exports = Record<string, (...args: number[]) => number>;

/** Builds a module with one page of memory, and instantiates it. */
function assemble(build: (m: Module) => void): { run: Exports; words: Int32Array; floats: Float32Array } {
  if (!engine) throw new Error("no WebAssembly");
  const limits = { initial: 1, maximum: 1, shared: false };
  const module = new Module(limits);
  build(module);
  const memory = new engine.Memory(limits);
  const instance = new engine.Instance(new engine.Module(module.bytes()), { env: { memory } });
  return { run: instance.exports as Exports, words: new Int32Array(memory.buffer), floats: new Float32Array(memory.buffer) };
}

/** Reads a base-128 integer back. */
function decode(bytes: readonly number[], isSigned: boolean): number {
  let value = 0n;
  bytes.forEach((byte, i) => (value |= BigInt(byte & 0x7f) << BigInt(7 * i)));
  const bits = BigInt(7 * bytes.length);
  return Number(isSigned ? BigInt.asIntN(Number(bits), value) : value);
}

describe("assembler", () => {
  it("writes integers that read back, the shortest way", () => {
    fc.assert(
      fc.property(fc.integer(), (n) => {
        expect(decode(signed(n), true)).to.equal(n);
        expect(decode(unsigned(n), false)).to.equal(n >>> 0);
        const shortest = Math.max(1, Math.ceil((n >>> 0).toString(2).length / 7));
        expect(unsigned(n)).to.have.length(shortest);
      }),
    );
    expect(signed(-1)).to.deep.equal([0x7f]);
    expect(signed(64)).to.deep.equal([0xc0, 0]);
  });

  it("keeps constants of every type", () => {
    fc.assert(
      fc.property(fc.integer(), fc.float(), fc.double(), (i, x, d) => {
        const { run } = assemble((m) => {
          m.export("i", {}, (f) => f.return(i32.const(i)), "i32");
          m.export("x", {}, (f) => f.return(f32.const(x)), "f32");
          m.export("d", {}, (f) => f.return(f64.const(d)), "f64");
          m.export("lane", {}, (f) => f.return(i32x4.lane(i32x4.const(i), 3)), "i32");
          m.export("vector", {}, (f) => f.return(f32x4.lane(f32x4.const(x), 2)), "f32");
        });
        expect([run.i(), run.x(), run.d(), run.lane(), run.vector()]).to.deep.equal([i, x, d, i, x]);
      }),
      { numRuns: 30 },
    );
  });

  it("counts: for runs from, to, step, and not at all where there is nothing", () => {
    const { run } = assemble((m) => {
      m.export(
        "count",
        { from: "i32", to: "i32", step: "i32" },
        (f, { from, to, step }) => {
          const turns = f.local("i32");
          f.for(from, to, step, () => f.set(turns, i32.add(turns, 1)));
          f.return(turns);
        },
        "i32",
      );
    });
    fc.assert(
      fc.property(fc.nat(100), fc.nat(100), fc.integer({ min: 1, max: 9 }), (from, to, step) => {
        expect(run.count(from, to, step)).to.equal(Math.max(0, Math.ceil((to - from) / step)));
      }),
    );
  });

  it("branches, loops and calls: Euclid's algorithm", () => {
    const { run } = assemble((m) => {
      const remainder = m.func("remainder", { x: "i32", y: "i32" }, (f, { x, y }) => f.return(i32.remU(x, y)), "i32");
      m.export(
        "gcd",
        { x: "i32", y: "i32" },
        (f, { x, y }) => {
          f.while(y, () => {
            const rest = f.let(callOf(remainder, { x, y }));
            f.set(x, y);
            f.set(y, rest);
          });
          f.return(x);
        },
        "i32",
      );
      m.export(
        "sign",
        { x: "i32" },
        (f, { x }) => {
          const result = f.local("i32");
          f.if(x, () =>
            f.if(
              i32.lt(x, 0),
              () => f.set(result, -1),
              () => f.set(result, 1),
            ),
          );
          f.return(result);
        },
        "i32",
      );
    });
    const gcd = (x: number, y: number): number => (y === 0 ? x : gcd(y, x % y));
    fc.assert(fc.property(fc.nat(5000), fc.nat(5000), (x, y) => void expect(run.gcd(x, y)).to.equal(gcd(x, y))));
    fc.assert(fc.property(fc.integer(), (x) => void expect(run.sign(x)).to.equal(Math.sign(x) + 0)));
  });

  it("computes what the instructions say, in scalars and in lanes", () => {
    const scalar: Record<string, (x: number, y: number) => number> = {
      add: (x, y) => x + y, sub: (x, y) => x - y, mul: (x, y) => x * y, div: (x, y) => x / y,
      min: (x, y) => Math.min(x, y), max: (x, y) => Math.max(x, y),
    }; // prettier-ignore
    const { run, floats } = assemble((m) => {
      for (const name of ["add", "sub", "mul", "div", "min", "max"] as const) {
        m.export(name, { x: "f32", y: "f32" }, (f, { x, y }) => f.return(f32[name](x, y)), "f32");
        m.export(`${name}4`, { at: "i32" }, (f, { at }) => {
          f.do(v128.store(at, f32x4[name](v128.load(at), v128.load(at, 16)), 32));
        });
      }
    });
    const numbers = fc.array(fc.float({ noNaN: true }), { minLength: 4, maxLength: 4 });
    fc.assert(
      fc.property(numbers, numbers, (xs, ys) => {
        floats.set(xs, 0);
        floats.set(ys, 4);
        for (const [name, of] of Object.entries(scalar)) {
          run[`${name}4`](0);
          const want = xs.map((x, i) => Math.fround(of(x, ys[i])));
          expect([...floats.subarray(8, 12)], name).to.deep.equal(want);
          expect(run[name](xs[0], ys[0]), name).to.deep.equal(want[0]);
        }
      }),
    );
  });

  it("stores lanes one by one, shuffles them, and halves them", () => {
    const { run, words } = assemble((m) => {
      m.export("go", {}, (f: Body) => {
        const x = f.let(v128.load(i32.const(0)));
        f.do(v128.store32Lane(i32.const(16), x, 2), v128.store64Lane(i32.const(24), x, 1));
        f.do(v128.store(i32.const(32), v128.shuffle(x, i32x4.const(9), [3, 4, 0, 7])));
        f.do(v128.store(i32.const(48), v128.lowHalves(x, x)));
      });
    });
    words.set([1, 2, 3, 4], 0);
    run.go();
    expect([...words.subarray(4, 12)]).to.deep.equal([3, 0, 3, 4, 4, 9, 1, 9]);
    expect([...words.subarray(12, 16)]).to.deep.equal([0x20001, 0x40003, 0x20001, 0x40003]);
  });

  it("writes one type for functions alike, and modules that the engine accepts", () => {
    const limits = { initial: 1, maximum: 2, shared: true };
    const sizes = [1, 2].map((n) => {
      const module = new Module(limits);
      for (let i = 0; i < n; i++) module.func("same", { x: "i32" }, (f, { x }) => f.return(x), "i32");
      expect(engine?.validate(module.bytes())).to.equal(true);
      return module.bytes().length;
    });
    // One more entry in the function section, a body of five bytes and its length, a name of four with its number and length: no type.
    expect(sizes[1] - sizes[0]).to.equal(13);
  });

  it("names functions in stack traces", () => {
    const { run } = assemble((m) => m.export("stumble", {}, (f) => f.do(unreachable)));
    expect(() => run.stumble())
      .to.throw(Error)
      .with.property("stack")
      .that.includes("stumble");
  });
});
