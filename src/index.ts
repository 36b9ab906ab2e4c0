/**
 * Switchyard: tensors, a tape, and derivatives of any order. Layers are in "switchyard-moe/nn", routing in "switchyard-moe/moe".
 *
 * What is done to one tensor is a method of it (`x.add(y)`, `x.takeRows(index)`, `loss.backward()`). A function is what makes tensors, what
 * takes several of equal standing (`where`, `concat`, `einsum`, gathers with two tables, grouped products) or an option of its own
 * (`activate`), and what surrounds a computation (`scope`, `noGrad`, `debug`). `backward` and `gradients` are both.
 */
export { BackendError } from "./autograd/contract.ts";
export type { Activation, ArrayType, Backend, BackendStats, DType, Shape } from "./autograd/contract.ts";
export { didYouMean } from "./autograd/contract.ts";
export { activate } from "./autograd/activations.ts";
export type { VarianceOptions } from "./autograd/statistics.ts";
export { noGrad } from "./autograd/context.ts";
export { fullLike, zerosLike } from "./autograd/constants.ts";
export { arange, eye, full, linspace, ones, tensor, zeros } from "./autograd/create.ts";
export type { CreateOptions, FlatNumbers, Nested } from "./autograd/create.ts";
export { NonFiniteError, debug } from "./autograd/debug.ts";
export type { NonFiniteDetails, Phase } from "./autograd/debug.ts";
export { cpuBackend, defaultBackend, useBackend, withBackend } from "./autograd/devices.ts";
export type { BackendName } from "./autograd/devices.ts";
export { einsum } from "./autograd/einsum.ts";
export { concat, gatherRows, groupedMatmul, groupedOuter, stack, where } from "./autograd/operations.ts";
export * as random from "./autograd/random.ts";
export { Key, key } from "./autograd/random.ts";
export type { Numbers } from "./autograd/read.ts";
export { recompute } from "./autograd/recompute.ts";
export { scope } from "./autograd/scope.ts";
export { Tape } from "./autograd/tape.ts";
export type { Line } from "./autograd/tape.ts";
export { Tensor } from "./autograd/tensor.ts";
export type { SliceRange } from "./autograd/shaping.ts";
export type { CumsumOptions, Operand, ReduceOptions, SortOptions } from "./autograd/tensor.ts";
export { backward, gradients } from "./autograd/walk.ts";
export type { Gradients, WalkOptions } from "./autograd/walk.ts";
