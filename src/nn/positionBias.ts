/**
 * Relative positions as biases that are added to the attention scores. H heads, T queries (the last T positions), S keys, N rows of the table, one
 * for each kind of distance.
 */
import type { Kinds } from "../autograd/arguments.ts";
import { aFloatDtype, aKey, check, checkOptions, checkShape, flag, optional, whole } from "../autograd/arguments.ts";
import { tensor } from "../autograd/create.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { truncatedNormal } from "./initializers.ts";
import type { Init } from "./module.ts";
import { Module } from "./module.ts";
import { Tables } from "./tables.ts";

/** A learnt number for each head and kind of distance between a query and a key, added to their score. */
export abstract class PositionBias extends Module {
  /** [N, H] */
  abstract readonly weight: Tensor;

  /** The row of `weight` for a key at `distance` = query position - key position. */
  abstract rowOf(distance: number): number;

  /** The biases [H, T, S] of the scores of T queries, at the last T of S positions. Throws for more queries than keys. */
  forward(T: number, S: number): Tensor {
    check(this.constructor.name, "keys", S, whole(0));
    check(this.constructor.name, "queries", T, whole(0, S));
    checkShape(this.constructor.name, [T, S]);
    checkShape(this.constructor.name, [T + S]);
    const { backend } = this.weight;
    const rows = Int32Array.from({ length: T + S - 1 }, (_, i) => this.rowOf(S - 1 - i)); // by key - query, from 1 - S on
    const index = this.#index.get(backend, `${T} ${S}`, () =>
      tensor(
        Int32Array.from({ length: T * S }, (_, i) => rows[(i % S) + T - 1 - Math.floor(i / S)]),
        { shape: [T, S], backend },
      ),
    );
    return this.weight.takeRows(index).permute([2, 0, 1]);
  }

  readonly #index = new Tables();

  /** One row for each key that a token attends to. */
  override cost(length: number): { active: number; flops: number } {
    const [rows, heads] = this.weight.shape;
    return { active: Math.min(rows, length) * heads, flops: 0 };
  }
}

/** Options of position biases. */
export interface PositionBiasOptions extends Init {
  /** Whether keys after the query have rows of their own. Default false: a causal model attends to no such keys. */
  readonly bidirectional?: boolean;
  /** Distances from this on (in `DistanceBias`, from this less 1) share the last row. Default 128. */
  readonly maxDistance?: number;
}

/**
 * A learnt number for each head and distance. It starts at -slope * distance, with the slopes 2^(-8h/H), h = 1..H, of ALiBi (Press et al. 2021,
 * arXiv:2108.12409, section 3), where it stays fixed. Distances beyond the last row share it. The constructor throws for fewer than 1 head and
 * for unknown options.
 */
export class DistanceBias extends PositionBias {
  readonly weight: Tensor;
  readonly bidirectional: boolean;

  constructor(heads: number, options: Omit<PositionBiasOptions, "random"> = {}) {
    super();
    check("DistanceBias", "heads", heads, whole(1));
    checkOptions("DistanceBias", options, distanceKinds);
    const { maxDistance = 128, bidirectional = false, dtype = "float32" } = options;
    this.bidirectional = bidirectional;
    const rows = bidirectional ? 2 * maxDistance - 1 : maxDistance;
    checkShape("DistanceBias", [rows, heads]);
    const distance = (row: number): number => (bidirectional ? Math.abs(row - maxDistance + 1) : row);
    const values = Float64Array.from(
      { length: rows * heads },
      (_, i) => -(2 ** ((-8 * ((i % heads) + 1)) / heads)) * distance(Math.floor(i / heads)),
    );
    this.weight = tensor(values, { shape: [rows, heads], dtype, requiresGrad: true });
  }

  rowOf(distance: number): number {
    const [rows] = this.weight.shape;
    const last = this.bidirectional ? (rows - 1) / 2 : rows - 1;
    return this.bidirectional ? Math.max(-last, Math.min(last, distance)) + last : Math.max(0, Math.min(last, distance));
  }
}

/** Options of `BucketBias`. */
export interface BucketBiasOptions extends PositionBiasOptions {
  /** The number of buckets, at least 2; at least 4 where `bidirectional`. Default 32. */
  readonly buckets?: number;
}

const distanceKinds: Kinds<Omit<PositionBiasOptions, "random">> = {
  dtype: optional(aFloatDtype),
  bidirectional: optional(flag),
  maxDistance: optional(whole(1)),
};

const bucketKinds: Kinds<BucketBiasOptions> = { ...distanceKinds, random: aKey, buckets: optional(whole(1)) };

/**
 * A learnt number for each head and bucket of distances, as in T5. Raffel et al. 2019, arXiv:1910.10683, section 2.1. The constructor throws for
 * fewer than 2 buckets, or 4 where `bidirectional`.
 */
export class BucketBias extends PositionBias {
  readonly weight: Tensor;
  readonly bidirectional: boolean;
  readonly maxDistance: number;

  constructor(heads: number, options: BucketBiasOptions) {
    super();
    check("BucketBias", "heads", heads, whole(1));
    checkOptions("BucketBias", options, bucketKinds);
    const { buckets = 32, maxDistance = 128, bidirectional = false, dtype = "float32", random } = options;
    check("BucketBias", "buckets", buckets, whole(bidirectional ? 4 : 2));
    check("BucketBias", "maxDistance", maxDistance, whole(Math.floor(buckets / (bidirectional ? 4 : 2)) + 1));
    this.bidirectional = bidirectional;
    this.maxDistance = maxDistance;
    this.weight = truncatedNormal(0.02)([buckets, heads], random.at("weight"), { dtype, requiresGrad: true });
  }

  rowOf(distance: number): number {
    return bucketOf(distance, this.weight.shape[0], this.maxDistance, this.bidirectional);
  }
}

/**
 * The bucket of a distance. The first half of the buckets hold one distance each, the others grow logarithmically up to maxDistance, from which on
 * all share the last. Bidirectional: the upper half of the buckets is for keys after the query (distance < 0). Logarithms are rounded to float32
 * where PyTorch rounds them: on the boundary of two buckets the rounding decides, and published weights were trained with it.
 */
export function bucketOf(distance: number, buckets: number, maxDistance: number, bidirectional: boolean): number {
  if (bidirectional) {
    const half = Math.floor(buckets / 2);
    return (distance < 0 ? half : 0) + bucketOf(Math.abs(distance), half, maxDistance, false);
  }
  const d = Math.max(0, distance);
  const exact = Math.floor(buckets / 2);
  if (d < exact) return d;
  const { fround, log } = Math;
  const share = fround(fround(log(fround(d / exact))) / fround(log(maxDistance / exact))); // of the way to maxDistance
  return Math.min(buckets - 1, exact + Math.floor(fround(share * (buckets - exact))));
}
