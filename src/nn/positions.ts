/** Absolute positions, which are added to the embeddings. B batch, T tokens, D width. */
import type { Kinds } from "../autograd/arguments.ts";
import { aBackend, aDtype, aFloatDtype, aKey, aTensor, callable, check, checkOptions, checkShape, either, optional, whole } from "../autograd/arguments.ts"; // prettier-ignore
import type { Backend, DType } from "../autograd/contract.ts";
import { formatShape } from "../autograd/contract.ts";
import { tensor } from "../autograd/create.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Initializer } from "./initializers.ts";
import { truncatedNormal } from "./initializers.ts";
import type { Init } from "./module.ts";
import { Module } from "./module.ts";
import { Tables } from "./tables.ts";

const tables = new Tables();

/** Absolute positions: a vector for each position, added to the tokens. */
export interface AbsolutePositions {
  /** x [B, T, D] plus the vectors of its positions, which begin at `past` in each row; or are given, `past` [B, T] int32. */
  forward(x: Tensor, past: number | Tensor): Tensor;
}

/** The number of tokens before x, or the position of each token. */
const places = either(whole(0), { ...aTensor, wanted: "a tensor of positions [B, T]" });

/** Throws unless x has as many axes as are named, and the sizes that are given as numbers. */
export function requireAxes(layer: string, x: Tensor, axes: readonly (string | number)[]): void {
  check(layer, "x", x, aTensor);
  const { shape } = x;
  if (shape.length !== axes.length || axes.some((axis, i) => typeof axis === "number" && axis !== shape[i]))
    throw new RangeError(`${layer}: x ${formatShape(shape)}: want [${axes.join(", ")}]`);
}

/** Options of `LearnedPositions`. */
export interface LearnedPositionsOptions extends Init {
  /** Default: truncated normal of deviation 0.02. */
  readonly initializer?: Initializer;
}

const learnedKinds: Kinds<LearnedPositionsOptions> = { random: aKey, dtype: optional(aFloatDtype), initializer: optional(callable) };

/** A learnt vector for each position. Throws for a position of `context` or more. Gehring et al. 2017, arXiv:1705.03122, section 3.1. */
export class LearnedPositions extends Module implements AbsolutePositions {
  /** [context, D] */
  readonly weight: Tensor;

  constructor(context: number, width: number, options: LearnedPositionsOptions) {
    super();
    for (const [name, size] of Object.entries({ context, width })) check("LearnedPositions", name, size, whole(1));
    checkOptions("LearnedPositions", options, learnedKinds);
    const { random, dtype = "float32", initializer = truncatedNormal(0.02) } = options;
    this.weight = initializer([context, width], random.at("weight"), { dtype, requiresGrad: true });
  }

  /** x [B, T, D] plus the rows of its positions, from `past` on; or `past` [B, T] int32. */
  forward(x: Tensor, past: number | Tensor): Tensor {
    requireAxes("LearnedPositions", x, ["B", "T", this.weight.shape[1]]);
    check("LearnedPositions", "past", past, places);
    const [context] = this.weight.shape;
    if (typeof past !== "number") return x.add(this.weight.takeRows(past).cast(x.dtype));
    const end = past + x.shape[1];
    if (end > context) throw new RangeError(`LearnedPositions: position ${end - 1} is beyond the context of ${context}`);
    return x.add(this.weight.narrow(0, past, end).cast(x.dtype));
  }

  /** One row a token. */
  override cost(): { active: number; flops: number } {
    return { active: this.weight.shape[1], flops: 0 };
  }
}

/**
 * Sines and cosines of the position at wavelengths from 2 pi to 20,000 pi: see `sinusoids`. Throws for given positions that a device computed,
 * which the host does not know. Vaswani et al. 2017, arXiv:1706.03762, section 3.5.
 */
export class SinusoidalPositions extends Module implements AbsolutePositions {
  /** x [B, T, D] plus the sinusoids of its positions, from `past` on; or `past` [B, T] int32. */
  forward(x: Tensor, past: number | Tensor): Tensor {
    requireAxes("SinusoidalPositions", x, ["B", "T", "D"]);
    check("SinusoidalPositions", "past", past, places);
    const { shape: [, T, D], dtype, backend } = x; // prettier-ignore
    const table = (first: number, count: number): Tensor =>
      tables.get(backend, `sinusoidal ${first} ${count} ${D} ${dtype}`, () => sinusoids(count, D, { past: first, dtype, backend }));
    if (typeof past === "number") return x.add(table(past, T));
    if (!past.host) throw new TypeError("SinusoidalPositions: past is a tensor that a device computed: want positions made from numbers");
    return x.add(table(0, 1 + past.host.reduce((most, place) => Math.max(most, place), 0)).takeRows(past));
  }
}

/** Options of `sinusoids`. */
export interface SinusoidOptions {
  /** The position of the first row. Default 0. */
  readonly past?: number;
  /** Default "float32". */
  readonly dtype?: DType;
  /** Default: the current backend. */
  readonly backend?: Backend;
}

const sinusoidKinds: Kinds<SinusoidOptions> = { past: optional(whole(0)), dtype: optional(aDtype), backend: optional(aBackend) };

/**
 * A table [T, D] of T positions: column 2i is sin(position / 10000^(2i/D)), column 2i + 1 the cosine of the same angle. Throws for sizes that are
 * no whole numbers of 0 or more. Vaswani et al. 2017, arXiv:1706.03762, section 3.5.
 */
export function sinusoids(T: number, D: number, options: SinusoidOptions = {}): Tensor {
  for (const [name, size] of Object.entries({ T, D })) check("sinusoids", name, size, whole(0));
  checkShape("sinusoids", [T, D]);
  checkOptions("sinusoids", options, sinusoidKinds);
  const { past = 0, dtype = "float32", backend } = options;
  const angle = (i: number): number => (past + Math.floor(i / D)) / 10000 ** ((2 * Math.floor((i % D) / 2)) / D);
  const values = Float64Array.from({ length: T * D }, (_, i) => ((i % D) % 2 ? Math.cos(angle(i)) : Math.sin(angle(i))));
  return tensor(values, { shape: [T, D], dtype, ...(backend ? { backend } : {}) });
}
