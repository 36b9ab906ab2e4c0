/** Adafactor. p parameter [..., R, C], g gradient, t the number of the step, rms the root mean square. */
import { either, finite, flag, listOf, nothing, positive, rate } from "../autograd/arguments.ts";
import type { Kinds } from "../autograd/arguments.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Groups, ParameterState, Parameters, StepOptions } from "./optimizer.ts";
import { withDefaults } from "./options.ts";
import { Optimizer, gradientOf, once, stateLike } from "./optimizer.ts";

/** Learning rate, decay and clipping of Adafactor. */
export interface AdafactorOptions {
  /** The step size, only with `relativeStep` false. Default 1e-3. */
  readonly lr: number;
  /** Whether the step size is min(1e-2, 1 / sqrt(t)), or with `warmupInit` min(1e-6 t, 1 / sqrt(t)), instead of `lr`. Default true. */
  readonly relativeStep: boolean;
  /** Whether relative step sizes grow slowly at first. Default false. */
  readonly warmupInit: boolean;
  /** Whether the step size is multiplied by max(eps[1], rms(p)). Default true. */
  readonly scaleParameter: boolean;
  /** [added to g^2, the least scale of a parameter]. Default [1e-30, 1e-3]. */
  readonly eps: readonly [number, number];
  /** Updates with a larger root mean square are scaled down to this. Default 1. */
  readonly clipThreshold: number;
  /** At step t the running mean of g^2 keeps 1 - t^decayRate of its old value. Default -0.8. */
  readonly decayRate: number;
  /** What a running mean of the updates keeps at each step; null: there is no such mean. Default null. */
  readonly beta1: number | null;
  /** Subtracts step size times weightDecay times p from the parameter. Default 0. */
  readonly weightDecay: number;
  /**
   * Whether a parameter of three axes and more is a stack of matrices, such as experts [E, in, out], each of which is moved as if it were alone.
   * With false one root mean square is taken of the whole parameter, as Hugging Face's Adafactor does. Default true.
   */
  readonly perMatrix: boolean;
}

const kinds: Kinds<AdafactorOptions> = {
  lr: finite(0),
  relativeStep: flag,
  warmupInit: flag,
  scaleParameter: flag,
  eps: listOf(finite(0), 2),
  clipThreshold: positive,
  decayRate: finite(-Infinity, 0),
  beta1: either(nothing, rate),
  weightDecay: finite(0),
  perMatrix: flag,
};

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
  perMatrix: true,
};

/**
 * Adafactor: keeps the mean square of a matrix's gradient as one number per row and one per column; vectors and scalars keep all of it. T5 and
 * the Switch Transformer were trained with it. Shazeer & Stern 2018, arXiv:1804.04235, algorithms 4 and 5. Semantics of Hugging Face's Adafactor
 * except for stacks of matrices, see `perMatrix`.
 */
export class Adafactor extends Optimizer<AdafactorOptions> {
  /**
   * Throws for an unknown option or a wrong value, for parameters that cannot be trained, for an `lr` beside `relativeStep`, and for `warmupInit`
   * without it.
   */
  constructor(parameters: Parameters, options: Partial<AdafactorOptions> = {}, groups?: Groups<AdafactorOptions>) {
    super(parameters, withDefaults(new.target.name, kinds, defaults, options), groups, kinds);
  }

  protected initial(parameter: Tensor, options: AdafactorOptions): Record<string, Tensor> {
    requireUsed(options);
    const { beta1 } = options;
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

  protected update(entries: readonly ParameterState<AdafactorOptions>[], step: number, { factor, gradScale }: Required<StepOptions>): void {
    for (const entry of entries) {
      const { parameter: p, options, state } = entry;
      const direction = normalized(entry, gradientOf(entry, gradScale), step);
      const rms = options.perMatrix ? rmsOfMatrices : rmsOfAll;
      const excess = rms(direction).mul(1 / options.clipThreshold).maximum(1); // prettier-ignore
      const rate = once(factor * stepSize(options, step), p);
      const size = options.scaleParameter ? rms(p).maximum(options.eps[1]).mul(rate) : rate;
      const move = direction.div(excess).mul(size);
      const { first } = state;
      first?.assign(first.mul(options.beta1 ?? 0).add(move.mul(1 - (options.beta1 ?? 0))));
      const moved = p.sub(first ?? move);
      p.assign(options.weightDecay ? moved.sub(p.mul(options.weightDecay).mul(size)) : moved);
    }
  }
}

/** An option that would be ignored is a mistake. */
function requireUsed({ relativeStep: relative, warmupInit, lr }: AdafactorOptions): void {
  if (relative && lr !== defaults.lr)
    throw new RangeError(
      `Adafactor: lr ${lr} and relativeStep true, whose step sizes follow from the step: want relativeStep false with an lr`,
    );
  if (warmupInit && !relative) throw new RangeError("Adafactor: warmupInit true and relativeStep false: want relativeStep true with it");
}

/** The size of step t, before the parameter's own scale. */
function stepSize({ relativeStep: relative, warmupInit, lr }: AdafactorOptions, t: number): number {
  return relative ? Math.min(warmupInit ? 1e-6 * t : 1e-2, 1 / Math.sqrt(t)) : lr;
}

function rmsOfAll(x: Tensor): Tensor {
  return x.square().mean().sqrt();
}

/** [..., 1, 1]; of a vector or a scalar as a whole. */
function rmsOfMatrices(x: Tensor): Tensor {
  return x.shape.length < 3 ? rmsOfAll(x) : x.square().mean([-2, -1], { keepDims: true }).sqrt();
}

/** g over the root of its running mean square, which for a matrix is estimated as rows * columns / mean(rows). */
function normalized({ options, state }: ParameterState<AdafactorOptions>, g: Tensor, t: number): Tensor {
  const share = t ** options.decayRate;
  const [kept, fresh] = [once(1 - share, g), once(share, g)];
  const square = g.square().add(options.eps[0]);
  const average = (old: Tensor, now: Tensor): Tensor => old.assign(old.mul(kept).add(now.mul(fresh)));
  if (state.second) return g.mul(average(state.second, square).rsqrt());
  const rows = average(state.rows, square.mean(-1)); // [..., R]
  const columns = average(state.columns, square.mean(-2)); // [..., C]
  const rowFactor = rows
    .div(rows.mean(-1, { keepDims: true }))
    .rsqrt()
    .unsqueeze(-1);
  return g.mul(rowFactor).mul(columns.rsqrt().unsqueeze(-2));
}
