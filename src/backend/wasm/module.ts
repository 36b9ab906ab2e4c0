/** The one module that holds every kernel. */
import { Module } from "./assembler.ts";
import type { MemoryLimits } from "./assembler.ts";
import { activationKernels } from "./kernels/activation.ts";
import { adamKernel } from "./kernels/adam.ts";
import { alongKernels } from "./kernels/along.ts";
import { argReduceKernels } from "./kernels/argReduce.ts";
import { arithmeticOf } from "./kernels/arithmetic.ts";
import { attentionKernels } from "./kernels/attention.ts";
import { copyKernels } from "./kernels/copy.ts";
import { cumsumKernels } from "./kernels/cumsum.ts";
import { elementwiseKernels } from "./kernels/elementwise.ts";
import { matmulKernels } from "./kernels/matmul.ts";
import { normsKernels } from "./kernels/norms.ts";
import { orderKernels } from "./kernels/order.ts";
import { randomKernels } from "./kernels/random.ts";
import { reduceKernels } from "./kernels/reduce.ts";
import { indexedRowKernels } from "./kernels/rows.ts";
import { crossEntropyKernels, softmaxKernels } from "./kernels/softmax.ts";
import { f32x4, v128 } from "./instructions.ts";
import type { V128 } from "./instructions.ts";
import { engine } from "./platform.ts";

const probeLimits: MemoryLimits = { initial: 1, maximum: 1, shared: false };

/** Whether the engine accepts a module that uses `value`. */
function accepts(value: V128): boolean {
  const module = new Module(probeLimits);
  module.export("probe", { at: "i32" }, (f, { at }) => f.do(v128.store(at, value)));
  return engine?.validate(module.bytes()) ?? false;
}

export const hasSimd = (): boolean => accepts(f32x4.const(0));

export function hasRelaxedSimd(): boolean {
  const zero = f32x4.const(0);
  return accepts(f32x4.relaxedMadd(zero, zero, zero));
}

/** What the kernels may use. */
export interface ModuleOptions {
  readonly memory: MemoryLimits;
  /** The engine knows relaxed SIMD. */
  readonly modern: boolean;
  /** Kernels may use it. */
  readonly relaxed: boolean;
}

/** Assembles the module. Its kernels are exported by name. */
export function kernelModule({ memory, modern, relaxed }: ModuleOptions): Uint8Array {
  const module = new Module(memory);
  const arithmetic = arithmeticOf({ modern, relaxed }, module.global("thread"));
  elementwiseKernels(module, arithmetic);
  copyKernels(module);
  indexedRowKernels(module);
  alongKernels(module, arithmetic);
  orderKernels(module, arithmetic);
  randomKernels(module);
  reduceKernels(module);
  argReduceKernels(module);
  cumsumKernels(module);
  const products = matmulKernels(module, arithmetic);
  attentionKernels(module, arithmetic, products);
  softmaxKernels(module, arithmetic);
  crossEntropyKernels(module, arithmetic);
  normsKernels(module);
  activationKernels(module, arithmetic);
  adamKernel(module);
  return module.bytes();
}
