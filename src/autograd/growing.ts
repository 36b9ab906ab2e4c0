/** Arrays that grow by a few rows again and again: the keys and values of generation. */
import { stridesOf } from "../backend/shape.ts";
import type { NDArray } from "../backend/backend.ts";
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
 * `more` behind `x` along `axis`, as concat([x, more], axis) gives it, and where it can it leaves room behind the result: then the next call
 * that goes on from there copies only what is new. Room doubles, so that n rows cost n copies and not n^2. Two calls that go on from the same x
 * both get their own rows: the second finds the room taken and copies. Recorded or checked operations are plain `concat`.
 */
export function appended(x: Tensor, more: Tensor, axis: number): Tensor {
  const { recording, recomputation, debug } = context();
  const tracked = recording && (x.requiresGrad || more.requiresGrad);
  if (tracked || recomputation || debug || !x.backend.place || !alike(x, more, axis)) return concat([x, more], axis);
  const [before, after] = [x.shape[axis], x.shape[axis] + more.shape[axis]];
  const room = roomAfter(x, axis, after) ?? copiedWithRoom(x, axis, after);
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

function copiedWithRoom(x: Tensor, axis: number, after: number): Room {
  const shape = x.shape.with(axis, 2 * after);
  const { backend, dtype } = x;
  const none = shape.map(() => 0);
  const storage = new Storage(backend, backend.pad({ shape, dtype }, x, none, 0));
  const room = { storage, shape, axis, used: x.shape[axis] };
  rooms.set(storage, room);
  return room;
}

const part = ({ buffer }: Storage, { shape, dtype }: Tensor, strides: readonly number[], offset: number): NDArray =>
  ({ shape, dtype, buffer, strides, offset }); // prettier-ignore
