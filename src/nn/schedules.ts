/** Learning-rate schedules: functions from the number of steps taken (0 before the first) to a factor of the learning rate. */

/** Steps taken -> factor: what `step({ factor })` multiplies the learning rate with. */
export type Schedule = (step: number) => number;

export interface WarmupOptions {
  /** Steps over which the factor grows linearly from 0. Default 0. */
  readonly warmup?: number;
}

function warmed(warmup: number, step: number, after: (step: number) => number): number {
  return step < warmup ? step / warmup : after(step);
}

/** Share of the way from the end of the warm-up to `total`, in [0, 1]. */
function progress(step: number, warmup: number, total: number): number {
  return Math.min(1, (step - warmup) / Math.max(1, total - warmup));
}

function between(from: number, to: number, share: number): number {
  return (1 - share) * from + share * to;
}

/** 1, after the warm-up. */
export const constant =
  ({ warmup = 0 }: WarmupOptions = {}): Schedule =>
  (step) =>
    warmed(warmup, step, () => 1);

/** Down to `final` at step `total`, in a straight line. */
export const linear =
  ({ warmup = 0, total, final = 0 }: WarmupOptions & { readonly total: number; readonly final?: number }): Schedule =>
  (step) =>
    warmed(warmup, step, () => between(1, final, progress(step, warmup, total)));

/** Down to `final` at step `total`, along `cycles` of a cosine (half a cycle by default). Loshchilov & Hutter 2016, arXiv:1608.03983, eq. 5. */
export const cosine =
  ({
    warmup = 0,
    total,
    final = 0,
    cycles = 0.5,
  }: WarmupOptions & { readonly total: number; readonly final?: number; readonly cycles?: number }): Schedule =>
  (step) =>
    warmed(
      warmup,
      step,
      () => final + (1 - final) * Math.max(0, 0.5 * (1 + Math.cos(2 * Math.PI * cycles * progress(step, warmup, total)))),
    );

/** sqrt(scale / (scale + steps since the warm-up)), as T5 and Switch are trained; `scale` is the warm-up unless said otherwise. Raffel et al. 2019, arXiv:1910.10683, section 3.1.2. */
export const inverseSquareRoot =
  ({ warmup = 10_000, scale = warmup || 10_000 }: WarmupOptions & { readonly scale?: number } = {}): Schedule =>
  (step) =>
    warmed(warmup, step, () => Math.sqrt(scale / (scale + step - warmup)));

/** From one factor to another over `steps`, then constant. */
export const ramp =
  ({ from, to, steps }: { readonly from: number; readonly to: number; readonly steps: number }): Schedule =>
  (step) =>
    between(from, to, progress(step, 0, steps));

/** Times `gamma` after every `every` steps. */
export const staircase =
  ({ every, gamma }: { readonly every: number; readonly gamma: number }): Schedule =>
  (step) =>
    gamma ** Math.floor(step / every);
