/** The format of a checkpoint of many ranks: its index, and the names in it. */
import type { Kind } from "../autograd/arguments.ts";
import type { DType } from "../autograd/contract.ts";

/** A file's part of a tensor. */
export interface Part {
  readonly file: string;
  /** Rows [from, to) of the first axis; a scalar is one row. */
  readonly from: number;
  readonly to: number;
}

/** A tensor and the files that hold it. */
export interface Entry {
  readonly dtype: DType;
  /** Of the whole tensor. */
  readonly shape: readonly number[];
  readonly parts: readonly Part[];
}

/** What index.json holds. */
export interface Index {
  readonly format: "1";
  readonly step: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: Readonly<Record<string, Entry>>;
}

export const LATEST = "latest";
export const OPTIMIZER = "optimizer/";

export const aFolder: Kind = { wanted: "the path of a folder", accepts: (value) => typeof value === "string" && value !== "" };

/** The size of the first axis; a scalar is one row. */
export function rowsOf({ shape }: { readonly shape: readonly number[] }): number {
  return shape[0] ?? 1;
}
