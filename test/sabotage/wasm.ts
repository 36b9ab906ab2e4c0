/** Breakages of the WebAssembly backend. */
import type { Sabotage } from "./sabotage.ts";

const order = "src/backend/wasm/kernels/order.ts";
const orderTest = "test/backend/wasmOrder.test.ts";
const threads = "src/backend/wasm/threads.ts";
const platform = "src/backend/wasm/platform.ts";
const threadsTest = "test/backend/wasmThreads.test.ts";
const laws = "test/backend/wasm.test.ts";

export const wasm: readonly Sabotage[] = [
  // Order
  {
    what: "a key tells the two zeros apart",
    file: order,
    from: "const bits = f.let(f32x4.add(x, 0));",
    to: "const bits = f.let(x);",
    test: laws,
    title: "zeros of both signs",
  },
  {
    what: "NaN keeps the key of its bits",
    file: order,
    from: "v128.select(f32x4.eq(bits, bits), ordered, i32x4.const(LEAST))",
    to: "ordered",
    test: laws,
    title: "place NaN below every number",
  },
  {
    what: "a newcomer passes its equals",
    file: order,
    from: "i32.lt(key, keyAt(before)),",
    to: "i32.le(key, keyAt(before)),",
    test: laws,
    title: "keep the order of equals",
  },
  {
    what: "the sort takes negative keys for large ones",
    file: order,
    from: "i32.shrU(i32.xor(key, LEAST), 8 * pass)",
    to: "i32.shrU(key, 8 * pass)",
    test: orderTest,
    title: "whatever the bits",
  },
  {
    what: "the sort leaves out a digit that the first key shares with one other",
    file: order,
    from: "i32.ne(i32.load(word(table, digitOf(i32.load(keys), pass))), n)",
    to: "i32.eq(i32.load(word(table, digitOf(i32.load(keys), pass))), 1)",
    test: laws,
    title: "topK of many from many",
  },
  {
    what: "any key is counted in the table",
    file: order,
    from: "i32.lt(largestOf(f, keys, bytes), COUNTED)",
    to: "i32.lt(largestOf(f, keys, bytes), 2 ** 31 - 1)",
    test: orderTest,
    title: "within the table and beyond it",
  },
  {
    what: "counting in sorted order gives negative keys a count",
    file: order,
    from: "i32.select(i32.lt(key, 0), -1, before)",
    to: "before",
    test: orderTest,
    title: "within the table and beyond it",
  },
  // Threads
  {
    what: "a worker without work spins on",
    file: threads,
    from: "if (spins < 0) Atomics.wait(words, ${TICKET}, ticket);",
    to: "",
    test: threadsTest,
    title: "a worker without work sleeps",
  },
  {
    what: "a worker that failed is as good as one that is done",
    file: threads,
    from: "if (worker > 0) throw",
    to: "if (worker > 1) throw",
    test: threadsTest,
    title: "named with its kernel, by every later call",
  },
  {
    what: "a failed job may have a successor",
    file: threads,
    from: "this.#death ??= error instanceof BackendError",
    to: "const reason = error instanceof BackendError",
    test: threadsTest,
    title: "so is a kernel that fails on the calling thread",
  },
  {
    what: "a worker that hangs is not named",
    file: threads,
    from: "this.#words[BUSY + thread] !== 0",
    to: "this.#words[BUSY + thread] === 0",
    test: threadsTest,
    title: "a worker that never comes back",
  },
  {
    what: "idle workers keep the process",
    file: platform,
    from: "worker.unref();",
    to: "",
    test: threadsTest,
    title: "lets the process end: idle",
  },
  {
    what: "a worker that ends before it begins is waited for",
    file: platform,
    from: 'worker.once("exit", (code) => reject(new Error(`it ended with exit code ${code}`)));',
    to: "",
    test: threadsTest,
    title: "a worker that does not start",
  },
];
