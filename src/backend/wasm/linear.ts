/** Launching linear maps, x weight + bias: the bias is added where the product lies. R rows, D inputs, F outputs. */
import { reshapedStrides, sizeOf } from "../shape.ts";
import type { ArrayType, FusedKernel, NDArray } from "../backend.ts";
import { multiply } from "./products.ts";
import type { Matrix } from "./products.ts";
import { sumOver } from "./reductions.ts";
import type { Launcher } from "./launcher.ts";

export function linear(launcher: Launcher): FusedKernel<null> {
  return {
    forward(out, [x, weight, bias]) {
      if (weight.shape[0] === 0) return undefined;
      const product = (to: number, at?: number): void =>
        withRows(launcher, x, (rows) => productTo(launcher, to, rows, matrix(launcher, weight), sizesOf(x, weight), at));
      const whole = (to: number): void => (bias ? launcher.contiguous([bias], (at) => product(to, at)) : product(to));
      return { out: launcher.make(out, whole), saved: [] };
    },
    backward: (g, _out, _saved, [x, weight, bias], needed) => {
      const [R, D, F] = sizesOf(x, weight);
      const given = matrix(launcher, weight);
      return withRows(launcher, g, (slope) => [
        needed[0] ? launcher.make(x, (to) => productTo(launcher, to, slope, turned(given), [R, F, D])) : null,
        needed[1]
          ? launcher.make(weight, (to) => withRows(launcher, x, (rows) => productTo(launcher, to, turned(rows), slope, [D, R, F])))
          : null,
        ...(bias ? [needed[2] ? sumOver(launcher, bias, g, leading(g)) : null] : []),
      ]);
    },
  };
}

/** R, D, F. */
function sizesOf(x: NDArray, { shape: [D, F] }: NDArray): [number, number, number] {
  return [sizeOf(x.shape) / D, D, F];
}

const leading = ({ shape }: ArrayType): number[] => shape.slice(0, -1).map((_, axis) => axis);

function matrix(launcher: Launcher, x: NDArray): Matrix {
  return { at: launcher.address(x), batch: 0, row: 4 * x.strides[0], column: 4 * x.strides[1] };
}

const turned = (x: Matrix): Matrix => ({ ...x, row: x.column, column: x.row });

/** `use` with x [..., D] as the matrix of its rows: where it lies if its leading axes are one axis there, else of a copy. */
function withRows<T>(launcher: Launcher, x: NDArray, use: (rows: Matrix) => T): T {
  const width = x.shape[x.shape.length - 1];
  const strides = reshapedStrides(x.shape, x.strides, [sizeOf(x.shape) / width, width]);
  if (strides) return use({ at: launcher.address(x), batch: 0, row: 4 * strides[0], column: 4 * strides[1] });
  return launcher.contiguous([x], (at) => use({ at, batch: 0, row: 4 * width, column: 4 }));
}

/** a [m, k] b [k, n] to where `to` says, and to each of its rows the one at `bias`. */
function productTo(launcher: Launcher, to: number, a: Matrix, b: Matrix, [m, k, n]: readonly [number, number, number], bias = 0): void {
  multiply(launcher, { batch: 1, m, n, k, a, b, c: { at: to, batch: 0, row: 4 * n }, bias });
}
