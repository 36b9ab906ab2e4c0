/** The table that says, element by element, which tensors of a file make which parameter of a model. It serves loading and saving. */
import type { Shape, TypedArray } from "../autograd/contract.ts";
import { formatShape, sameShape, sizeOf } from "../autograd/contract.ts";
import type { StoredTensor } from "./stored.ts";
import { isFloat } from "./stored.ts";

/** One tensor of a file, or some of its rows, inside one parameter. Its element i lies at base + sum over axes of i[axis] strides[axis]. */
export interface Part {
  /** The names that it may have; it is written under the first. Where a file has several, they are tied and must be equal. */
  readonly names: readonly string[];
  /** In the file. */
  readonly shape: Shape;
  readonly base: number;
  /** In elements of the parameter. */
  readonly strides: readonly number[];
  /** Of the last axis but one, where the tensor is shared with another parameter: from, to. */
  readonly rows?: readonly [number, number];
}

/** A parameter, and the tensors of a file that it is made of. */
export interface Row {
  /** Its path in the model. */
  readonly parameter: string;
  readonly shape: Shape;
  readonly parts: readonly Part[];
  /** The other layout in which files have it: the experts of a layer in one tensor. */
  readonly fused?: readonly Part[];
}

/** A part, the tensor of the file that it is read from, and those that are tied to it. */
export interface ChosenPart {
  readonly part: Part;
  readonly tensor: StoredTensor;
  readonly ties: readonly StoredTensor[];
}

export interface Chosen {
  readonly row: Row;
  readonly parts: readonly ChosenPart[];
}

// D inputs, F outputs, E experts. Files hold matrices as PyTorch does, [F, D]; parameters here are [D, F].

/** A parameter that is the same in the file: a vector, or the table of an embedding. */
export function same(parameter: string, shape: Shape, ...names: readonly string[]): Row {
  return { parameter, shape, parts: [{ names, shape, base: 0, strides: rowMajor(shape) }] };
}

/** Matrices [F, D] of the file, transposed, side by side in one parameter [D, sum of F]. */
export function transposed(
  parameter: string,
  inputs: number,
  ...outputs: readonly (readonly [name: string | readonly string[], width: number])[]
): Row {
  const total = outputs.reduce((sum, [, width]) => sum + width, 0);
  let base = 0;
  const parts = outputs.map(([name, width]): Part => {
    const names = typeof name === "string" ? [name] : name;
    const part = { names, shape: [width, inputs], base, strides: [1, total] };
    base += width;
    return part;
  });
  return { parameter, shape: [inputs, total], parts };
}

/** Vectors of the file side by side in one parameter. */
export function joinedVectors(parameter: string, ...vectors: readonly (readonly [name: string, width: number])[]): Row {
  let base = 0;
  const parts = vectors.map(([name, width]): Part => {
    const part = { names: [name], shape: [width], base, strides: [1] };
    base += width;
    return part;
  });
  return { parameter, shape: [base], parts };
}

/** One matrix [F, D] of the file for each expert of a parameter [E, D, F]. */
export function perExpert(
  parameter: string,
  [experts, inputs, outputs]: readonly [number, number, number],
  name: (expert: number) => string,
): Row {
  const parts = Array.from({ length: experts }, (_, e): Part => {
    return { names: [name(e)], shape: [outputs, inputs], base: e * inputs * outputs, strides: [1, outputs] };
  });
  return { parameter, shape: [experts, inputs, outputs], parts };
}

/** Rows `from` to `to` of each expert of one tensor [E, R, D] of the file, in a parameter [E, D, to - from]. */
export function fusedExperts(
  names: readonly string[],
  [experts, rows, inputs]: readonly [number, number, number],
  [from, to]: readonly [number, number] = [0, rows],
): Part {
  const outputs = to - from;
  return { names, shape: [experts, rows, inputs], base: -from, strides: [inputs * outputs, 1, outputs], rows: [from, to] };
}

function rowMajor(shape: Shape): number[] {
  return shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
}

// Looking up

/**
 * Finds the tensors of a file for each row of the table. `faults` lists tensors that are missing, have another shape or no float type, and those that
 * no row names, except where `ignored` matches the name.
 */
export function choose(
  table: readonly Row[],
  tensors: ReadonlyMap<string, StoredTensor>,
  ignored: RegExp | null,
): { chosen: Chosen[]; faults: string[] } {
  const faults: string[] = [];
  const used = new Set<string>();
  const chosen = table.map((row): Chosen => {
    const isFused = row.fused?.some(({ names }) => names.some((name) => tensors.has(name)));
    const parts = (isFused ? (row.fused ?? []) : row.parts).flatMap((part) => {
      const [tensor, ...ties] = part.names.flatMap((name) => tensors.get(name) ?? []);
      if (!tensor) faults.push(`"${part.names[0]}" ${formatShape(part.shape)} is missing`);
      for (const one of tensor ? [tensor, ...ties] : []) {
        const fault = used.has(one.name) ? undefined : faultOf(one, part.shape);
        if (fault) faults.push(fault);
        used.add(one.name);
      }
      return tensor ? [{ part, tensor, ties }] : [];
    });
    return { row, parts };
  });
  for (const { name, shape } of tensors.values())
    if (!used.has(name) && !ignored?.test(name)) faults.push(`"${name}" ${formatShape(shape)} has no place in this model`);
  return { chosen, faults };
}

function faultOf({ name, shape, dtype }: StoredTensor, wanted: Shape): string | undefined {
  if (!sameShape(shape, wanted)) return `"${name}" is ${formatShape(shape)}, want ${formatShape(wanted)}`;
  if (!isFloat(dtype)) return `"${name}" is ${dtype}, want float32, float16, bfloat16 or float64`;
  return undefined;
}

// Moving elements

/** Elements as a backend takes them; bfloat16 as its bits. */
export type Numbers = TypedArray;

/** Which way elements go: from a piece of a file into a parameter, or back. */
export type Direction = "load" | "save";

/**
 * Copies `count` rows of a tensor of a file, from row `first` on (rows counted over all its axes but the last), between `piece`, which holds
 * them side by side, and the parameter; both of one dtype.
 */
export function moveRows(part: Part, parameter: Numbers, piece: Numbers, first: number, count: number, direction: Direction): void {
  const width = part.shape[part.shape.length - 1] ?? 1;
  const step = part.strides[part.strides.length - 1] ?? 1;
  const places = placesOf(part, first, count);
  const move = direction === "load" ? loadTile : saveTile;
  // Small tiles: a transpose that walks whole rows would miss the cache at every element.
  for (let r = 0; r < count; r += TILE)
    for (let c = 0; c < width; c += TILE)
      move(parameter, piece, places, step, width, [r, Math.min(count, r + TILE)], [c, Math.min(width, c + TILE)]);
}

const TILE = 32;

type Range = readonly [number, number];

function loadTile(to: Numbers, from: Numbers, places: Float64Array, step: number, width: number, [r0, r1]: Range, [c0, c1]: Range): void {
  for (let c = c0; c < c1; c++)
    for (let r = r0; r < r1; r++) {
      const place = places[r] + c * step;
      if (place >= 0) to[place] = from[r * width + c];
    }
}

function saveTile(from: Numbers, to: Numbers, places: Float64Array, step: number, width: number, [r0, r1]: Range, [c0, c1]: Range): void {
  for (let c = c0; c < c1; c++)
    for (let r = r0; r < r1; r++) {
      const place = places[r] + c * step;
      if (place >= 0) to[r * width + c] = from[place];
    }
}

/** Where each row begins in the parameter; NaN, which no comparison accepts, where it belongs to another. */
function placesOf({ shape, strides, base, rows }: Part, first: number, count: number): Float64Array {
  const lead = shape.slice(0, -1);
  return Float64Array.from({ length: count }, (_, i) => {
    let rest = first + i;
    let place = base;
    for (let axis = lead.length - 1; axis >= 0; axis--) {
      const at = rest % lead[axis];
      if (rows && axis === lead.length - 1 && (at < rows[0] || at >= rows[1])) return NaN;
      place += at * strides[axis];
      rest = Math.floor(rest / lead[axis]);
    }
    return place;
  });
}
