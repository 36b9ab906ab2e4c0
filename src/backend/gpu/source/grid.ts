/**
 * From shapes and strides to source text. Every index expression of every kernel is made by `indexOf`, and every
 * assignment of threads to elements by `gridOf`.
 *
 * gpu.js hands a kernel up to three thread numbers and its arguments as flat arrays. Sizes, strides and offsets are
 * literals in the source, which all modes fold into exact integer arithmetic.
 */
import { sizeOf } from "../../shape.ts";
import type { Shape } from "../../shape.ts";
import type { Program } from "../device.ts";

/** Where the elements of an array lie, in elements. */
export interface Layout {
  readonly strides: readonly number[];
  readonly offset: number;
}

/** Axes that lie one behind the other in every operand, merged; axes of size 1 gone. */
export interface Merged {
  readonly shape: readonly number[];
  readonly layouts: readonly Layout[];
}

export function merge(shape: Shape, layouts: readonly Layout[]): Merged {
  const sizes: number[] = [];
  const steps: number[][] = [];
  shape.forEach((n, axis) => {
    if (n === 1) return;
    const step = layouts.map((layout) => layout.strides[axis]);
    const last = sizes.length - 1;
    if (last >= 0 && steps[last].every((s, k) => s === step[k] * n)) {
      sizes[last] *= n;
      steps[last] = step;
    } else {
      sizes.push(n);
      steps.push(step);
    }
  });
  return { shape: sizes, layouts: layouts.map(({ offset }, k) => ({ strides: steps.map((step) => step[k]), offset })) };
}

/** "this.thread.y * 12 + this.thread.x + 3": the flat place of `coordinates`. */
export function indexOf(coordinates: readonly string[], { strides, offset }: Layout): string {
  const forwards: string[] = [];
  const backwards: string[] = [];
  coordinates.forEach((coordinate, axis) => {
    const step = strides[axis];
    if (step !== 0) (step > 0 ? forwards : backwards).push(Math.abs(step) === 1 ? coordinate : `${coordinate} * ${Math.abs(step)}`);
  });
  if (offset !== 0 || forwards.length === 0) forwards.push(String(offset));
  return [forwards.join(" + "), ...backwards].join(" - ");
}

/** Which thread computes which element. */
export interface Grid {
  /** Innermost axis first, as gpu.js wants them. */
  readonly threads: readonly number[];
  /** Source of each axis's coordinate. */
  readonly coordinates: readonly string[];
  /** Statements that the coordinates need. */
  readonly prelude: string;
}

export interface GridLimits {
  /** Elements along each side of a two-axis grid. */
  readonly side: number;
}

const maxOuter = 65535;
const threadNames = ["this.thread.x", "this.thread.y", "this.thread.z"];

/** One thread for each element of `shape`, in row-major order; the inner three axes are the device's own where they fit. */
export function gridOf(shape: Shape, limits: GridLimits): Grid {
  const last = shape.length - 1;
  const threads = shape.length <= 3 ? shape.toReversed() : [shape[last], shape[last - 1], sizeOf(shape.slice(0, -2))];
  if (shape.length === 0) return { threads: [1], coordinates: [], prelude: "" };
  if (!fits(threads, limits)) return flatGrid(shape);
  if (shape.length <= 3) return { threads, coordinates: threadNames.slice(0, shape.length).toReversed(), prelude: "" };
  const outer = split("this.thread.z", shape.slice(0, -2));
  return { threads, coordinates: [...outer.coordinates, "this.thread.y", "this.thread.x"], prelude: outer.prelude };
}

// Why 8: devices run threads in tiles of 8 by 8; a short inner axis would leave most of a tile idle.
function fits(threads: readonly number[], { side }: GridLimits): boolean {
  if (threads.length === 1 || side === Infinity) return true;
  if (threads.length === 2 && (threads[0] > side || threads[1] > side)) return false;
  return threads.slice(1).every((n) => n <= maxOuter) && threads[0] >= 8;
}

function flatGrid(shape: Shape): Grid {
  const { coordinates, prelude } = split("this.thread.x", shape);
  return { threads: [sizeOf(shape)], coordinates, prelude };
}

/** The coordinates in `shape` of the flat number `flat`. */
function split(flat: string, shape: Shape): { coordinates: string[]; prelude: string } {
  const names = shape.map((_, axis) => `c${axis}`);
  let prelude = `let remaining = ${flat} * 1.0;`;
  for (let axis = shape.length - 1; axis > 0; axis--) prelude += splitOff(names[axis], shape[axis], axis);
  return { coordinates: names, prelude: `${prelude} const c0 = remaining;` };
}

// Why the correction: a device may divide with an error of a few units in the last place, enough to floor to a neighbour.
function splitOff(name: string, n: number, axis: number): string {
  const [quotient, remainder] = [`q${axis}`, name];
  return ` let ${quotient} = Math.floor(remaining / ${n}); let ${remainder} = remaining - ${quotient} * ${n};
  if (${remainder} < 0) { ${quotient} = ${quotient} - 1; ${remainder} = ${remainder} + ${n}; }
  if (${remainder} >= ${n}) { ${quotient} = ${quotient} + 1; ${remainder} = ${remainder} - ${n}; }
  remaining = ${quotient};`;
}

/** Names of a kernel's array arguments. */
export const arrayNames = ["a", "b", "c", "d", "e", "f", "g", "h"];

/** The source of a kernel with `arrays` array arguments, named in order, and the scalars after them. */
export function kernelSource(arrays: number, scalars: readonly string[], body: string): string {
  return `function(${[...arrayNames.slice(0, arrays), ...scalars].join(", ")}) {\n  ${body}\n}`;
}

/** Where a kernel finds an array: which of its arguments holds it, and how many elements in it begins. */
export interface Place {
  readonly argument: number;
  readonly start: number;
}

/** The same kernel, its arrays found in fewer arguments, or further in: reads change their name, and move by a literal. */
export function readingAt({ source, ...rest }: Program, places: readonly Place[]): Program {
  if (places.every(({ argument, start }, k) => argument === k && start === 0)) return { source, ...rest };
  const [arrays, names] = [1 + Math.max(...places.map(({ argument }) => argument)), arrayNames.slice(0, places.length).join(", ")];
  const moved = (_: string, name: string): string => {
    const { argument, start } = places[arrayNames.indexOf(name)];
    return `${arrayNames[argument]}[${start === 0 ? "" : `${start} + `}`;
  };
  const head = `function(${arrayNames.slice(0, arrays).join(", ")}`;
  return { ...rest, source: head + source.slice(`function(${names}`.length).replace(/\b([a-h])\[/g, moved) };
}
