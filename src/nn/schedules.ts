/**
 * Learning-rate schedules: functions from the number of steps taken (0 before the first) to a factor of the learning rate. Each
 * throws for an unknown option and for one of a wrong kind.
 */
import { check, checkOptions, finite, optional, positive } from "../autograd/arguments.ts";
import type { Kind, Kinds } from "../autograd/arguments.ts";

/** Steps taken -> factor: what `step({ factor })` multiplies the learning rate with. */
export type Schedule = (step: number) => number;

/** Options that most schedules have. */
export interface WarmupOptions {
  /** Steps over which the factor grows linearly from 0. Default 0. */
  readonly warmup?: number;
}

/** Options of schedules that end at a step. */
export interface DecayOptions extends WarmupOptions {
  /** The step at which the schedule ends; warm-up included. */
  readonly total: number;
  /** The factor from step `total` on. Default 0. */
  readonly final?: number;
}

const count: Kind = finite(0);
const factor: Kind = finite();
const warm: Kinds<WarmupOptions> = { warmup: optional(count) };
const decay: Kinds<DecayOptions> = { ...warm, total: positive, final: optional(factor) };

/** A linear warm-up, then `after`. */
function schedule(name: string, warmup: number, after: (step: number) => number): Schedule {
  const where = `schedules.${name}`;
  return (step) => {
    check(where, "step", step, count);
    return step < warmup ? step / warmup : after(step);
  };
}

/** Share of the way from the end of the warm-up to `total`, in [0, 1]. */
function progress(step: number, warmup: number, total: number): number {
  return Math.min(1, (step - warmup) / Math.max(1, total - warmup));
}

function between(from: number, to: number, share: number): number {
  return (1 - share) * from + share * to;
}

/** From 1 to 0 along half a cosine. Loshchilov & Hutter 2016, arXiv:1608.03983, eq. 5. */
function halfCosine(share: number): number {
  return Math.max(0, 0.5 * (1 + Math.cos(Math.PI * share)));
}

/** Keeps the factor at 1 after the warm-up. Throws for a warm-up below 0. */
export function constant(options: WarmupOptions = {}): Schedule {
  checkOptions("schedules.constant", options, warm);
  return schedule("constant", options.warmup ?? 0, () => 1);
}

/** Falls from 1 to `final` at step `total`, in a straight line. Throws for a `total` that is not above 0. */
export function linear(options: DecayOptions): Schedule {
  checkOptions("schedules.linear", options, decay);
  const { warmup = 0, total, final = 0 } = options;
  return schedule("linear", warmup, (step) => between(1, final, progress(step, warmup, total)));
}

/**
 * Falls from 1 to `final` at step `total` as (1 - share of the way)^power; `power` is 1 by default, a straight line. Throws for a `power` that is
 * not above 0.
 */
export function polynomial(options: DecayOptions & { readonly power?: number }): Schedule {
  checkOptions("schedules.polynomial", options, { ...decay, power: optional(positive) });
  const { warmup = 0, total, final = 0, power = 1 } = options;
  return schedule("polynomial", warmup, (step) => between(final, 1, (1 - progress(step, warmup, total)) ** power));
}

/**
 * Falls from 1 to `final` along `cycles` of a cosine up to step `total`. Half a cycle, the default, falls once; a whole one rises
 * again. Loshchilov & Hutter 2016, arXiv:1608.03983, eq. 5. Throws for a `total` that is not above 0.
 */
export function cosine(options: DecayOptions & { readonly cycles?: number }): Schedule {
  checkOptions("schedules.cosine", options, { ...decay, cycles: optional(count) });
  const { warmup = 0, total, final = 0, cycles = 0.5 } = options;
  return schedule("cosine", warmup, (step) => between(final, 1, halfCosine(2 * cycles * progress(step, warmup, total))));
}

/**
 * Falls from 1 to `final` along half a cosine, `cycles` times one after the other up to step `total`, each time from 1 again. After
 * `total` it is `final`. Semantics of Hugging Face's cosine schedule with hard restarts. Throws for a `total` that is not above 0.
 * Loshchilov & Hutter 2016, arXiv:1608.03983.
 */
export function cosineWithRestarts(options: DecayOptions & { readonly cycles?: number }): Schedule {
  checkOptions("schedules.cosineWithRestarts", options, { ...decay, cycles: optional(positive) });
  const { warmup = 0, total, final = 0, cycles = 1 } = options;
  return schedule("cosineWithRestarts", warmup, (step) => {
    const share = progress(step, warmup, total);
    return share >= 1 ? final : between(final, 1, halfCosine((cycles * share) % 1));
  });
}

/**
 * Falls from 1 to `final` along half a cosine over `first` steps, then again from 1 over `growth` times as many, without end; `growth`
 * is 1 by default. Loshchilov & Hutter 2016, arXiv:1608.03983, section 3: T_0 and T_mult. Throws for a `growth` below 1.
 */
export function warmRestarts(
  options: WarmupOptions & { readonly first: number; readonly growth?: number; readonly final?: number },
): Schedule {
  checkOptions("schedules.warmRestarts", options, { ...warm, first: positive, growth: optional(finite(1)), final: optional(factor) });
  const { warmup = 0, first, growth = 1, final = 0 } = options;
  return schedule("warmRestarts", warmup, (step) => between(final, 1, halfCosine(shareOfCycle(step - warmup, first, growth))));
}

/** How far a step is in its cycle; the cycles are `first`, `first` growth, `first` growth^2, ... steps long. */
function shareOfCycle(step: number, first: number, growth: number): number {
  if (growth === 1) return (step % first) / first;
  let [from, span] = [0, first];
  while (step >= from + span) [from, span] = [from + span, span * growth];
  return (step - from) / span;
}

/**
 * Falls after the warm-up as sqrt(scale / (scale + steps since then)). `warmup` is 10,000 by default, and `scale` is the warm-up; the factor is
 * then sqrt(warmup / step), as in the training of T5 and the Switch Transformer. Only the warm-up differs: T5's rate is constant in it, this
 * one grows from 0. Raffel et al. 2019, arXiv:1910.10683, section 3.1.2. Throws for a `scale` that is not above 0.
 */
export function inverseSquareRoot(options: WarmupOptions & { readonly scale?: number } = {}): Schedule {
  checkOptions("schedules.inverseSquareRoot", options, { ...warm, scale: optional(positive) });
  const { warmup = 10_000, scale = warmup || 10_000 } = options;
  return schedule("inverseSquareRoot", warmup, (step) => Math.sqrt(scale / (scale + step - warmup)));
}

/** Goes from the factor `from` to the factor `to` over `steps` in a straight line, then stays. Throws for factors that are not finite. */
export function ramp(options: { readonly from: number; readonly to: number; readonly steps: number }): Schedule {
  checkOptions("schedules.ramp", options, { from: factor, to: factor, steps: count });
  const { from, to, steps } = options;
  return schedule("ramp", 0, (step) => between(from, to, progress(step, 0, steps)));
}

/** Multiplies the factor with `gamma` after every `every` steps. Throws for an `every` that is not above 0. */
export function staircase(options: { readonly every: number; readonly gamma: number }): Schedule {
  checkOptions("schedules.staircase", options, { every: positive, gamma: count });
  const { every, gamma } = options;
  return schedule("staircase", 0, (step) => gamma ** Math.floor(step / every));
}
