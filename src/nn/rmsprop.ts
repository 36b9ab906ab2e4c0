/** RMSprop. Tieleman & Hinton 2012 (lecture 6.5). p parameter, g gradient, v running mean of g^2. */
import { finite, flag } from "../autograd/arguments.ts";
import type { Kinds } from "../autograd/arguments.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Groups, ParameterState, Parameters, StepOptions } from "./optimizer.ts";
import { withDefaults } from "./options.ts";
import { Optimizer, gradientOf, once, stateLike } from "./optimizer.ts";

/** Learning rate, decay rate, momentum and weight decay of RMSprop. */
export interface RmspropOptions {
  /** Default 1e-2. */
  readonly lr: number;
  /** v <- alpha v + (1 - alpha) g^2. Default 0.99. */
  readonly alpha: number;
  /** Added to the root of v. Default 1e-8. */
  readonly eps: number;
  /** Adds weightDecay p to the gradient. Default 0. */
  readonly weightDecay: number;
  /** The move is momentum times the move before, plus the new direction. Default 0. */
  readonly momentum: number;
  /** Subtracts the squared running mean from v: the variance instead of the mean square. Graves 2013, arXiv:1308.0850, eq. 38-41. */
  readonly centered: boolean;
}

const kinds: Kinds<RmspropOptions> = {
  lr: finite(0),
  alpha: finite(0, 1),
  eps: finite(0),
  weightDecay: finite(0),
  momentum: finite(0),
  centered: flag,
};

const defaults: RmspropOptions = { lr: 1e-2, alpha: 0.99, eps: 1e-8, weightDecay: 0, momentum: 0, centered: false };

/**
 * RMSprop: moves each parameter against its gradient, divided by the root of the gradient's running mean square. Semantics of
 * torch.optim.RMSprop. Tieleman & Hinton 2012, lecture 6.5; centred: Graves 2013, arXiv:1308.0850.
 */
export class Rmsprop extends Optimizer<RmspropOptions> {
  /** Throws for an unknown option or a wrong value, and for parameters that cannot be trained. */
  constructor(parameters: Parameters, options: Partial<RmspropOptions> = {}, groups?: Groups<RmspropOptions>) {
    super(parameters, withDefaults(new.target.name, kinds, defaults, options), groups, kinds);
  }

  protected initial(parameter: Tensor, { momentum, centered }: RmspropOptions): Record<string, Tensor> {
    return {
      meanSquare: stateLike(parameter),
      ...(centered ? { mean: stateLike(parameter) } : {}),
      ...(momentum ? { direction: stateLike(parameter) } : {}),
    };
  }

  protected update(entries: readonly ParameterState<RmspropOptions>[], _step: number, { factor, gradScale }: Required<StepOptions>): void {
    for (const entry of entries) {
      const { parameter: p, options, state } = entry;
      const { lr, alpha, eps, weightDecay, momentum } = options;
      const plain = gradientOf(entry, gradScale);
      const g = weightDecay ? plain.add(p.mul(weightDecay)) : plain;
      state.meanSquare.assign(state.meanSquare.mul(alpha).add(g.square().mul(1 - alpha)));
      state.mean?.assign(state.mean.mul(alpha).add(g.mul(1 - alpha)));
      // Of a steady gradient both are nearly equal, and rounding may make their difference negative.
      const variance = state.mean ? state.meanSquare.sub(state.mean.square()).maximum(0) : state.meanSquare;
      const scaled = g.div(variance.sqrt().add(eps));
      state.direction?.assign(state.direction.mul(momentum).add(scaled));
      p.assign(p.sub((state.direction ?? scaled).mul(once(lr * factor, p))));
    }
  }
}
