/**
 * Adafactor. Shazeer & Stern 2018, arXiv:1804.04235, algorithms 4 and 5: the mean square of a matrix's gradient is kept as one
 * number per row and one per column. It trained T5 and the Switch Transformer. Semantics of Hugging Face's Adafactor.
 * p parameter [..., R, C], g gradient.
 */
import type { Tensor } from "../autograd/tensor.ts";
import type { Groups, Parameters, Slot, StepOptions } from "./optimizer.ts";
import { Optimizer, gradientOf, once, stateLike } from "./optimizer.ts";

export interface AdafactorOptions {
  /** The step where relativeStep is false. */
  readonly lr: number;
  /** The step is min(1e-2, 1 / sqrt(t)), or min(1e-6 t, 1 / sqrt(t)) with warmupInit. Default true. */
  readonly relativeStep: boolean;
  readonly warmupInit: boolean;
  /** Times max(eps[1], rms(p)). Default true. */
  readonly scaleParameter: boolean;
  /** Added to g^2, and the least scale of a parameter. Default [1e-30, 1e-3]. */
  readonly eps: readonly [number, number];
  /** Updates are scaled down to this root mean square. Default 1. */
  readonly clipThreshold: number;
  /** The second moment forgets by 1 - t^decayRate. Default -0.8. */
  readonly decayRate: number;
  /** A running mean of updates, where wanted. Default null. */
  readonly beta1: number | null;
  /** Takes step weightDecay p off the parameter. */
  readonly weightDecay: number;
}

const defaults: AdafactorOptions = {
  lr: 1e-3,
  relativeStep: true,
  warmupInit: false,
  scaleParameter: true,
  eps: [1e-30, 1e-3],
  clipThreshold: 1,
  decayRate: -0.8,
  beta1: null,
  weightDecay: 0,
};

/** A parameter of fewer than two axes keeps its whole mean square. */
export class Adafactor extends Optimizer<AdafactorOptions> {
  constructor(parameters: Parameters, options: Partial<AdafactorOptions> = {}, groups?: Groups<AdafactorOptions>) {
    super(parameters, { ...defaults, ...options }, groups);
  }

  protected initial(parameter: Tensor, { beta1 }: AdafactorOptions): Record<string, Tensor> {
    const { shape } = parameter;
    const second: Record<string, Tensor> =
      shape.length < 2
        ? { second: stateLike(parameter) }
        : {
            rows: stateLike(parameter, shape.slice(0, -1)),
            columns: stateLike(parameter, [...shape.slice(0, -2), shape[shape.length - 1]]),
          };
    return beta1 === null ? second : { ...second, first: stateLike(parameter) };
  }

  protected update(slots: readonly Slot<AdafactorOptions>[], step: number, { factor, gradScale }: Required<StepOptions>): void {
    for (const slot of slots) {
      const { parameter: p, options, state } = slot;
      const direction = normalized(slot, gradientOf(slot, gradScale), step);
      const excess = rms(direction).mul(1 / options.clipThreshold).maximum(1); // prettier-ignore
      const rate = once(factor * relativeStep(options, step), p);
      const size = options.scaleParameter ? rms(p).maximum(options.eps[1]).mul(rate) : rate;
      const move = direction.div(excess).mul(size);
      const { first } = state;
      first?.assign(first.mul(options.beta1 ?? 0).add(move.mul(1 - (options.beta1 ?? 0))));
      const moved = p.sub(first ?? move);
      p.assign(options.weightDecay ? moved.sub(p.mul(options.weightDecay).mul(size)) : moved);
    }
  }
}

function relativeStep({ relativeStep: relative, warmupInit, lr }: AdafactorOptions, t: number): number {
  return relative ? Math.min(warmupInit ? 1e-6 * t : 1e-2, 1 / Math.sqrt(t)) : lr;
}

function rms(x: Tensor): Tensor {
  return x.square().mean().sqrt();
}

/** g over the root of its running mean square, which is estimated as rows * columns / mean(rows). */
function normalized({ options, state }: Slot<AdafactorOptions>, g: Tensor, t: number): Tensor {
  const share = t ** options.decayRate;
  const [kept, fresh] = [once(1 - share, g), once(share, g)];
  const square = g.square().add(options.eps[0]);
  const renew = (old: Tensor, now: Tensor): Tensor => old.assign(old.mul(kept).add(now.mul(fresh)));
  if (state.second) return g.mul(renew(state.second, square).rsqrt());
  const rows = renew(state.rows, square.mean(-1)); // [..., R]
  const columns = renew(state.columns, square.mean(-2)); // [..., C]
  const rowFactor = rows
    .div(rows.mean(-1, { keepDims: true }))
    .rsqrt()
    .unsqueeze(-1);
  return g.mul(rowFactor).mul(columns.rsqrt().unsqueeze(-2));
}
