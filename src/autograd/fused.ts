/** Fused operations: compositions that a backend may run in one kernel. */
import type { ArrayType, Backend, FusedKernel, FusedKernels } from "../backend/backend.ts";
import { backendOf } from "./apply.ts";
import { requireRoom } from "./arguments.ts";
import { context } from "./context.ts";
import { checkFinite } from "./debug.ts";
import { Storage } from "./storage.ts";
import type { Pull } from "./tape.ts";
import { Line } from "./tape.ts";
import type { Tensor } from "./tensor.ts";
import { localGradients } from "./walk.ts";

type AttributesOf<K> = K extends FusedKernel<infer A> ? A : never;
export type FusedName = {
  [N in keyof FusedKernels]-?: NonNullable<FusedKernels[N]> extends FusedKernel<infer _> ? N : never;
}[keyof FusedKernels];
export type FusedAttributes<N extends FusedName> = AttributesOf<NonNullable<FusedKernels[N]>>;

/**
 * A composition that a backend may run as one kernel. `compose` defines its values and its derivatives of every order. A backend may compute
 * the forward run and a backward walk that is not recorded; a walk that is recorded goes through the composition.
 */
export interface Fused<N extends FusedName> {
  readonly name: N;
  type(attributes: FusedAttributes<N>, ...inputs: ArrayType[]): ArrayType;
  compose(attributes: FusedAttributes<N>, ...inputs: Tensor[]): Tensor;
  /** Makes the kernel from the backend's, where its inputs differ from those of the backend's kernel of that name. */
  kernel?(backend: Backend): FusedKernel<FusedAttributes<N>> | undefined;
}

/** Runs a fused operation: by the backend's kernel where it serves these inputs, else as its composition. */
export function applyFused<N extends FusedName>(fused: Fused<N>, attributes: FusedAttributes<N>, ...inputs: Tensor[]): Tensor {
  const backend = backendOf(fused.name, inputs);
  const type = fused.type(attributes, ...inputs);
  requireRoom(fused.name, type);
  const kernel = fused.kernel ? fused.kernel(backend) : (backend.fused[fused.name] as FusedKernel<FusedAttributes<N>> | undefined);
  const result = kernel?.forward(type, inputs, attributes);
  if (!kernel || !result) return fused.compose(attributes, ...inputs);
  context().recomputation?.read(inputs);
  const out = inputs[0].wrap(type, new Storage(backend, result.out));
  const saved = result.saved.map((buffer) => new Storage(backend, buffer).retain());
  if (context().recording && inputs.some((input) => input.requiresGrad)) {
    out.line = new Line(fused.name, inputs, out, pullFused(fused, kernel, attributes), saved);
    out.holdAlso(saved);
  } else for (const storage of saved) storage.release();
  if (context().debug) checkFinite(fused.name, out, inputs);
  return out;
}

function pullFused<N extends FusedName>(fused: Fused<N>, kernel: FusedKernel<FusedAttributes<N>>, attributes: FusedAttributes<N>): Pull {
  return (g, line, needed, spare) => {
    if (context().recording) return localGradients(fused.compose(attributes, ...line.inputs), line.inputs, g);
    const buffers = kernel.backward(
      g,
      line.output,
      line.saved.map((s) => s.buffer),
      line.inputs,
      needed,
      attributes,
      spare,
    );
    const { backend } = g.storage;
    return line.inputs.map((input, i) => (buffers[i] ? input.wrap(input, new Storage(backend, buffers[i])) : null));
  };
}
