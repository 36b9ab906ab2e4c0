/** Rotary positions, which rotate queries and keys. B batch, H heads, T tokens, K width of a head. */
import type { Kinds } from "../autograd/arguments.ts";
import { check, checkOptions, oneOf, optional, positive, whole } from "../autograd/arguments.ts";
import { tensor } from "../autograd/create.ts";
import { concat, stack } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { Module } from "./module.ts";
import { requireAxes } from "./positions.ts";
import { Tables } from "./tables.ts";

const tables = new Tables();

/** Options of `Rotary`. */
export interface RotaryOptions {
  /** Wavelengths go from 2 pi to 2 pi theta. Default 10,000. */
  readonly theta?: number;
  /**
   * Which coordinates form pairs: i and i + K / 2 ("halves", as in Hugging Face), or 2 i and 2 i + 1 ("neighbours", as in the paper).
   * Default "halves".
   */
  readonly pairs?: "halves" | "neighbours";
}

const rotaryKinds: Kinds<RotaryOptions> = { theta: optional(positive), pairs: optional(oneOf("halves", "neighbours")) };

/**
 * Rotary position embeddings: rotates pairs of coordinates of queries and keys by angles that grow with the position, so that their
 * products depend on the distance only. Su et al. 2021, arXiv:2104.09864, eq. 34. The constructor throws for an option that it does not
 * know.
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

  /** x [B, H, T, K] -> the same rotated, for positions from `past` on. Throws where K is odd. */
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

  /** f(position / theta^(2i/K)), f a cosine or a sine: [T, K / 2]. */
  #angles(f: (angle: number) => number, { shape, dtype, backend }: Tensor, past: number): Tensor {
    const [T, K] = shape.slice(-2);
    const half = K / 2;
    const values = Float64Array.from({ length: T * half }, (_, i) => f((past + Math.floor(i / half)) / this.theta ** ((i % half) / half)));
    return tensor(values, { shape: [T, half], dtype, backend });
  }
}
