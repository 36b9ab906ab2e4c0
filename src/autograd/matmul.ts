/** The matrix product of tensors of any rank. */
import { broadcastShapes, formatShape } from "../backend/shape.ts";
import { apply, widened } from "./apply.ts";
import { requireTensor } from "./arguments.ts";
import * as products from "./products.ts";
import type { Tensor } from "./tensor.ts";

/** As torch.matmul: a vector is treated as a row or a column, leading axes broadcast, and a single matrix on the right multiplies all rows in one product. */
export function matmul(x: Tensor, y: Tensor): Tensor {
  requireTensor("matmul", y, "y");
  if (x.shape.length === 0 || y.shape.length === 0)
    throw new RangeError(`matmul: ${formatShape(x.shape)} x ${formatShape(y.shape)}: scalars have no matrix product; use mul`);
  const [inner, other] = [x.shape[x.shape.length - 1], y.shape[Math.max(0, y.shape.length - 2)]];
  if (inner !== other)
    throw new RangeError(`matmul: ${formatShape(x.shape)} x ${formatShape(y.shape)}: inner sizes ${inner} and ${other} differ`);
  if (x.shape.length === 1) return matmul(x.unsqueeze(0), y).squeeze(y.shape.length === 1 ? 0 : -2);
  if (y.shape.length === 1) return matmul(x, y.unsqueeze(1)).squeeze(-1);
  return widened("matmul", [x, y], (a, b) => {
    if (a.shape.length === b.shape.length && a.shape.length === 2) return apply(products.matmul, a, b);
    if (b.shape.length === 2 && a.size > 0) {
      const flat = apply(products.matmul, a.reshape([-1, a.shape[a.shape.length - 1]]), b);
      return flat.reshape([...a.shape.slice(0, -1), b.shape[1]]);
    }
    const lead = broadcastShapes(a.shape.slice(0, -2), b.shape.slice(0, -2));
    if (!lead) throw new RangeError(`matmul: ${formatShape(x.shape)} x ${formatShape(y.shape)}: leading axes do not broadcast`);
    return apply(products.matmul, a.broadcastTo([...lead, ...a.shape.slice(-2)]), b.broadcastTo([...lead, ...b.shape.slice(-2)]));
  });
}
