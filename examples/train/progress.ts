/** The progress line of a training run. */

export interface ProgressState {
  readonly step: number;
  readonly steps: number;
  /** What is minimised, in nats: cross-entropy with its auxiliary losses. */
  readonly loss: number;
  /** Cross-entropy alone, in bits, and what it is counted in: "bits/byte". */
  readonly bits: number;
  readonly unit: string;
  readonly tokensPerSecond: number;
  readonly secondsLeft: number;
  /** Share of choices that found no slot, 0..1. */
  readonly dropped: number;
  /** Tokens (or shares) of each expert; empty in a dense model, of which neither load nor drops are told. */
  readonly load: readonly number[];
}

/**
 * `step  12/300  loss 2.413  3.21 bits/byte  11.4k tokens/s  1:05 left  dropped  3.1%  load ▃▅▄▆`; parts that `columns` have no room for
 * are left out.
 */
export function formatProgress(state: ProgressState, columns = Infinity): string {
  const { step, steps } = state;
  const parts = [
    `step ${String(step).padStart(String(steps).length)}/${steps}`,
    `loss ${state.loss.toFixed(3)}`,
    `${state.bits.toFixed(2)} ${state.unit}`,
    `${compact(state.tokensPerSecond).padStart(5)} tokens/s`,
    `${formatSeconds(state.secondsLeft)} left`,
    ...(state.load.length > 0 ? [`dropped ${(100 * state.dropped).toFixed(1).padStart(4)}%`, `load ${loadBars(state.load)}`] : []),
  ];
  return parts.reduce((line, part) => (line.length + 2 + part.length < columns ? `${line}  ${part}` : line));
}

const BARS = "▁▂▃▄▅▆▇█";

/** A bar per expert: ▄ is the fair share, █ twice the fair share or more, · an expert without tokens. */
export function loadBars(load: readonly number[]): string {
  const mean = load.reduce((sum, x) => sum + x, 0) / load.length;
  return load.map((tokens) => (tokens > 0 ? BARS[Math.max(0, Math.min(7, Math.round((4 * tokens) / mean) - 1))] : "·")).join("");
}

/** 950, 11.4k, 2.3M: three significant digits. */
export function compact(x: number): string {
  if (!Number.isFinite(x)) return "?";
  if (x < 999.5) return String(Math.round(x));
  const [scaled, unit] = x < 999_500 ? [x / 1e3, "k"] : [x / 1e6, "M"];
  return `${scaled < 99.95 ? scaled.toFixed(1) : Math.round(scaled)}${unit}`;
}

/** 1:05, or 2:03:00 from one hour on. */
export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  const whole = Math.max(0, Math.ceil(seconds));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const tail = String(whole % 60).padStart(2, "0");
  return hours > 0 ? `${hours}:${String(minutes).padStart(2, "0")}:${tail}` : `${minutes}:${tail}`;
}

/** As much of a writable stream as the line needs; process.stdout is one. */
export interface Screen {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/** The width of the terminal where a program ends that writes through others, such as mpirun; 0: it ends in a file or a pipe. */
export const COLUMNS = "SWITCHYARD_COLUMNS";

/** Where progress is shown. */
export function screenOf(): Screen {
  const told = process.env[COLUMNS];
  if (told === undefined) return process.stdout;
  return { isTTY: Number(told) > 0, columns: Number(told), write: (text) => process.stdout.write(text) };
}

/** Of those that do not speak. */
export const silent: Screen = { write: () => true };

/** On a terminal one line that is written over; elsewhere a plain line every `plainEvery` steps and after the last. */
export class ProgressLine {
  readonly #screen: Screen;
  readonly #plainEvery: number;
  #open = false;

  constructor(screen: Screen, plainEvery = 20) {
    this.#screen = screen;
    this.#plainEvery = plainEvery;
  }

  show(state: ProgressState): void {
    if (this.#screen.isTTY) {
      this.#screen.write(`\r${formatProgress(state, this.#screen.columns)}\x1b[K`);
      this.#open = true;
    } else if (state.step % this.#plainEvery === 0 || state.step === state.steps) {
      this.#screen.write(`${formatProgress(state)}\n`);
    }
  }

  /** Something that takes long, and the share of it that is done; elsewhere than on a terminal, its name when it begins. */
  stage(what: string, share: number): void {
    if (this.#screen.isTTY) {
      this.#screen.write(`\r${what}: ${Math.round(100 * share)} %\x1b[K`);
      this.#open = true;
    } else if (share === 0) this.#screen.write(`${what}\n`);
  }

  /** Wipes the line that is written over. */
  clear(): void {
    if (this.#open) this.#screen.write("\r\x1b[K");
    this.#open = false;
  }

  /** A line that stays, above the progress line. */
  note(text: string): void {
    this.#screen.write(this.#open ? `\r${text}\x1b[K\n` : `${text}\n`);
    this.#open = false;
  }

  /** Leaves the last state standing and starts a new line. */
  end(): void {
    if (this.#open) this.#screen.write("\n");
    this.#open = false;
  }
}
