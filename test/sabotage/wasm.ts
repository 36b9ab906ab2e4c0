/** Breakages of the WebAssembly backend. */
import type { Sabotage } from "./sabotage.ts";

const order = "src/backend/wasm/kernels/order.ts";
const orderTest = "test/backend/wasmOrder.test.ts";
const threads = "src/backend/wasm/threads.ts";
const platform = "src/backend/wasm/platform.ts";
const threadsTest = "test/backend/wasmThreads.test.ts";
const laws = "test/backend/wasm.test.ts";
const guarded = "test/backend/wasmGuarded.test.ts";

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
  // Memory
  {
    what: "a scalar has no length",
    file: "src/backend/wasm/order.ts",
    from: "shape[shape.length - 1] ?? 1;",
    to: "shape[shape.length - 1];",
    test: guarded,
    title: "a scalar is a row of one number",
  },
  {
    what: "computed indices are believed",
    file: "src/backend/wasm/launcher.ts",
    from: 'if (this.#threads.ask("anyOutside", address, n, low, high) === 0) return;',
    to: 'if (this.#threads.ask("anyOutside", address, n, low, high) >= 0) return;',
    test: guarded,
    title: "an index outside its array",
  },
  {
    what: "computed offsets are believed",
    file: "src/backend/wasm/grouped.ts",
    from: "checkOffsets(operation, bounds, x.shape[0]);",
    to: "",
    test: guarded,
    title: "offsets that are no offsets",
  },
  {
    what: "the end of a row is stored as a whole vector",
    file: "src/backend/wasm/kernels/loops.ts",
    from: "if (!tail) return f.do(v128.store(address, value));",
    to: "if (!tail || tail) return f.do(v128.store(address, value));",
    test: guarded,
    title: "sum",
  },
  {
    what: "columns are stored as whole cache lines",
    file: "src/backend/wasm/kernels/loops.ts",
    from: "i32.ge(bytes, 16),",
    to: "i32.ge(bytes, -64),",
    test: guarded,
    title: "sum",
  },
  {
    what: "the guard looks before blocks only",
    file: "src/backend/wasm/guardedHeap.ts",
    from: "this.#expectPoison(end, block + bytes + ZONE - end,",
    to: "this.#expectPoison(end, 0,",
    test: guarded,
    title: "a block of",
  },
  // Sums
  {
    what: "a norm forgets what float32 leaves of the mean",
    file: "src/backend/wasm/kernels/rowwise.ts",
    from: "return centred ? sub(sub(x, mean), rest) : x;",
    to: "return centred ? sub(x, mean) : x;",
    test: laws,
    title: "accuracy: layer norm",
  },
  {
    what: "relu's slope is multiplied",
    file: "src/backend/wasm/kernels/activation.ts",
    from: "pulled: (_, z, g) => v128.and(g, f32x4.gt(z, 0))",
    to: "pulled: (_, z, g) => mul(g, v128.and(f32x4.gt(z, 0), f32x4.const(1)))",
    test: laws,
    title: "a masked element has no slope",
  },
  {
    what: "products of slots read rows that hold no token",
    file: "src/backend/slots.ts",
    from: "return { expert: Math.floor(i / groups), begin, end: begin + count };",
    to: "return { expert: Math.floor(i / groups), begin, end: begin + (count > 0 ? capacity : 0) };",
    test: laws,
    title: "what empty slots hold",
  },
  {
    what: "activations of slots count from the first group",
    file: "src/backend/wasm/kernels/activation.ts",
    from: "i32.lt(i32.remU(r, p.capacity), left)",
    to: "i32.lt(r, left)",
    test: laws,
    title: "fused slotProduct",
  },
  {
    what: "a worker that does not start is fatal",
    file: "src/backend/wasm/index.ts",
    from: "if (wanted !== undefined || threads === 1 || !(error instanceof ThreadsError)) throw error;",
    to: "if (error) throw error;",
    test: threadsTest,
    title: "where a worker does not start",
  },
];
