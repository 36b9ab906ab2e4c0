/** The vector functions against float64, over the whole range of float32. An ulp is the distance to the next float32. */
import { expect } from "chai";
import { erf, erfc, normalCdf } from "../../src/backend/specialFunctions.ts";
import { wasm } from "../../src/backend/wasm/index.ts";
import type { WasmBackend } from "../../src/backend/wasm/index.ts";
import { ERROR_ULP } from "../../src/backend/wasm/kernels/math.ts";

type Name = keyof typeof ERROR_ULP;

const wants: Record<Name, (x: number) => number> = {
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  tanh: Math.tanh,
  sigmoid: (x) => (x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x))),
  softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  rsqrt: (x) => 1 / Math.sqrt(x),
  erf,
  erfc,
  normalCdf,
};

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
  return Float32Array.from([...new Float32Array(bits.buffer), ...walk, ...special]);
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
  });
}
