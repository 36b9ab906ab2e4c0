/** Constants of the dtype and on the device of a given tensor: numbers, filled shapes, counted integers. */
import type { ArrayType, Backend } from "../backend/backend.ts";
import { check, number, requireTensor } from "./arguments.ts";
import { within } from "./context.ts";
import { Storage } from "./storage.ts";
import type { Tensor } from "./tensor.ts";

/** A JavaScript number as a scalar tensor of the dtype and on the device of `beside`. They are kept for reuse, because programs use few. */
export function constant(value: number, beside: Tensor, operation = "constant"): Tensor {
  const { backend, dtype } = beside;
  if (dtype === "int32" && (value | 0) !== value)
    throw new RangeError(`${operation}: ${value} beside an int32 tensor is not a 32-bit integer; use cast("float32") first`);
  let kept = constants.get(backend);
  if (!kept) constants.set(backend, (kept = new Map()));
  if (kept.size >= KEPT) kept.clear();
  const key = `${dtype} ${Object.is(value, -0) ? "-0" : value}`;
  let made = kept.get(key);
  if (!made || made.disposed) {
    const type: ArrayType = { shape: [], dtype };
    made = within({ scope: null }, () => beside.wrap(type, new Storage(backend, backend.full(type, value))));
    made.name = String(value);
    kept.set(key, made);
  }
  return made;
}

const constants = new WeakMap<Backend, Map<string, Tensor>>();
/** The most that are kept for one device. */
const KEPT = 256;

/**
 * A constant filled with `value`, of the shape, dtype and device of `like`. It is a view of one stretched number: it takes no memory.
 * Throws for a fraction beside int32.
 */
export function fullLike(like: Tensor, value: number): Tensor {
  requireTensor("fullLike", like, "like");
  check("fullLike", "value", value, number);
  const scalar = constant(value, like, "fullLike");
  return like.shape.length > 0 ? scalar.broadcastTo(like.shape) : scalar.alias();
}

/** A constant filled with 0, of the shape, dtype and device of `like`: see `fullLike`. */
export function zerosLike(like: Tensor): Tensor {
  requireTensor("zerosLike", like, "like");
  return fullLike(like, 0);
}

/** 0, 1, … count - 1 as int32 on the device of `beside`. */
export function countTo(count: number, beside: Tensor): Tensor {
  return integersBeside(
    beside,
    Int32Array.from({ length: count }, (_, i) => i),
    [count],
  );
}

/** An int32 tensor of `shape` on the device of `beside`. `data` is kept as the host's copy: the caller must not write into it afterwards. */
export function integersBeside(beside: Tensor, data: Int32Array, shape: readonly number[]): Tensor {
  const type: ArrayType = { shape, dtype: "int32" };
  return beside.wrap(type, new Storage(beside.backend, beside.backend.upload(type, data), data));
}
