/** RMSprop. Tieleman & Hinton 2012 (lecture 6.5). p parameter, g gradient, v running mean square. */
import type { Tensor } from "../autograd/tensor.ts";
import type { Groups, Parameters, Slot, StepOptions } from "./optimizer.ts";
import { Optimizer, gradientOf, once, stateLike } from "./optimizer.ts";

export interface RmspropOptions {
  /** Default 1e-2. */
  readonly lr: number;
  /** v <- alpha v + (1 - alpha) g^2. Default 0.99. */
  readonly alpha: number;
  /** Added to the root. Default 1e-8. */
  readonly eps: number;
  /** Adds weightDecay p to the gradient. */
  readonly weightDecay: number;
  readonly momentum: number;
  /** Takes the squared running mean off v: the variance instead of the mean square. Graves 2013, arXiv:1308.0850, eq. 38-41. */
  readonly centered: boolean;
}

const defaults: RmspropOptions = { lr: 1e-2, alpha: 0.99, eps: 1e-8, weightDecay: 0, momentum: 0, centered: false };

/** As torch.optim.RMSprop. */
export class Rmsprop extends Optimizer<RmspropOptions> {
  constructor(parameters: Parameters, options: Partial<RmspropOptions> = {}, groups?: Groups<RmspropOptions>) {
    super(parameters, { ...defaults, ...options }, groups);
  }

  protected initial(parameter: Tensor, { momentum, centered }: RmspropOptions): Record<string, Tensor> {
    return {
      meanSquare: stateLike(parameter),
      ...(centered ? { mean: stateLike(parameter) } : {}),
      ...(momentum ? { direction: stateLike(parameter) } : {}),
    };
  }

  protected update(slots: readonly Slot<RmspropOptions>[], _step: number, { factor, gradScale }: Required<StepOptions>): void {
    for (const slot of slots) {
      const { parameter: p, options, state } = slot;
      const { lr, alpha, eps, weightDecay, momentum } = options;
      const plain = gradientOf(slot, gradScale);
      const g = weightDecay ? plain.add(p.mul(weightDecay)) : plain;
      state.meanSquare.assign(state.meanSquare.mul(alpha).add(g.square().mul(1 - alpha)));
      state.mean?.assign(state.mean.mul(alpha).add(g.mul(1 - alpha)));
      const variance = state.mean ? state.meanSquare.sub(state.mean.square()) : state.meanSquare;
      const scaled = g.div(variance.sqrt().add(eps));
      state.direction?.assign(state.direction.mul(momentum).add(scaled));
      p.assign(p.sub((state.direction ?? scaled).mul(once(lr * factor, p))));
    }
  }
}
