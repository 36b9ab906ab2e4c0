/** A pool of two threads with kernels of the tests' own; and a program that uses it and then has nothing more to do. */
import { Module } from "../../src/backend/wasm/assembler.ts";
import type { Body } from "../../src/backend/wasm/assembler.ts";
import { f32, i32, unreachable } from "../../src/backend/wasm/instructions.ts";
import type { I32 } from "../../src/backend/wasm/instructions.ts";
import { engine } from "../../src/backend/wasm/platform.ts";
import type { Exported } from "../../src/backend/wasm/platform.ts";
import { Threads } from "../../src/backend/wasm/threads.ts";

/** Where each thread says that it has begun: a word for the caller, a word for the worker. */
const ARRIVED = 8192;

/** Keeps each thread until the other has its share, however late the machine lets it begin; not for ever. */
function meet(f: Body, thread: I32): void {
  const word = (of: I32): I32 => i32.add(i32.const(ARRIVED), i32.shl(of, 2));
  f.do(i32.store(word(thread), 1));
  const turns = f.let(i32.const(0));
  const other = i32.load(word(i32.sub(1, thread)));
  f.while(i32.and(i32.eqz(other), i32.ltU(turns, 2 ** 30)), () => f.set(turns, i32.add(turns, 1)));
}

function kernels(m: Module, thread: I32): void {
  m.export("trap", { where: "i32", begin: "i32", end: "i32" }, (f, { where }) => {
    meet(f, thread);
    f.if(i32.eq(thread, where), () => f.do(unreachable));
  });
  m.export("hang", { begin: "i32", end: "i32" }, (f) => {
    meet(f, thread);
    f.while(thread, () => {});
  });
  m.export("who", { at: "i32", begin: "i32", end: "i32" }, (f, { at, begin, end }) => {
    f.for(begin, end, 1, (item) => {
      f.for(0, 3_000_000, 1, () => {});
      f.do(i32.store(i32.add(at, i32.shl(item, 2)), i32.add(thread, 1)));
    });
  });
  m.export("fraction", { at: "i32", x: "f32", begin: "i32", end: "i32" }, (f, { at, x, begin }) =>
    f.do(f32.store(i32.add(at, i32.shl(begin, 2)), x)),
  );
}

/** The pool, and its memory as words. */
export async function pool(patience?: number): Promise<{ threads: Threads; words: Int32Array }> {
  if (!engine) throw new Error("no WebAssembly");
  const limits = { initial: 1, maximum: 1, shared: true };
  const module = new Module(limits);
  kernels(module, module.global("thread"));
  const memory = new engine.Memory(limits);
  const compiled = new engine.Module(module.bytes());
  const exports = new engine.Instance(compiled, { env: { memory } }).exports as Exported;
  return {
    threads: await Threads.start(Promise.resolve(compiled), Promise.resolve(exports), memory, 2, patience),
    words: new Int32Array(memory.buffer),
  };
}

async function program(what: string): Promise<void> {
  const { threads, words } = await pool(what === "hang" ? 100 : undefined);
  try {
    if (what === "idle") threads.run("who", 6, [4096], 1e5);
    else threads.run(what, 6, what === "trap" ? [1] : [], 1e5);
    console.log(`${what}: ${words[1024] > 0 ? 1 : 0}`);
  } catch (error) {
    console.log(error instanceof Error ? error.message : error);
  }
}

if (/threadPool\.[jt]s$/.test(process.argv[1] ?? "")) await program(process.argv[2]);
