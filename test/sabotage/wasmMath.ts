/** Breakages of the WebAssembly backend's arithmetic. */
import type { Sabotage } from "./sabotage.ts";

const wide = "src/backend/wasm/kernels/viaFloat64.ts";
const integer = "src/backend/wasm/kernels/integer.ts";
const elementwise = "src/backend/wasm/kernels/elementwise.ts";
const mathTest = "test/backend/wasmMath.test.ts";
const integerTest = "test/backend/wasmIntegers.test.ts";
const laws = "test/backend/wasm.test.ts";

export const wasmMath: readonly Sabotage[] = [
  {
    what: "far angles are reduced like near ones",
    file: wide,
    from: "const FAR = 2 ** 20;",
    to: "const FAR = 2 ** 60;",
    test: mathTest,
    title: "sin is within",
  },
  {
    what: "2 / pi ends a piece too early for the float32 nearest to a quarter turn",
    file: wide,
    from: "0xf534dd, 0xc0db62, 0x95993c, 0x439041]",
    to: "0xf534dd, 0xc0db62]",
    test: mathTest,
    title: "sin is within",
  },
  {
    what: "what remains of a far angle is added up with a rounding each time",
    file: wide,
    from: "const GRAIN = 1.5 * 2 ** 4;",
    to: "const GRAIN = 1.5 * 2 ** -8;",
    test: mathTest,
    title: "cos is within",
  },
  {
    what: "the sine of -0 is 0",
    file: wide,
    from: "return v128.select(f32x4.eq(x, 0), x, result);",
    to: "return result;",
    test: mathTest,
    title: "same bits on every engine",
  },
  {
    what: "an odd power of a negative number is positive",
    file: wide,
    from: "v128.and(v128.and(x, SIGN), odd)",
    to: "v128.and(v128.and(x, SIGN), whole)",
    test: mathTest,
    title: "pow agrees",
  },
  {
    what: "a large quotient is taken for exact",
    file: wide,
    from: "f64x2.trunc(v128.and(div(r, y), LEADING))",
    to: "f64x2.trunc(div(r, y))",
    test: mathTest,
    title: "mod agrees",
  },
  {
    what: "the remainder has the sign of the dividend",
    file: wide,
    from: "return f.let(v128.select(crosses(r, ys[k]), add(r, ys[k]), r));",
    to: "return r;",
    test: mathTest,
    title: "mod agrees",
  },
  {
    what: "whole quotients are cut off, not rounded down",
    file: integer,
    from: "f64x2.floor(f64x2.div(a, b))",
    to: "f64x2.trunc(f64x2.div(a, b))",
    test: integerTest,
    title: "floorDiv",
  },
  {
    what: "the remainder by 0 is the number itself",
    file: integer,
    from: "return v128.andnot(i32x4.sub(x, i32x4.mul(quotient(f, x, y), y)), i32x4.eq(y, NONE));",
    to: "return i32x4.sub(x, i32x4.mul(quotient(f, x, y), y));",
    test: integerTest,
    title: "mod of every pair",
  },
  {
    what: "a float32 beyond int32 stays at the end of the range",
    file: elementwise,
    from: "f32x4.sub(turns, f32x4.nearest(turns))",
    to: "turns",
    test: integerTest,
    title: "a float32 is truncated",
  },
  {
    what: "2^31 becomes the number below it",
    file: elementwise,
    from: "return i32x4.sub(i32x4.truncF32x4(rest), f32x4.ge(rest, 2 ** 31));",
    to: "return i32x4.truncF32x4(rest);",
    test: integerTest,
    title: "a float32 is truncated",
  },
  {
    what: "a whole condition is read as a float32",
    file: elementwise,
    from: "i32x4.ne(condition, i32x4.const(0))",
    to: "f32x4.gt(condition, 0)",
    test: laws,
    title: "of whole numbers, by whole numbers",
  },
  {
    what: "among lanes, the later of equals wins",
    file: "src/backend/wasm/kernels/argReduce.ts",
    from: "i32x4.lt(otherPlace, place)",
    to: "i32x4.gt(otherPlace, place)",
    test: laws,
    title: "the first of the best",
  },
  {
    what: "a NaN wins an argmax",
    file: "src/backend/wasm/kernels/argReduce.ts",
    from: "v128.or(f32x4.gt(x, y), v128.andnot(isNaN(y), isNaN(x)))",
    to: "v128.or(f32x4.gt(x, y), v128.andnot(isNaN(x), isNaN(y)))",
    test: laws,
    title: "NaN never wins a max",
  },
  {
    what: "running sums are kept in float32",
    file: "src/backend/wasm/kernels/cumsum.ts",
    from: "f.set(total, f64.add(total, f64.fromF32(value)));",
    to: "f.set(total, f64.fromF32(f32.add(f32.fromF64(total), value)));",
    test: mathTest,
    title: "running sums",
  },
  {
    what: "indices along an axis name elements of the first item",
    file: "src/backend/wasm/kernels/along.ts",
    from: "const from = f.let(i32.mul(item, i32.mul(row, p.n)));",
    to: "const from = f.let(i32.mul(p.begin, 0));",
    test: integerTest,
    title: "rows and elements by index",
  },
];
