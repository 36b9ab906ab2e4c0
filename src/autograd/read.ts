/** Reading tensors back: the only part of the library that waits. */
import type { Backend, TypedArray } from "../backend/backend.ts";
import { BackendError } from "../backend/backend.ts";
import { unpackBfloat16 } from "../backend/bfloat16.ts";
import type { Shape } from "../backend/shape.ts";
import { formatShape, isContiguous } from "../backend/shape.ts";
import { apply } from "./apply.ts";
import { aBackend, check, checkDtype } from "./arguments.ts";
import { noGrad } from "./context.ts";
import type { Nested } from "./create.ts";
import { contiguous } from "./movement.ts";
import { Storage } from "./storage.ts";
import type { Tensor } from "./tensor.ts";

/** What tensors read back as, in memory of its own: bfloat16 as float32. */
export type Numbers = Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer> | Int32Array<ArrayBuffer>;

/** Whether its elements stand in order from the start of its buffer: what `download` takes. */
const inOrder = (x: Tensor): boolean => x.offset === 0 && isContiguous(x.shape, x.strides);

export async function data(x: Tensor): Promise<Numbers> {
  return decode(await raw(x));
}

/** As the backend gives them: bfloat16 as its bits. The storage is held until the numbers are here, so a scope may close before the await. */
export async function raw(x: Tensor): Promise<TypedArray> {
  const [storage, type] = hold(x);
  try {
    const numbers = await storage.backend.download(storage.buffer, type);
    await yieldThread(numbers.byteLength);
    return numbers;
  } finally {
    storage.release();
  }
}

export function dataSync(x: Tensor): Numbers {
  const { backend } = x;
  if (!backend.downloadSync)
    throw new BackendError(`dataSync: "${backend.name}" (${backend.description}) cannot be read at once; use await x.data()`);
  const [storage, type] = hold(x);
  try {
    return decode(backend.downloadSync(storage.buffer, type));
  } finally {
    storage.release();
  }
}

/** A storage that must be released, and what it holds in order. */
function hold(x: Tensor): [Storage, Tensor] {
  if (inOrder(x)) return [x.storage.retain(), x];
  return noGrad(() => {
    const y = apply(contiguous, x);
    const storage = y.storage.retain();
    y.dispose();
    return [storage, y];
  });
}

function decode(raw: TypedArray): Numbers {
  if (raw instanceof Uint16Array) return unpackBfloat16(raw);
  return isUnshared(raw) ? raw : raw.slice();
}

/** A device may give memory that threads share, which `Blob` and `fetch` refuse. */
function isUnshared(raw: TypedArray): raw is Numbers {
  return raw.buffer instanceof ArrayBuffer;
}

export async function item(x: Tensor): Promise<number> {
  requireOne(x);
  return (await data(x))[0];
}

export function itemSync(x: Tensor): number {
  requireOne(x);
  return dataSync(x)[0];
}

function requireOne(x: Tensor): void {
  if (x.size !== 1) throw new RangeError(`item: ${formatShape(x.shape)} holds ${x.size} elements, not one; use data()`);
}

/**
 * Lets other tasks of the thread run. A loop that awaits only promises that are resolved already never does: finalizers, signal handlers and
 * the page would wait until it ends. So reading waits for a macrotask every 4 ms, or when 64 MB were read.
 */
async function yieldThread(bytes: number): Promise<void> {
  read += bytes;
  const now = performance.now();
  if (now - last < 4 && read < 64 * 2 ** 20) return;
  await new Promise<void>((resolve) => macrotask(resolve));
  last = performance.now();
  read = 0;
}

let read = 0;
let last = 0;

// A message crosses at once; a timer would cost a page 4 ms.
function macrotask(resolve: () => void): void {
  const immediate = (globalThis as { setImmediate?: (callback: () => void) => void }).setImmediate;
  if (immediate) return immediate(resolve);
  const { port1, port2 } = new MessageChannel();
  port1.addEventListener("message", () => (port1.close(), resolve()));
  port1.start();
  port2.postMessage(null);
}

export function nest(flat: ArrayLike<number>, shape: Shape): Nested {
  let at = 0;
  const build = (axis: number): Nested => (axis === shape.length ? flat[at++] : Array.from({ length: shape[axis] }, () => build(axis + 1)));
  return build(0);
}

export function moveTo(x: Tensor, backend: Backend): Tensor {
  check("to", "backend", backend, aBackend);
  if (backend === x.backend) return x.detach();
  checkDtype(backend, x);
  const from = x.backend;
  if (!from.downloadSync)
    throw new BackendError(
      `to: "${from.name}" (${from.description}) cannot be read at once; use tensor(await x.data(), { shape: x.shape, backend })`,
    );
  const [storage, type] = hold(x);
  try {
    return x.wrap(x, new Storage(backend, backend.upload(type, from.downloadSync(storage.buffer, type)), x.host));
  } finally {
    storage.release();
  }
}
