/**
 * Collectives that gradients cross: primitives whose VJP rules are collectives again, so derivatives of any order work. The loss is the sum of
 * the losses of all ranks. Every rank must call them in the same order, and must run its backward pass, even if it has no rows.
 * n ranks, N rows, D width.
 */
import { apply, widened } from "../autograd/apply.ts";
import { aTensor, check, checkOptions, listOf, whole } from "../autograd/arguments.ts";
import type { ArrayType, Backend, Buffer, NDArray, TypedArray } from "../autograd/contract.ts";
import { BackendError, formatShape, sizeOf } from "../autograd/contract.ts";
import type { Primitive } from "../autograd/primitive.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { aCommunicator } from "./communicator.ts";
import type { Communicator } from "./communicator.ts";
import { total } from "./flat.ts";

/** How many rows go to each rank, and how many come from each. */
export interface RowCounts {
  /** [n] */
  readonly send: readonly number[];
  /** [n] */
  readonly receive: readonly number[];
}

/**
 * Sends rows to each rank and receives rows from each: x [N, ...D], the first send[0] rows for rank 0 and so on -> [sum of receive, ...D], in order
 * of ranks. Its adjoint is the same exchange with the counts swapped. Throws for counts that are not one whole number for each rank.
 */
export function allToAllRows(x: Tensor, communicator: Communicator, counts: RowCounts): Tensor {
  requireBoth("allToAllRows", x, communicator);
  const aCount = listOf(whole(0), communicator.size);
  checkOptions<RowCounts>("allToAllRows", counts, { send: aCount, receive: aCount });
  return apply(exchange(communicator, counts), x);
}

/** Gathers the rows of all ranks on every rank, x [N, ...D] -> [n N, ...D], in order of ranks. Its adjoint is `reduceScatterRows`. */
export function allGatherRows(x: Tensor, communicator: Communicator): Tensor {
  requireBoth("allGatherRows", x, communicator);
  return widened("allGatherRows", [x], (rows) => apply(gather(communicator), rows));
}

/**
 * Sums x over ranks and gives each rank its part, x [n N, ...D] -> [N, ...D]. Its adjoint is `allGatherRows`. Throws where n does not
 * divide the rows.
 */
export function reduceScatterRows(x: Tensor, communicator: Communicator): Tensor {
  requireBoth("reduceScatterRows", x, communicator);
  return widened("reduceScatterRows", [x], (rows) => apply(scatter(communicator), rows));
}

/** Sums x over ranks, on all of them. x has any shape, the same on all ranks. Its adjoint is the same sum. */
export function allReduceSum(x: Tensor, communicator: Communicator): Tensor {
  requireBoth("allReduceSum", x, communicator);
  return widened("allReduceSum", [x], (whole) => apply(reduce(communicator), whole));
}

/** Returns x of rank `root` on all ranks; on the others, x gives only shape and dtype. Throws for a root that is no rank. */
export function broadcastFrom(x: Tensor, communicator: Communicator, root = 0): Tensor {
  requireBoth("broadcastFrom", x, communicator);
  check("broadcastFrom", "root", root, whole(0, communicator.size - 1));
  return widened("broadcastFrom", [x], (whole) => apply(spread(communicator, root), whole));
}

const exchange = (communicator: Communicator, { send, receive }: RowCounts): Primitive => ({
  name: "allToAllRows",
  type(x) {
    const [rows] = requireRows("allToAllRows", x);
    if (total(send) !== rows)
      throw new RangeError(`allToAllRows: ${formatShape(x.shape)}: rows to send are [${send.join(", ")}], ${total(send)} in all`);
    return { shape: [total(receive), ...x.shape.slice(1)], dtype: x.dtype };
  },
  run(backend, out, x) {
    const width = sizeOf(x.shape.slice(1));
    const numbers = (rows: readonly number[]): number[] => rows.map((n) => n * width);
    return onHost(
      backend,
      "allToAllRows",
      out,
      x,
      (into, from) => void communicator.allToAllV(from, numbers(send), numbers(receive), into),
    );
  },
  vjp: [(g) => allToAllRows(g, communicator, { send: receive, receive: send })],
});

const gather = (communicator: Communicator): Primitive => ({
  name: "allGatherRows",
  type(x) {
    const [rows] = requireRows("allGatherRows", x);
    return { shape: [communicator.size * rows, ...x.shape.slice(1)], dtype: x.dtype };
  },
  run: (backend, out, x) => onHost(backend, "allGatherRows", out, x, (into, from) => void communicator.allGather(from, into)),
  vjp: [(g) => reduceScatterRows(g, communicator)],
});

const scatter = (communicator: Communicator): Primitive => ({
  name: "reduceScatterRows",
  type(x) {
    const [rows] = requireRows("reduceScatterRows", x);
    const { size } = communicator;
    if (rows % size !== 0) throw new RangeError(`reduceScatterRows: ${formatShape(x.shape)} does not divide into parts for ${size} ranks`);
    return { shape: [rows / size, ...x.shape.slice(1)], dtype: x.dtype };
  },
  run: (backend, out, x) => onHost(backend, "reduceScatterRows", out, x, (into, from) => void communicator.reduceScatter(from, into)),
  vjp: [(g) => allGatherRows(g, communicator)],
});

const reduce = (communicator: Communicator): Primitive => ({
  name: "allReduceSum",
  type: ({ shape, dtype }) => ({ shape, dtype }),
  run: (backend, out, x) =>
    onHost(backend, "allReduceSum", out, x, (into, from) => {
      into.set(from);
      communicator.allReduce(into);
    }),
  vjp: [(g) => allReduceSum(g, communicator)],
});

const spread = (communicator: Communicator, root: number): Primitive => ({
  name: "broadcastFrom",
  type: ({ shape, dtype }) => ({ shape, dtype }),
  run: (backend, out, x) =>
    onHost(backend, "broadcastFrom", out, x, (into, from) => {
      into.set(from);
      communicator.broadcast(into, root);
    }),
  vjp: [(g) => apply(collect(communicator, root), g)],
});

/** Adjoint of the broadcast: the sum over ranks on `root`, zeros elsewhere. */
const collect = (communicator: Communicator, root: number): Primitive => ({
  name: "sumTo",
  type: ({ shape, dtype }) => ({ shape, dtype }),
  run: (backend, out, x) =>
    onHost(backend, "sumTo", out, x, (into, from) => {
      into.set(from);
      communicator.allReduce(into);
      if (communicator.rank !== root) into.fill(0);
    }),
  vjp: [(g) => broadcastFrom(g, communicator, root)],
});

function requireBoth(operation: string, x: Tensor, communicator: Communicator): void {
  check(operation, "x", x, aTensor);
  check(operation, "communicator", communicator, aCommunicator);
}

function requireRows(operation: string, { shape }: ArrayType): readonly number[] {
  if (shape.length === 0) throw new RangeError(`${operation}: a scalar has no rows`);
  return shape;
}

/** Collectives read and write the backend's own memory where it lies. */
function onHost(
  backend: Backend,
  operation: string,
  out: ArrayType,
  x: NDArray,
  move: (into: TypedArray, from: TypedArray) => void,
): Buffer {
  requireHost(operation, backend);
  return backend.onHost?.(operation, out, [x], move) ?? refuse(operation, backend);
}

/** Throws where reading must wait: a collective blocks, and cannot wait for a device. */
export function requireHost(operation: string, backend: Backend): void {
  if (!backend.onHost || !backend.downloadSync) refuse(operation, backend);
}

function refuse(operation: string, backend: Backend): never {
  throw new BackendError(
    `${operation}: the numbers of the "${backend.name}" backend can only be read by waiting, and collectives block; use "cpu" or "wasm"`,
  );
}
