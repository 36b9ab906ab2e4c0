/** Launching activations with their bias, and their cotangents. D width, E experts. */
import { sizeOf } from "../shape.ts";
import type { Activation, Buffer, FusedKernel, NDArray } from "../backend.ts";
import type { Launcher } from "./launcher.ts";

const widthOf = ({ shape }: NDArray): number => shape[shape.length - 1];

/** Rough nanoseconds for a number on one thread. */
const cost: Record<Activation, number> = { relu: 0.5, gelu: 6, geluTanh: 4, silu: 4 };

/** What stands beside x in a call. */
interface Beside {
  /** [D] or [E, 1, D] */
  readonly bias?: NDArray | undefined;
  /** The cotangent that comes back; without it the activation itself is computed. */
  readonly g?: NDArray;
  /** Rows that count: `filled` [E, G], contiguous. */
  readonly filled?: NDArray;
}

/** activation(x + bias), or with `g` its cotangent, in a new buffer. */
export function activated(launcher: Launcher, name: Activation, x: NDArray, beside: Beside = {}): Buffer {
  return launcher.make(x, (to) => activateInto(launcher, to, name, x, beside));
}

/** The same to where `to` says, which may be x itself. */
export function activateInto(launcher: Launcher, to: number, name: Activation, x: NDArray, { bias, g, filled }: Beside): void {
  const suffix = g ? "Cotangent" : "";
  const [columns, n] = [widthOf(x), sizeOf(x.shape)];
  const work = cost[name] * n;
  launcher.contiguous([x, g ?? x, bias ?? x], (from, slope, biases) => {
    if (!bias && !filled) return launcher.start(`${name}Activation${suffix}`, Math.ceil(n / 4), work, to, from, slope);
    const counts = filled ? [launcher.address(filled), n / columns / sizeOf(filled.shape)] : [0, 1];
    const run = (at: number, group: number): void =>
      launcher.start(`${name}Rows${suffix}`, n / columns, work, to, from, at, slope, columns, group, ...counts);
    if (bias) return run(biases, n / sizeOf(bias.shape));
    launcher.scratch(4 * columns, (zeros) => {
      launcher.zero(zeros, columns);
      run(zeros, n / columns);
    });
  });
}

/** Whether the bias has a row for neighbouring rows of x: it has the leading sizes of x up to an axis, 1 from there on, and the width of x. */
function sharesRows(x: NDArray, bias: NDArray): boolean {
  const last = x.shape.length - 1;
  if (last < 0) return false;
  const sizes = [...new Array<number>(x.shape.length - bias.shape.length).fill(1), ...bias.shape];
  const shared = sizes.findIndex((n, axis) => axis < last && n !== x.shape[axis]);
  return sizes[last] === x.shape[last] && (shared < 0 || sizes.slice(shared, last).every((n) => n === 1));
}

export function activation(launcher: Launcher): FusedKernel<{ activation: Activation }> {
  return {
    forward: (_out, [x, bias], { activation: name }) =>
      bias && !sharesRows(x, bias) ? undefined : { out: activated(launcher, name, x, { bias }), saved: [] },
    backward: (g, _out, _saved, [x, bias], needed, { activation: name }) => {
      const dx = activated(launcher, name, x, { bias, g });
      const db = bias && needed[1] ? sumToBias(launcher, launcher.addressOf(dx), x, bias) : null;
      return [launcher.keep(dx, needed[0]), ...(bias ? [db] : [])];
    },
  };
}

/** Sums the rows that share a bias, of the cotangent at `dx`. */
export function sumToBias(launcher: Launcher, dx: number, x: NDArray, bias: NDArray): Buffer {
  const columns = widthOf(x);
  const groups = sizeOf(bias.shape) / columns;
  const rows = sizeOf(x.shape) / columns / groups;
  return launcher.make(bias, (to) => {
    for (let e = 0; e < groups; e++) {
      const from = dx + 4 * e * rows * columns;
      launcher.start("sumColumns", Math.ceil(columns / 16), (rows * columns) / 2, to + 4 * e * columns, from, rows, columns);
    }
  });
}
