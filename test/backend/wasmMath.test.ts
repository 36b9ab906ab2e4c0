/** The vector functions against float64, over the whole range of float32. An ulp is the distance to the next float32. */
import { expect } from "chai";
import type { BinaryOp, TypedArray } from "../../src/backend/backend.ts";
import { CpuBackend } from "../../src/backend/cpu/cpuBackend.ts";
import { erf, erfc, normalCdf } from "../../src/backend/specialFunctions.ts";
import { wasm } from "../../src/backend/wasm/index.ts";
import type { WasmBackend } from "../../src/backend/wasm/index.ts";
import { ERROR_ULP } from "../../src/backend/wasm/kernels/math.ts";

type Name = Exclude<keyof typeof ERROR_ULP, "pow">;

const wants: Record<Name, (x: number) => number> = {
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  tanh: Math.tanh,
  sigmoid: (x) => (x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x))),
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  rsqrt: (x) => 1 / Math.sqrt(x),
  sin: Math.sin,
  cos: Math.cos,
  erf,
  erfc,
  normalCdf,
};

/** The float32 that lie nearest to whole quarter turns: 1.6e-9 the first of them, found by trying all. */
// prettier-ignore
const nearQuarters = [
  16367173 * 2 ** 72, 10741887 * 2 ** 11, 16367173 * 2 ** 73, 16573937 * 2 ** -16, 10057457 * 2 ** 62, 11617958 * 2 ** 17, 9012376 * 2 ** 53, 14173733 * 2 ** 88,
];

const LARGEST = 2 ** 128 - 2 ** 104;

/** Every 65,521st bit pattern (a prime, so that all exponents and mantissas mix), a fine walk over [-16, 16], and the special ones. */
function arguments32(): Float32Array {
  const count = Math.floor(2 ** 32 / 65521);
  const bits = Uint32Array.from({ length: count }, (_, i) => i * 65521);
  const walk = Float32Array.from({ length: 32001 }, (_, i) => -16 + i / 1000);
  const special = [
    0,
    -0,
    1,
    -1,
    Infinity,
    -Infinity,
    NaN,
    2 ** -149,
    -(2 ** -149),
    2 ** -126,
    LARGEST,
    -LARGEST,
    88.72,
    88.73,
    -103.9,
    -104,
  ];
  return Float32Array.from([...new Float32Array(bits.buffer), ...walk, ...special, ...nearQuarters]);
}

function ulp(x: number): number {
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(x))));
  return 2 ** (exponent - 23);
}

/** Distance in ulp; NaN must be NaN, and what is too large for a float32 infinite. */
function distance(got: number, want: number): number {
  const rounded = Math.fround(want);
  if (!Number.isFinite(rounded) || !Number.isFinite(got))
    return Object.is(got, rounded) ? 0 : Math.abs(want) > LARGEST * (1 - 1e-6) ? 0 : Infinity;
  return Math.abs(got - want) / ulp(want);
}

/** x whole and y whole: what `op` makes of every pair. */
function binary(backend: CpuBackend, op: BinaryOp, xs: Float32Array, ys: Float32Array): TypedArray {
  const type = { shape: [xs.length], dtype: "float32" } as const;
  const [x, y] = [xs, ys].map((data) => ({ ...type, buffer: backend.upload(type, data), strides: [1], offset: 0 }));
  return backend.downloadSync(backend.binary(op, type, x, y), type);
}

// prettier-ignore
const corners = [
  0, 1, 2, 3, 0.5, 0.1, 7, 5.5, 2 ** 24 + 2, 1e30, 1e-30, 1.0000001, 0.99999994, Infinity, NaN, 2 ** -149, 2 ** -126, LARGEST,
].flatMap((x) => [x, -x]);

/** Each corner with each other. */
const pairs = {
  xs: Float32Array.from(corners.flatMap((x) => corners.map(() => x))),
  ys: Float32Array.from(corners.flatMap(() => corners)),
};

/** Pairs all over the range, and pairs whose power is mostly a float32; made by exact arithmetic, so that every engine has the same. */
function powers(): { xs: Float32Array; ys: Float32Array } {
  const count = 20_000;
  const bits = (start: number, step: number): Float32Array =>
    new Float32Array(Uint32Array.from({ length: count }, (_, i) => start + i * step).buffer);
  const small = Float32Array.from({ length: count }, (_, i) => ((i % 41) - 20) / 8);
  const large = Float32Array.from({ length: count }, (_, i) => ((i % 301) - 150) * 0.9921875);
  return {
    xs: Float32Array.from([...bits(0, 214_661), ...bits(0, 100_003), ...bits(0x3f000000, 831)]),
    ys: Float32Array.from([...bits(7, 211_949), ...small, ...large]),
  };
}

/** Bits as one number (Fowler, Noll and Vo's hash, 1991); all NaN are one. */
function fingerprint(data: TypedArray): string {
  const bits = new Uint32Array(Float32Array.from(data, (x) => (x === x ? x : 0)).buffer);
  return (bits.reduce((hash, word) => Math.imul(hash ^ word, 0x01000193), 0x811c9dc5) >>> 0).toString(16);
}

for (const deterministic of [true, false]) {
  describe(`vector functions, deterministic: ${deterministic}`, () => {
    let backend: WasmBackend;
    const xs = arguments32();
    before(async () => void (backend = await wasm({ threads: 1, deterministic })));

    for (const name of Object.keys(wants) as Name[]) {
      it(`${name} is within ${ERROR_ULP[name]} ulp`, () => {
        const type = { shape: [xs.length], dtype: "float32" } as const;
        const x = { ...type, buffer: backend.upload(type, xs), strides: [1], offset: 0 };
        const got = backend.downloadSync(backend.unary(name, type, x), type);
        let worst = { error: -1, x: 0, got: 0, want: 0 };
        xs.forEach((value, i) => {
          const want = wants[name](value);
          const error = distance(got[i], want);
          if (!(error <= worst.error)) worst = { error, x: value, got: got[i], want };
        });
        expect(worst.error, JSON.stringify({ ...worst, x: String(worst.x) })).to.be.at.most(ERROR_ULP[name]);
      });
    }

    it(`pow is within ${ERROR_ULP.pow} ulp`, () => {
      const { xs, ys } = powers();
      const got = binary(backend, "pow", xs, ys);
      const errors = xs.map((x, i) => distance(got[i], x ** ys[i]));
      const worst = errors.reduce((at, error, i) => (error <= errors[at] ? at : i), 0);
      expect(errors[worst], `${xs[worst]} ** ${ys[worst]} = ${got[worst]}`).to.be.at.most(ERROR_ULP.pow);
      expect(got.filter((x) => x > 0 && x < Infinity).length, "finite powers").to.be.above(30_000);
    });
  });
}

describe("functions of two numbers at their corners", () => {
  const reference = new CpuBackend();
  for (const op of ["pow", "mod", "floorDiv"] as const) {
    it(`${op} agrees with the reference to the last bit`, async () => {
      const { xs, ys } = pairs;
      const got = binary(await wasm({ threads: 1 }), op, xs, ys);
      const want = binary(reference, op, xs, ys);
      xs.forEach((x, i) => expect(got[i], `${op} of ${x} and ${ys[i]}`).to.deep.equal(want[i]));
    });
  }
});

describe("running sums", () => {
  it("have the reference's bits, along rows and along columns", async () => {
    const shapes = [
      [3, 1000],
      [1000, 9],
    ];
    const backends = [await wasm({ threads: 1 }), new CpuBackend()];
    for (const [axis, shape] of shapes.entries()) {
      const type = { shape, dtype: "float32" } as const;
      const data = Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => Math.fround(0.1) * ((i % 7) + 1));
      const [got, want] = backends.map((backend) => {
        const x = { ...type, buffer: backend.upload(type, data), strides: [shape[1], 1], offset: 0 };
        return backend.downloadSync(backend.cumsum(type, x, 1 - axis, false, true), type);
      });
      expect(Array.from(got)).to.deep.equal(Array.from(want));
    }
  });
});

describe("a deterministic backend", () => {
  // From one engine; the others must have the same bits.
  // prettier-ignore
  const fingerprints: Record<keyof typeof ERROR_ULP, string> = {
    exp: "fc898a09", expm1: "fc61a557", log: "506cbea7", log1p: "4b3c680", tanh: "2663f34b", sigmoid: "71c1dc75", softplus: "a450849c",
    rsqrt: "66c8bcde", sin: "5c06382", cos: "53878134", erf: "8a390efe", erfc: "6b98e81a", normalCdf: "ea7cc508", pow: "288f9d51",
  };

  it("gives the same bits on every engine", async () => {
    const backend = await wasm({ threads: 1, deterministic: true });
    const xs = arguments32();
    const type = { shape: [xs.length], dtype: "float32" } as const;
    const x = { ...type, buffer: backend.upload(type, xs), strides: [1], offset: 0 };
    const unary = (Object.keys(wants) as Name[]).map((name) => [
      name,
      fingerprint(backend.downloadSync(backend.unary(name, type, x), type)),
    ]);
    const { xs: bases, ys } = powers();
    const pow = fingerprint(binary(backend, "pow", bases, ys));
    expect({ ...Object.fromEntries(unary), pow }).to.deep.equal(fingerprints);
  });
});
