/** Kinds of arguments that know of tensors and keys, beside those of plain values; the checks that every chapter uses. */
import { having, listOf, oneOf, whole } from "../backend/arguments.ts";
import type { Kind } from "../backend/arguments.ts";

export {
  callable,
  check,
  checkOptions,
  describe,
  either,
  finite,
  flag,
  having,
  instance,
  listOf,
  nothing,
  number,
  oneOf,
  optional,
  positive,
  rate,
  text,
  whole,
} from "../backend/arguments.ts";
export type { Kind, Kinds } from "../backend/arguments.ts";

/** Recognised by its members, so that this file imports no class and stands below all of them. */
export const aTensor: Kind = having("a tensor", "storage", "strides", "requireGrad");

export const aKey: Kind = having("a key, such as key(1)", "high", "low", "bits");

export const aBackend: Kind = having('a backend, such as await useBackend("cpu") answers', "dtypes", "upload", "fused");

export const aDtype: Kind = oneOf("float32", "float64", "bfloat16", "int32");

export const aFloatDtype: Kind = oneOf("float32", "float64", "bfloat16");

export const aShape: Kind = { ...listOf(whole(0)), wanted: "a shape: an array of whole numbers of 0 or more" };
