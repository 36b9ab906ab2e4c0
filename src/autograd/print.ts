/** How a tensor looks: type, place and values, summarised as PyTorch does. */
import type { Shape } from "../backend/shape.ts";
import { formatShape } from "../backend/shape.ts";
import type { Tensor } from "./tensor.ts";

/** More elements than this are summarised to the first and last EDGE of each axis. */
const SUMMARISE_ABOVE = 1000;
const EDGE = 3;

/** Writes a tensor as text. The values are left out where the device cannot be read at once. */
export function print(x: Tensor): string {
  const facts = [x.dtype, formatShape(x.shape), x.disposed ? "freed" : x.backend.name];
  if (x.requiresGrad) facts.push(x.line ? `requiresGrad (${x.line.name})` : "requiresGrad");
  const head = `Tensor ${x.name === undefined ? "" : `"${x.name}" `}${facts.join(" ")}`;
  if (x.disposed) return head;
  if (!x.backend.downloadSync) return `${head}: read it with await t.data()`;
  return `${head}\n${values(x.dataSync(), x.shape)}`;
}

function values(flat: ArrayLike<number>, shape: Shape): string {
  const summarised = flat.length > SUMMARISE_ABOVE;
  const shown: number[] = [];
  visit(shape, summarised, (i) => shown.push(flat[i]));
  const write = formatter(shown);
  const rows = (axis: number, start: number, stride: number): string => {
    if (axis === shape.length) return write(flat[start]);
    const step = stride / shape[axis];
    const parts = indices(shape[axis], summarised).map((i) => (i < 0 ? "..." : rows(axis + 1, start + i * step, step)));
    const inner = axis === shape.length - 1;
    return `[${parts.join(inner ? ", " : `,${"\n".repeat(shape.length - 1 - axis)}${" ".repeat(axis + 1)}`)}]`;
  };
  return rows(0, 0, flat.length);
}

/** The indices shown of an axis; -1 stands for the ones left out. */
function indices(n: number, summarised: boolean): number[] {
  if (!summarised || n <= 2 * EDGE) return Array.from({ length: n }, (_, i) => i);
  const edge = Array.from({ length: EDGE }, (_, i) => i);
  return [...edge, -1, ...edge.map((i) => n - EDGE + i)];
}

function visit(shape: Shape, summarised: boolean, see: (index: number) => void, axis = 0, start = 0): void {
  if (axis === shape.length) return see(start);
  const step = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  for (const i of indices(shape[axis], summarised)) if (i >= 0) visit(shape, summarised, see, axis + 1, start + i * step);
}

/** One width and one style for all: integers as such, four decimals, or powers of ten where the range is wide. */
function formatter(shown: readonly number[]): (x: number) => string {
  const finite = shown.filter((x) => Number.isFinite(x));
  const largest = finite.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const smallest = finite.reduce((least, x) => (x === 0 ? least : Math.min(least, Math.abs(x))), largest);
  const integers = finite.every((x) => Number.isInteger(x));
  const scientific = largest >= 1e8 || (!integers && (smallest < 1e-4 || (largest / smallest > 1000 && largest >= 1e5)));
  const style = (x: number): string => {
    if (!Number.isFinite(x)) return Number.isNaN(x) ? "nan" : x < 0 ? "-inf" : "inf";
    if (scientific) return x.toExponential(4);
    return integers ? x.toFixed(0) : x.toFixed(4);
  };
  const width = shown.reduce((most, x) => Math.max(most, style(x).length), 0);
  return (x) => style(x).padStart(width);
}
