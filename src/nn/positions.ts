/**
 * Where a token stands. Absolute positions are added to the embeddings, relative ones to the attention scores, rotary ones turn
 * queries and keys. B batch, H heads, T queries (the last T places), S keys, D width, K width of a head.
 */
import type { Kinds } from "../autograd/arguments.ts";
import { aBackend, aDtype, aFloatDtype, aKey, aTensor, callable, check, checkOptions, checkShape, either, flag, oneOf, optional, positive, whole } from "../autograd/arguments.ts"; // prettier-ignore
import type { Backend, DType } from "../autograd/contract.ts";
import { formatShape } from "../autograd/contract.ts";
import { tensor } from "../autograd/create.ts";
import { concat, stack } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Initializer } from "./initializers.ts";
import { truncatedNormal } from "./initializers.ts";
import type { Init } from "./module.ts";
import { Module } from "./module.ts";
import { Tables } from "./tables.ts";

const tables = new Tables();

/** Adds something of its position to each token: x [B, T, D], of which so many tokens came before; or whose places are given, [B, T]. */
export interface AbsolutePositions {
  /** x [B, T, D] with its positions, which begin at `past` for each row. */
  forward(x: Tensor, past: number | Tensor): Tensor;
}

/** How many tokens came before, or where each stands. */
const places = either(whole(0), { ...aTensor, wanted: "a tensor of places [B, T]" });

/** As many axes as named, and those that are numbers of that size. */
function requireAxes(layer: string, x: Tensor, axes: readonly (string | number)[]): void {
  check(layer, "x", x, aTensor);
  const { shape } = x;
  if (shape.length !== axes.length || axes.some((axis, i) => typeof axis === "number" && axis !== shape[i]))
    throw new RangeError(`${layer}: x ${formatShape(shape)}: want [${axes.join(", ")}]`);
}

/** How the rows of learned positions begin. */
export interface LearnedPositionsOptions extends Init {
  /** Default: truncated normal of deviation 0.02. */
  readonly initializer?: Initializer;
}

const learnedKinds: Kinds<LearnedPositionsOptions> = { random: aKey, dtype: optional(aFloatDtype), initializer: optional(callable) };

/** Learned row per position. Throws for a position beyond its context. Gehring et al. 2017, arXiv:1705.03122, section 3.1. */
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
 * sin and cos of the position at wavelengths from 2 pi to 20,000 pi. Vaswani et al. 2017, arXiv:1706.03762, section 3.5. Throws for places
 * that do not come from the host.
 */
export class SinusoidalPositions extends Module implements AbsolutePositions {
  forward(x: Tensor, past: number | Tensor): Tensor {
    requireAxes("SinusoidalPositions", x, ["B", "T", "D"]);
    check("SinusoidalPositions", "past", past, places);
    const { shape: [, T, D], dtype, backend } = x; // prettier-ignore
    const table = (first: number, count: number): Tensor =>
      tables.get(backend, `sinusoidal ${first} ${count} ${D} ${dtype}`, () => sinusoids(count, D, { past: first, dtype, backend }));
    if (typeof past === "number") return x.add(table(past, T));
    if (!past.host) throw new TypeError("SinusoidalPositions: places are read where they are made: they must come from the host");
    return x.add(table(0, 1 + past.host.reduce((most, place) => Math.max(most, place), 0)).takeRows(past));
  }
}

/** Where a table of sinusoids begins, and where and in what it is kept. */
export interface SinusoidOptions {
  /** The position of the first row. Default 0. */
  readonly past?: number;
  readonly dtype?: DType;
  readonly backend?: Backend;
}

const sinusoidKinds: Kinds<SinusoidOptions> = { past: optional(whole(0)), dtype: optional(aDtype), backend: optional(aBackend) };

/**
 * [T, D]: column 2i is sin(position / 10000^(2i/D)), column 2i + 1 its cosine. Throws for sizes that are no whole numbers from 0. Vaswani
 * et al. 2017, arXiv:1706.03762, section 3.5.
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

/** A number per head for each pair of positions, added to the scores. Throws for more queries than keys. */
export abstract class PositionBias extends Module {
  /** A row per kind of distance: [N, H]. */
  abstract readonly weight: Tensor;

  /** Which row speaks for a key at `distance` = query position - key position. */
  abstract rowOf(distance: number): number;

  /** What is added to the scores of T queries, the last of S keys: [H, T, S]. */
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

/** How far a position bias tells distances apart, and how it is initialised. */
export interface PositionBiasOptions extends Init {
  /** Keys behind the query have rows of their own. Default false: a causal model has no such keys. */
  readonly bidirectional?: boolean;
  readonly maxDistance?: number;
}

/**
 * A learned number per head and distance, started at -slope * distance with the slopes 2^(-8h/H), h = 1..H, of ALiBi (Press et
 * al. 2021, arXiv:2108.12409, section 3), which keeps them fixed. Distances beyond the last row share it. The constructor throws for a
 * number of heads that is no whole number from 1.
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

/** What a bias by buckets of distances may be told. */
export interface BucketBiasOptions extends PositionBiasOptions {
  /** At least 2, or 4 in both directions. Default 32. */
  readonly buckets?: number;
}

const distanceKinds: Kinds<Omit<PositionBiasOptions, "random">> = {
  dtype: optional(aFloatDtype),
  bidirectional: optional(flag),
  maxDistance: optional(whole(1)),
};

const bucketKinds: Kinds<BucketBiasOptions> = { ...distanceKinds, random: aKey, buckets: optional(whole(1)) };

/**
 * A learned number per head and bucket of distances, as in T5. Raffel et al. 2019, arXiv:1910.10683, section 2.1. The constructor throws
 * for fewer than 2 buckets, 4 where it looks both ways.
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
 * Half of the buckets hold one distance each, the others grow logarithmically up to maxDistance; beyond, the last. Bidirectional:
 * the upper half of the buckets is for keys behind the query (distance < 0). Logarithms are rounded to float32 where PyTorch rounds
 * them: on the boundary of two buckets the rounding decides, and published weights were trained with that decision.
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

/** The wavelengths of rotary embeddings, and which coordinates are turned together. */
export interface RotaryOptions {
  /** Wavelengths go from 2 pi to 2 pi theta. Default 10,000. */
  readonly theta?: number;
  /** Coordinate i is turned with i + K / 2 ("halves", as Hugging Face has it), or 2 i with 2 i + 1 ("neighbours", as in the paper). Default "halves". */
  readonly pairs?: "halves" | "neighbours";
}

const rotaryKinds: Kinds<RotaryOptions> = { theta: optional(positive), pairs: optional(oneOf("halves", "neighbours")) };

/**
 * Turns pairs of coordinates of queries and keys by angles that grow with the position, so that their products know distances alone.
 * Su et al. 2021, arXiv:2104.09864, eq. 34. The constructor throws for an option that it does not know.
 */
export class Rotary extends Module {
  readonly theta: number;
  readonly pairs: "halves" | "neighbours";

  constructor(options: RotaryOptions = {}) {
    super();
    checkOptions("Rotary", options, rotaryKinds);
    this.theta = options.theta ?? 10000;
    this.pairs = options.pairs ?? "halves";
  }

  /** x [B, H, T, K], of which `past` positions came before. Throws where K is odd. */
  forward(x: Tensor, past: number): Tensor {
    requireAxes("Rotary", x, ["B", "H", "T", "K"]);
    check("Rotary", "past", past, whole(0));
    const [, , T, K] = x.shape;
    if (K % 2) throw new RangeError(`Rotary: heads of width ${K} cannot be paired; the width must be even`);
    const [cos, sin] = [Math.cos, Math.sin].map((f) =>
      tables.get(x.backend, `${f.name} ${this.theta} ${past} ${T} ${K} ${x.dtype}`, () => this.#angles(f, x, past)),
    );
    const [a, b] = this.#apart(x);
    return this.#together(a.mul(cos).sub(b.mul(sin)), b.mul(cos).add(a.mul(sin)));
  }

  /** The first and the second of each pair, [B, H, T, K / 2]. */
  #apart(x: Tensor): Tensor[] {
    if (this.pairs === "halves") return x.split(2, -1);
    const { shape } = x;
    return x.reshape([...shape.slice(0, -1), shape[3] / 2, 2]).split(2, -1).map((part) => part.squeeze(-1)); // prettier-ignore
  }

  #together(a: Tensor, b: Tensor): Tensor {
    if (this.pairs === "halves") return concat([a, b], -1);
    return stack([a, b], -1).reshape([...a.shape.slice(0, -1), 2 * a.shape[3]]);
  }

  /** f of position / theta^(2i/K), [T, K/2]. */
  #angles(f: (angle: number) => number, { shape, dtype, backend }: Tensor, past: number): Tensor {
    const [T, K] = shape.slice(-2);
    const half = K / 2;
    const values = Float64Array.from({ length: T * half }, (_, i) => f((past + Math.floor(i / half)) / this.theta ** ((i % half) / half)));
    return tensor(values, { shape: [T, half], dtype, backend });
  }
}
