/** Matrix products of rows sorted by expert. M rows, E experts, D and F widths; expert e owns rows offsets[e] to offsets[e + 1]. */
import { checkOffsets } from "../indices.ts";
import { contiguous } from "./movement.ts";
import { matrixAt, multiply, transposed } from "./matmul.ts";
import type { Strided } from "./strided.ts";
import type { TypedArray } from "../backend.ts";

/** out[rows of e] = x[rows of e] weight[e]; rows behind the last expert's are zeros. */
export function groupedMatmul(out: TypedArray, x: Strided, weight: Strided, offsets: Strided): void {
  const [experts, d, f] = weight.shape;
  const ends = contiguous(offsets);
  checkOffsets("groupedMatmul", ends, x.shape[0]);
  out.fill(0);
  for (let e = 0; e < experts; e++) {
    const rows = matrixAt(x, x.offset + ends[e] * x.strides[0]);
    multiply(out, ends[e] * f, ends[e + 1] - ends[e], f, d, rows, matrixAt(weight, weight.offset + e * weight.strides[0]));
  }
}

/** out[e] = x[rows of e]^T y[rows of e]. */
export function groupedOuter(out: TypedArray, x: Strided, y: Strided, offsets: Strided): void {
  const [d, f] = [x.shape[1], y.shape[1]];
  const ends = contiguous(offsets);
  checkOffsets("groupedOuter", ends, x.shape[0]);
  for (let e = 0; e < ends.length - 1; e++) {
    const left = transposed(matrixAt(x, x.offset + ends[e] * x.strides[0]));
    multiply(out, e * d * f, d, f, ends[e + 1] - ends[e], left, matrixAt(y, y.offset + ends[e] * y.strides[0]));
  }
}
