/** Time by kernel: a backend that runs each call on another one, and adds up the times. Only for devices that run at once. */
import type { Backend } from "switchyard-moe/backend";

/** How often a kernel was called, and how long all its calls took. */
export interface KernelTime {
  readonly kernel: string;
  readonly calls: number;
  readonly ms: number;
}

/** A proxy of `backend` that counts the calls of every kernel and their milliseconds, fused ones too. */
export function stopwatch<B extends Backend>(backend: B): { backend: B; times: () => KernelTime[]; reset: () => void } {
  const books = new Map<string, { calls: number; ms: number }>();
  const watch = <T extends object>(target: T, lead: string): T =>
    new Proxy(target, {
      get(inner, name) {
        const value: unknown = Reflect.get(inner, name, inner);
        const label = `${lead}${String(name)}`;
        if (label === "fused" || lead !== "") if (typeof value === "object" && value !== null) return watch(value, `${label} `);
        if (typeof value !== "function" || name === "constructor") return value;
        // Bound: private members are not the proxy's.
        if (NOT_KERNELS.has(String(name))) return (...inputs: unknown[]): unknown => Reflect.apply(value, inner, inputs);
        return (...inputs: unknown[]): unknown => {
          const start = performance.now();
          const result: unknown = Reflect.apply(value, inner, inputs);
          const kept = books.get(label) ?? { calls: 0, ms: 0 };
          books.set(label, { calls: kept.calls + 1, ms: kept.ms + performance.now() - start });
          return result;
        };
      },
    });
  return {
    backend: watch(backend, ""),
    times: () => [...books].map(([kernel, book]) => ({ kernel, ...book })).sort((a, b) => b.ms - a.ms),
    reset: () => books.clear(),
  };
}

const NOT_KERNELS = new Set(["free", "stats", "download", "downloadSync"]);

/** Whether most of a kernel's work is matrix products; fused ones too. */
export function isProduct(kernel: string): boolean {
  return /matmul|grouped|attention|linear|slotProduct/i.test(kernel);
}
