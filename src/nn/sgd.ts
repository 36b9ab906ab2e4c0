/** Stochastic gradient descent. p parameter, g gradient, v direction: the running sum of gradients. */
import { checkOptions, finite, flag, optional } from "../autograd/arguments.ts";
import type { Kinds } from "../autograd/arguments.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Groups, ParameterState, Parameters, StepOptions } from "./optimizer.ts";
import { withDefaults } from "./options.ts";
import { Optimizer, gradientOf, once, stateLike } from "./optimizer.ts";

/** Learning rate, momentum and weight decay of stochastic gradient descent. */
export interface SgdOptions {
  /** The learning rate; it has no default. */
  readonly lr: number;
  /** v <- momentum v + (1 - dampening) g, then p <- p - lr v. Default 0. */
  readonly momentum: number;
  /** See `momentum`. Default 0. */
  readonly dampening: number;
  /** p <- p - lr (g + momentum v) instead. Nesterov 1983; Sutskever et al. 2013. Default false. */
  readonly nesterov: boolean;
  /** Adds weightDecay p to the gradient. Default 0. */
  readonly weightDecay: number;
}

const kinds: Kinds<SgdOptions> = { lr: finite(0), momentum: finite(0), dampening: finite(), nesterov: flag, weightDecay: finite(0) };

/** What a call must give, and what it may leave out. */
const given: Kinds<SgdOptions> = {
  lr: kinds.lr,
  momentum: optional(kinds.momentum),
  dampening: optional(kinds.dampening),
  nesterov: optional(kinds.nesterov),
  weightDecay: optional(kinds.weightDecay),
};

const defaults = { momentum: 0, dampening: 0, nesterov: false, weightDecay: 0 };

/**
 * Stochastic gradient descent, with momentum if asked for. Semantics of torch.optim.SGD: at the first step the direction is the gradient
 * itself, without dampening. Robbins & Monro 1951; momentum: Polyak 1964; Nesterov's: Sutskever et al. 2013.
 */
export class Sgd extends Optimizer<SgdOptions> {
  /** Throws for an unknown option or a wrong value, for parameters that cannot be trained, and for nesterov without momentum. */
  constructor(parameters: Parameters, options: Partial<SgdOptions> & { readonly lr: number }, groups?: Groups<SgdOptions>) {
    checkOptions(new.target.name, options, given);
    super(parameters, withDefaults(new.target.name, kinds, { ...defaults, lr: options.lr }, options), groups, kinds);
  }

  protected initial(parameter: Tensor, { momentum, dampening, nesterov }: SgdOptions): Record<string, Tensor> {
    if (nesterov && (momentum === 0 || dampening !== 0))
      throw new RangeError(
        `Sgd: nesterov with momentum ${momentum} and dampening ${dampening}: Nesterov's step needs a momentum above 0 and no dampening`,
      );
    return momentum ? { direction: stateLike(parameter) } : {};
  }

  protected update(entries: readonly ParameterState<SgdOptions>[], step: number, { factor, gradScale }: Required<StepOptions>): void {
    for (const entry of entries) {
      const { parameter: p, options, state } = entry;
      const { lr, momentum, dampening, nesterov, weightDecay } = options;
      const plain = gradientOf(entry, gradScale);
      const g = weightDecay ? plain.add(p.mul(weightDecay)) : plain;
      const v = !state.direction || step === 1 ? g : state.direction.mul(momentum).add(g.mul(1 - dampening));
      state.direction?.assign(v);
      p.assign(p.sub((nesterov ? g.add(v.mul(momentum)) : v).mul(once(lr * factor, p))));
    }
  }
}
