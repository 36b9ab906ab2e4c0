/** Matrix products. M rows, K inner, N columns; E experts, D width, F hidden width. */
import type { ArrayType } from "../backend/backend.ts";
import { formatShape } from "../backend/shape.ts";
import { apply } from "./apply.ts";
import { requireFloat, requireInt, requireSameDtype } from "./arguments.ts";
import type { Primitive } from "./primitive.ts";

/** x [..., M, K] times y [..., K, N]; leading axes agree. Transposes in the rules are views: no gradient copies one. */
export const matmul: Primitive = {
  name: "matmul",
  type(x, y) {
    requireFloat("matmul", x);
    requireSameDtype("matmul", x, y);
    return { shape: [...x.shape.slice(0, -1), y.shape[y.shape.length - 1]], dtype: x.dtype };
  },
  run: (backend, out, x, y) => backend.matmul(out, x, y),
  vjp: [(g, _, _x, y) => g.matmul(y.transpose()), (g, _, x) => x.transpose().matmul(g)],
};

/** x [M, D], weight [E, D, F], offsets [E + 1] -> [M, F]: rows from offsets[e] up to offsets[e + 1] times weight[e]. Gale et al. 2022, arXiv:2211.15841. */
export const groupedMatmul: Primitive = {
  name: "groupedMatmul",
  type(x, weight, offsets) {
    checkGrouped(
      "groupedMatmul",
      "[M, D], [E, D, F]",
      x.shape.length === 2 && weight.shape.length === 3 && x.shape[1] === weight.shape[1],
      [x, weight, offsets],
    );
    if (offsets.shape[0] !== weight.shape[0] + 1)
      throw new RangeError(
        `groupedMatmul: ${weight.shape[0]} experts need ${weight.shape[0] + 1} offsets, given ${formatShape(offsets.shape)}`,
      );
    return { shape: [x.shape[0], weight.shape[2]], dtype: x.dtype };
  },
  run: (backend, out, x, weight, offsets) => backend.groupedMatmul(out, x, weight, offsets),
  vjp: [
    (g, _, _x, weight, offsets) => apply(groupedMatmul, g, weight.transpose(), offsets),
    (g, _, x, _w, offsets) => apply(groupedOuter, x, g, offsets),
    null,
  ],
};

/** x [M, D], y [M, F] -> [E, D, F]: the sum over the rows of each expert of x^T y. The adjoint of groupedMatmul in its weight. */
export const groupedOuter: Primitive = {
  name: "groupedOuter",
  type(x, y, offsets) {
    checkGrouped("groupedOuter", "[M, D], [M, F]", x.shape.length === 2 && y.shape.length === 2 && x.shape[0] === y.shape[0], [
      x,
      y,
      offsets,
    ]);
    if (offsets.shape[0] === 0) throw new RangeError("groupedOuter: offsets [0]: want one at least, [E + 1]");
    return { shape: [offsets.shape[0] - 1, x.shape[1], y.shape[1]], dtype: x.dtype };
  },
  run: (backend, out, x, y, offsets) => backend.groupedOuter(out, x, y, offsets),
  vjp: [
    (g, _, _x, y, offsets) => apply(groupedMatmul, y, g.transpose(), offsets),
    (g, _, x, _y, offsets) => apply(groupedMatmul, x, g, offsets),
    null,
  ],
};

function checkGrouped(operation: string, wanted: string, fits: boolean, [x, y, offsets]: readonly ArrayType[]): void {
  requireFloat(operation, x);
  requireSameDtype(operation, x, y);
  requireInt(operation, "offsets", offsets);
  if (!fits || offsets.shape.length !== 1)
    throw new RangeError(
      `${operation}: ${formatShape(x.shape)}, ${formatShape(y.shape)}, offsets ${formatShape(offsets.shape)}: want ${wanted}, [E + 1]`,
    );
}
