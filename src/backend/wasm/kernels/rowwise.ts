/** What kernels of rows share: the loop over rows, and sums along a row, which are kept in float64 (Sums of loops.ts). */
import { f64x2, i32 } from "../instructions.ts";
import type { I32, V128 } from "../instructions.ts";
import type { Body, Local } from "../assembler.ts";
import { Sums, ZERO, forVectors, widened, within } from "./loops.ts";

/** `body` for each row's byte offset. */
export function forRows(
  f: Body,
  { columns, begin, end }: { columns: I32; begin: I32; end: I32 },
  body: (row: Local<"i32">, bytes: I32, r: I32) => void,
): void {
  const bytes = f.let(i32.shl(columns, 2));
  f.for(begin, end, 1, (r) => body(f.let(i32.mul(r, bytes)), bytes, r));
}

/** The sum over a row of what `term` gives, in float64. */
export function rowSum(f: Body, bytes: I32, term: (at: I32) => V128): Local<"f64"> {
  const sums = new Sums(f);
  sums.start();
  forVectors(f, bytes, (at, tail) => sums.add(widened(f, within(term(at), ZERO, tail))));
  return f.let(sums.total);
}

/** The sum over a row of x y, each product exact. */
export function rowDot(f: Body, bytes: I32, x: (at: I32) => V128, y: (at: I32) => V128): Local<"f64"> {
  const sums = new Sums(f);
  sums.start();
  forVectors(f, bytes, (at, tail) => {
    const left = widened(f, within(x(at), ZERO, tail));
    const right = widened(f, within(y(at), ZERO, tail));
    sums.add([f64x2.mul(left[0], right[0]), f64x2.mul(left[1], right[1])]);
  });
  return f.let(sums.total);
}
