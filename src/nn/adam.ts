/** Adam and AdamW. p parameter, g gradient, m and v its running mean and mean square. */
import { finite, flag, listOf, rate } from "../autograd/arguments.ts";
import type { Kinds } from "../autograd/arguments.ts";
import { context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { assignFresh } from "./module.ts";
import type { Groups, ParameterState, Parameters, StepOptions } from "./optimizer.ts";
import { withDefaults } from "./options.ts";
import { Optimizer, gradientOf, once, stateLike } from "./optimizer.ts";

/** Learning rate, decay rates and weight decay of Adam and AdamW. */
export interface AdamOptions {
  /** Default 1e-3. */
  readonly lr: number;
  /** What the running means m and v keep of their old value at each step. Default [0.9, 0.999]. */
  readonly betas: readonly [number, number];
  /** Added to the root of v. Default 1e-8. */
  readonly eps: number;
  /** Adam adds weightDecay p to the gradient (default 0); AdamW takes lr weightDecay p off the parameter (default 0.01). */
  readonly weightDecay: number;
  /** Whether the running means are divided by 1 - beta^t, as in the paper. Default true. */
  readonly biasCorrection: boolean;
}

const kinds: Kinds<AdamOptions> = { lr: finite(0), betas: listOf(rate, 2), eps: finite(0), weightDecay: finite(0), biasCorrection: flag };

const defaults: AdamOptions = { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, biasCorrection: true };

type AdamState = ParameterState<AdamOptions>;

/**
 * Adam: moves each parameter against the running mean of its gradient, divided by the root of the gradient's running mean square. t counts the
 * steps of the optimiser, also for a parameter that had no gradient in some of them. Kingma & Ba 2014, arXiv:1412.6980, algorithm 1.
 */
export class Adam extends Optimizer<AdamOptions> {
  /** Whether weight decay bypasses the moments. */
  readonly decoupled: boolean = false;

  /** Throws for an unknown option or a wrong value, and for parameters that cannot be trained. */
  constructor(parameters: Parameters, options: Partial<AdamOptions> = {}, groups?: Groups<AdamOptions>) {
    super(parameters, withDefaults(new.target.name, kinds, defaults, options), groups, kinds);
  }

  protected initial(parameter: Tensor): Record<string, Tensor> {
    return { first: stateLike(parameter), second: stateLike(parameter) };
  }

  protected update(entries: readonly AdamState[], step: number, how: Required<StepOptions>): void {
    const inPlace = entries.filter((entry) => this.#mayRunInPlace(entry));
    for (const group of alike(inPlace)) fused(group, step, how);
    const done = new Set(inPlace);
    for (const entry of entries) if (!done.has(entry)) this.#compose(entry, step, how);
  }

  /** Whether the device has a kernel that updates many parameters at once, in place, and computes what is asked for. */
  #mayRunInPlace({ parameter, options }: AdamState): boolean {
    const decayFits = this.decoupled || options.weightDecay === 0; // the kernel's weight decay is AdamW's
    return decayFits && parameter.backend.fused.adam !== undefined && parameter.dtype === "float32" && !context().debug;
  }

  #compose(entry: AdamState, step: number, { factor, gradScale }: Required<StepOptions>): void {
    const { parameter: p, options, state } = entry;
    const { lr, betas, eps, weightDecay } = options;
    const plain = gradientOf(entry, gradScale);
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

/** Adam whose weight decay does not pass through the running means. Loshchilov & Hutter 2017, arXiv:1711.05101, algorithm 2. */
export class AdamW extends Adam {
  override readonly decoupled = true;

  /** As Adam's, with a weight decay of 0.01 unless another one is given. */
  constructor(parameters: Parameters, options: Partial<AdamOptions> = {}, groups?: Groups<AdamOptions>) {
    super(parameters, withDefaults(new.target.name, kinds, { ...defaults, weightDecay: 0.01 }, options), groups);
  }
}

function corrections({ betas, biasCorrection }: AdamOptions, step: number): [number, number] {
  return biasCorrection ? [1 - betas[0] ** step, 1 - betas[1] ** step] : [1, 1];
}

/** Groups of one device and the same options, each for one kernel launch. Weight decay may differ within a group. */
function alike(entries: readonly AdamState[]): AdamState[][] {
  const groups = new Map<string, AdamState[]>();
  for (const entry of entries) {
    const { lr, betas, eps, biasCorrection } = entry.options;
    const key = JSON.stringify([entry.parameter.backend.name, lr, betas, eps, biasCorrection]);
    groups.set(key, [...(groups.get(key) ?? []), entry]);
  }
  return [...groups.values()];
}

function fused(entries: readonly AdamState[], step: number, { factor, gradScale }: Required<StepOptions>): void {
  const { options, parameter } = entries[0];
  const [correction1, correction2] = corrections(options, step);
  const written = entries.flatMap((entry) => [entry.parameter, entry.state.first, entry.state.second]);
  // The kernel overwrites buffers; tensors that share one of them must keep the old numbers.
  for (const tensor of written) if (!tensor.isSoleOwner) assignFresh(tensor, tensor);
  parameter.backend.fused.adam?.({
    parameters: entries.map((entry) => entry.parameter),
    gradients: entries.map((entry) => gradientOf(entry, null).contiguous()),
    first: entries.map((entry) => entry.state.first),
    second: entries.map((entry) => entry.state.second),
    gradScale,
    lr: options.lr * factor,
    beta1: options.betas[0],
    beta2: options.betas[1],
    eps: options.eps,
    weightDecay: entries.map((entry) => entry.options.weightDecay),
    correction1,
    correction2,
  });
  for (const tensor of written) tensor.version++;
}
