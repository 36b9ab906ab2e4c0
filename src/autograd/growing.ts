/** Tensors that grow by a few rows again and again: the keys and values of generation. */
import { stridesOf } from "../backend/shape.ts";
import type { NDArray } from "../backend/backend.ts";
import { hasRoom } from "./arguments.ts";
import { context } from "./context.ts";
import { concat } from "./operations.ts";
import { Storage } from "./storage.ts";
import type { Tensor } from "./tensor.ts";

/** A buffer with room behind the rows that are in use: rows from `used` on are free. */
interface Room {
  readonly storage: Storage;
  readonly shape: readonly number[];
  readonly axis: number;
  used: number;
}

const rooms = new WeakMap<Storage, Room>();

/**
 * Joins `more` to the end of `x` along `axis`, as concat([x, more], axis) does, and leaves free room behind the result where the device allows
 * it: the next call that appends to this result copies only the new rows. The room doubles, so n rows cost about n copies and not n^2. Two
 * calls that append to the same x both get their own rows: the second finds the room in use and copies. Where the operation is recorded, or
 * checked in debug mode, and where twice the room would be too large for a tensor, it is plain `concat`.
 */
export function appended(x: Tensor, more: Tensor, axis: number): Tensor {
  const { recording, recomputation, debug } = context();
  const tracked = recording && (x.requiresGrad || more.requiresGrad);
  if (tracked || recomputation || debug || !x.backend.place || !alike(x, more, axis)) return concat([x, more], axis);
  const [before, after] = [x.shape[axis], x.shape[axis] + more.shape[axis]];
  const room = roomAfter(x, axis, after) ?? copiedWithRoom(x, axis, after);
  if (!room) return concat([x, more], axis);
  const { storage, shape } = room;
  room.used = after;
  const strides = stridesOf(shape);
  x.backend.place(part(storage, more, strides, before * strides[axis]), more);
  return x.wrap({ shape: x.shape.with(axis, after), dtype: x.dtype }, storage, strides, 0);
}

/** Whether concat would take them. */
function alike(x: Tensor, more: Tensor, axis: number): boolean {
  const fits = x.dtype === more.dtype && x.backend === more.backend && x.shape.length === more.shape.length;
  return fits && x.shape.every((n, i) => i === axis || n === more.shape[i]);
}

/** The room in which x stands, if x is all that it holds and `after` rows fit. */
function roomAfter(x: Tensor, axis: number, after: number): Room | undefined {
  const room = rooms.get(x.storage);
  const whole = room && room.axis === axis && room.used === x.shape[axis] && after <= room.shape[axis] && x.offset === 0;
  return whole && stridesOf(room.shape).every((step, i) => step === x.strides[i]) ? room : undefined;
}

/** A copy of x with room for as many rows again; undefined where that would be too large. */
function copiedWithRoom(x: Tensor, axis: number, after: number): Room | undefined {
  const shape = x.shape.with(axis, 2 * after);
  const { backend, dtype } = x;
  if (!hasRoom({ shape, dtype })) return undefined;
  const none = shape.map(() => 0);
  const storage = new Storage(backend, backend.pad({ shape, dtype }, x, none, 0));
  const room = { storage, shape, axis, used: x.shape[axis] };
  rooms.set(storage, room);
  return room;
}

const part = ({ buffer }: Storage, { shape, dtype }: Tensor, strides: readonly number[], offset: number): NDArray =>
  ({ shape, dtype, buffer, strides, offset }); // prettier-ignore
