/** Running a primitive: on the device of its inputs, with a line on the tape where they are tracked. */
import type { ArrayType, Backend } from "../backend/backend.ts";
import { requireRoom } from "./arguments.ts";
import { context } from "./context.ts";
import { checkFinite } from "./debug.ts";
import type { Primitive } from "./primitive.ts";
import { Storage } from "./storage.ts";
import type { Pull } from "./tape.ts";
import { Line } from "./tape.ts";
import type { Tensor } from "./tensor.ts";

/** Runs a primitive where its inputs live and, when they are tracked, writes a line. */
export function apply(primitive: Primitive, ...inputs: Tensor[]): Tensor {
  const backend = backendOf(primitive.name, inputs);
  const type = primitive.type(...inputs);
  context().recomputation?.read(inputs);
  const view = primitive.view?.(type, inputs[0]);
  const out = view
    ? inputs[0].wrap(type, inputs[0].storage, view.strides, view.offset)
    : inputs[0].wrap(type, storageOf(primitive, backend, type, inputs));
  if (context().recording && inputs.some((input, i) => primitive.vjp[i] && input.requiresGrad))
    out.line = new Line(primitive.name, inputs, out, pullPrimitive(primitive));
  if (context().debug) checkFinite(primitive.name, out, inputs);
  return out;
}

function storageOf(primitive: Primitive, backend: Backend, type: ArrayType, inputs: readonly Tensor[]): Storage {
  requireRoom(primitive.name, type);
  const make = (): Storage => new Storage(backend, primitive.run(backend, type, ...inputs), hostOf(primitive, inputs));
  const { recomputation } = context();
  return recomputation && isDecision(type, inputs) ? recomputation.decide(type, make) : make();
}

/** Whether a result is int32 and computed from floats, as an index or a choice is. */
function isDecision({ dtype }: ArrayType, inputs: readonly Tensor[]): boolean {
  return dtype === "int32" && inputs.some((input) => input.dtype !== "int32");
}

function hostOf(primitive: Primitive, inputs: readonly Tensor[]): Int32Array | null {
  return inputs[0].dtype === "int32" ? (primitive.host?.(...inputs) ?? null) : null;
}

function pullPrimitive(primitive: Primitive): Pull {
  return (g, line, needed) => primitive.vjp.map((rule, i) => (rule && needed[i] ? rule(g, line.output, ...line.inputs) : null));
}

/** The one device all inputs live on. */
export function backendOf(operation: string, inputs: readonly Tensor[]): Backend {
  const backend = inputs[0].backend;
  for (const input of inputs)
    if (input.backend !== backend)
      throw new TypeError(
        `${operation}: operands live on two devices, "${backend.name}" and "${input.backend.name}"; move one with x.to(backend)`,
      );
  return backend;
}

/** bfloat16 operands are widened to float32, `compute` runs there, and its float32 result is rounded once. */
export function widened(operation: string, inputs: readonly Tensor[], compute: (...inputs: Tensor[]) => Tensor): Tensor {
  if (!inputs.some((x) => x.dtype === "bfloat16")) return compute(...inputs);
  const other = inputs.find((x) => x.dtype === "float32" || x.dtype === "float64");
  if (other) throw new TypeError(`${operation}: dtypes bfloat16 and ${other.dtype} differ; use cast("${other.dtype}")`);
  const out = compute(...inputs.map((x) => (x.dtype === "bfloat16" ? x.cast("float32") : x)));
  return out.dtype === "float32" ? out.cast("bfloat16") : out;
}
