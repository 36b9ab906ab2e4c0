/** Stochastic gradient descent. p parameter, g gradient, v running direction. */
import type { Tensor } from "../autograd/tensor.ts";
import type { Groups, Parameters, Slot, StepOptions } from "./optimizer.ts";
import { Optimizer, gradientOf, once, stateLike } from "./optimizer.ts";

export interface SgdOptions {
  readonly lr: number;
  /** v <- momentum v + (1 - dampening) g, and p moves along v. Default 0. */
  readonly momentum: number;
  readonly dampening: number;
  /** Moves along g + momentum v. Nesterov 1983; Sutskever et al. 2013. */
  readonly nesterov: boolean;
  /** Adds weightDecay p to the gradient. */
  readonly weightDecay: number;
}

const defaults = { momentum: 0, dampening: 0, nesterov: false, weightDecay: 0 };

/** As torch.optim.SGD: the first direction is the gradient itself, whatever the dampening. */
export class Sgd extends Optimizer<SgdOptions> {
  constructor(parameters: Parameters, options: Partial<SgdOptions> & { readonly lr: number }, groups?: Groups<SgdOptions>) {
    super(parameters, { ...defaults, ...options }, groups);
    if (options.nesterov && (!options.momentum || options.dampening))
      throw new RangeError("Sgd: Nesterov's step needs a momentum above 0 and no dampening");
  }

  protected initial(parameter: Tensor, { momentum }: SgdOptions): Record<string, Tensor> {
    return momentum ? { direction: stateLike(parameter) } : {};
  }

  protected update(slots: readonly Slot<SgdOptions>[], step: number, { factor, gradScale }: Required<StepOptions>): void {
    for (const slot of slots) {
      const { parameter: p, options, state } = slot;
      const { lr, momentum, dampening, nesterov, weightDecay } = options;
      const plain = gradientOf(slot, gradScale);
      const g = weightDecay ? plain.add(p.mul(weightDecay)) : plain;
      const v = !state.direction || step === 1 ? g : state.direction.mul(momentum).add(g.mul(1 - dampening));
      state.direction?.assign(v);
      p.assign(p.sub((nesterov ? g.add(v.mul(momentum)) : v).mul(once(lr * factor, p))));
    }
  }
}
