/** Adam and AdamW. p parameter, g gradient, m and v its running mean and mean square. */
import { formatShape } from "../autograd/contract.ts";
import { context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { renew } from "./module.ts";
import type { Groups, Parameters, Slot, StepOptions } from "./optimizer.ts";
import { Optimizer, gradientOf, once, stateLike } from "./optimizer.ts";

export interface AdamOptions {
  /** Default 1e-3. */
  readonly lr: number;
  /** Default [0.9, 0.999]. */
  readonly betas: readonly [number, number];
  /** Default 1e-8. */
  readonly eps: number;
  /** Adam adds weightDecay p to the gradient (default 0); AdamW takes lr weightDecay p off the parameter (default 0.01). */
  readonly weightDecay: number;
  /** Divides the running means by 1 - beta^t, as the paper does. Default true. */
  readonly biasCorrection: boolean;
}

const defaults: AdamOptions = { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, biasCorrection: true };

type AdamSlot = Slot<AdamOptions>;

/**
 * Kingma & Ba 2014, arXiv:1412.6980, algorithm 1. t counts the steps of the optimiser, for a parameter too that had no gradient in
 * some of them.
 */
export class Adam extends Optimizer<AdamOptions> {
  /** Whether weight decay bypasses the moments. */
  readonly decoupled: boolean = false;

  constructor(parameters: Parameters, options: Partial<AdamOptions> = {}, groups?: Groups<AdamOptions>) {
    super(parameters, { ...defaults, ...options }, groups);
  }

  protected initial(parameter: Tensor, { betas }: AdamOptions): Record<string, Tensor> {
    if (!betas.every((beta) => beta >= 0 && beta < 1))
      throw new RangeError(`Adam: betas ${formatShape(betas)}: want two numbers in [0, 1)`);
    return { first: stateLike(parameter), second: stateLike(parameter) };
  }

  protected update(slots: readonly AdamSlot[], step: number, how: Required<StepOptions>): void {
    const inPlace = slots.filter((slot) => this.#mayRunInPlace(slot));
    for (const group of alike(inPlace)) fused(group, step, how);
    const done = new Set(inPlace);
    for (const slot of slots) if (!done.has(slot)) this.#compose(slot, step, how);
  }

  /** A device that can is given whole groups at once, and overwrites them. */
  #mayRunInPlace({ parameter, options }: AdamSlot): boolean {
    const known = this.decoupled || options.weightDecay === 0;
    return known && parameter.backend.fused.adam !== undefined && parameter.dtype === "float32" && !context().debug;
  }

  #compose(slot: AdamSlot, step: number, { factor, gradScale }: Required<StepOptions>): void {
    const { parameter: p, options, state } = slot;
    const { lr, betas, eps, weightDecay } = options;
    const plain = gradientOf(slot, gradScale);
    const g = weightDecay && !this.decoupled ? plain.add(p.mul(weightDecay)) : plain;
    const [c1, c2] = corrections(options, step);
    const m = state.first.mul(betas[0]).add(g.mul(1 - betas[0]));
    const v = state.second.mul(betas[1]).add(g.square().mul(1 - betas[1]));
    const root = v.mul(once(1 / c2, p)).sqrt();
    const direction = m.mul(once(1 / c1, p)).div(root.add(eps));
    const move = weightDecay && this.decoupled ? direction.add(p.mul(weightDecay)) : direction;
    p.assign(p.sub(move.mul(once(lr * factor, p))));
    state.first.assign(m);
    state.second.assign(v);
  }
}

/** Adam with decoupled weight decay. Loshchilov & Hutter 2017, arXiv:1711.05101, algorithm 2. */
export class AdamW extends Adam {
  override readonly decoupled = true;

  constructor(parameters: Parameters, options: Partial<AdamOptions> = {}, groups?: Groups<AdamOptions>) {
    super(parameters, { weightDecay: 0.01, ...options }, groups);
  }
}

function corrections({ betas, biasCorrection }: AdamOptions, step: number): [number, number] {
  return biasCorrection ? [1 - betas[0] ** step, 1 - betas[1] ** step] : [1, 1];
}

/** Slots by device and options: one launch each. Weight decay may differ within a launch. */
function alike(slots: readonly AdamSlot[]): AdamSlot[][] {
  const groups = new Map<string, AdamSlot[]>();
  for (const slot of slots) {
    const { lr, betas, eps, biasCorrection } = slot.options;
    const key = JSON.stringify([slot.parameter.backend.name, lr, betas, eps, biasCorrection]);
    groups.set(key, [...(groups.get(key) ?? []), slot]);
  }
  return [...groups.values()];
}

function fused(slots: readonly AdamSlot[], step: number, { factor, gradScale }: Required<StepOptions>): void {
  const { options, parameter } = slots[0];
  const [correction1, correction2] = corrections(options, step);
  const written = slots.flatMap((slot) => [slot.parameter, slot.state.first, slot.state.second]);
  // Whoever else reads one of these buffers keeps the old numbers.
  for (const tensor of written) if (!tensor.isSoleOwner) renew(tensor, tensor);
  parameter.backend.fused.adam?.({
    parameters: slots.map((slot) => slot.parameter),
    gradients: slots.map((slot) => gradientOf(slot, null).contiguous()),
    first: slots.map((slot) => slot.state.first),
    second: slots.map((slot) => slot.state.second),
    gradScale,
    lr: options.lr * factor,
    beta1: options.betas[0],
    beta2: options.betas[1],
    eps: options.eps,
    weightDecay: slots.map((slot) => slot.options.weightDecay),
    correction1,
    correction2,
  });
  for (const tensor of written) tensor.version++;
}
