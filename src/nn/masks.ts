/**
 * Masks of attention as biases that are added to the scores: 0 where a query may attend to a key, -Infinity where not. Their sum forbids what any
 * of them forbids. B batch, T queries (the last T of S positions), S keys.
 */
import { aDtype, aTensor, check, requireInt, whole } from "../autograd/arguments.ts";
import type { Backend, DType } from "../autograd/contract.ts";
import { formatShape } from "../autograd/contract.ts";
import { arange, tensor } from "../autograd/create.ts";
import { where } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { Tables } from "./tables.ts";

const tables = new Tables();

/** A condition as a bias: 0 where it holds, -Infinity elsewhere. */
function bias(seen: Tensor, dtype: DType): Tensor {
  return where(seen.cast(dtype === "float64" ? dtype : "float32"), 0, -Infinity);
}

/** Forbids attention to padding: mask [B, S], 0 for padding -> [B, 1, 1, S]. Throws for other shapes. */
export function paddingBias(mask: Tensor, dtype: DType): Tensor {
  check("paddingBias", "mask", mask, aTensor);
  check("paddingBias", "dtype", dtype, aDtype);
  if (mask.shape.length !== 2) throw new RangeError(`paddingBias: mask ${formatShape(mask.shape)}: want [B, S]`);
  const [B, S] = mask.shape;
  return bias(mask.reshape([B, 1, 1, S]), dtype);
}

/**
 * Forbids attention between documents that are packed in one sequence. documents [B, S] int32: the number of each token's document ->
 * [B, 1, T, S], where T is `queries` (default S). Throws for other shapes.
 */
export function documentBias(documents: Tensor, dtype: DType, queries?: number): Tensor {
  check("documentBias", "documents", documents, aTensor);
  check("documentBias", "dtype", dtype, aDtype);
  requireInt("documentBias", "documents", documents);
  if (documents.shape.length !== 2) throw new RangeError(`documentBias: documents ${formatShape(documents.shape)}: want [B, S]`);
  const [B, S] = documents.shape;
  const T = queries ?? S;
  check("documentBias", "queries", T, whole(0, S));
  const asking = documents.narrow(1, S - T, S).reshape([B, 1, T, 1]);
  return bias(asking.equal(documents.reshape([B, 1, 1, S])), dtype);
}

/**
 * The mask of a prefix-LM: the first tokens of a sequence attend to each other in both directions, later ones only backwards. prefix [B] int32: how
 * many tokens are first -> [B, 1, T, S]. It replaces the causal mask. Throws for other shapes. Raffel et al. 2020, arXiv:1910.10683, section 3.2.1.
 */
export function prefixBias(prefix: Tensor, T: number, S: number, dtype: DType): Tensor {
  check("prefixBias", "prefix", prefix, aTensor);
  check("prefixBias", "keys", S, whole(0));
  check("prefixBias", "queries", T, whole(0, S));
  check("prefixBias", "dtype", dtype, aDtype);
  requireInt("prefixBias", "prefix", prefix);
  if (prefix.shape.length !== 1) throw new RangeError(`prefixBias: prefix ${formatShape(prefix.shape)}: want [B]`);
  const options = { dtype: "int32", backend: prefix.backend } as const;
  const keys = arange(0, S, 1, options); // [S]
  const queries = arange(S - T, S, 1, options).unsqueeze(1); // [T, 1]
  const before = keys.lessEqual(queries); // [T, S]
  return bias(before.maximum(keys.less(prefix.reshape([prefix.shape[0], 1, 1, 1]))), dtype);
}

/** A sliding window: a query attends to its own position and the `window` - 1 before it -> [T, S]. */
export function windowBias(window: number, T: number, S: number, { dtype, backend }: { dtype: DType; backend: Backend }): Tensor {
  return tables.get(backend, `window ${window} ${T} ${S} ${dtype}`, () => {
    const far = (i: number): boolean => Math.floor(i / S) + S - T - (i % S) >= window;
    return tensor(
      Float32Array.from({ length: T * S }, (_, i) => (far(i) ? -Infinity : 0)),
      { shape: [T, S], dtype, backend },
    );
  });
}
