/** What crossed the wire in the steps of a run, by collective, and how long processes were inside of it. */
import type { Communicator } from "switchyard-moe/distributed";

/** One collective, per step. */
export interface WireRow {
  readonly name: string;
  readonly calls: number;
  /** That the first process sent. */
  readonly bytes: number;
  /** Inside the calls, of the process that spent least and of the one that spent most: who comes last to a call does not wait. */
  readonly least: number;
  readonly most: number;
}

/** The account of all processes. */
export interface WireReport {
  readonly steps: number;
  /** Of a step. */
  readonly seconds: number;
  readonly rows: readonly WireRow[];
  /** Shares of the time of a step that each process was inside of collectives. */
  readonly inside: readonly number[];
}

interface Count {
  readonly calls: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** Counts what happens between `begin` and `end`, step by step: validations and checkpoints are left out. */
export class WireAccount {
  readonly #world: Communicator;
  readonly #sums = new Map<string, Count>();
  #before: ReadonlyMap<string, Count> = new Map();
  #start = 0;
  #steps = 0;
  #seconds = 0;

  constructor(world: Communicator) {
    this.#world = world;
  }

  /** Called before a step. */
  begin(): void {
    this.#before = new Map(this.#world.traffic.byCollective);
    this.#start = performance.now();
  }

  /** Called after it. */
  end(): void {
    this.#steps++;
    this.#seconds += (performance.now() - this.#start) / 1000;
    for (const [name, now] of this.#world.traffic.byCollective) {
      const sum = this.#sums.get(name) ?? nothing;
      const before = this.#before.get(name) ?? nothing;
      this.#sums.set(name, combined(sum, now, before));
    }
  }

  /** The account of all processes; null before the first step. Collective. */
  report(): WireReport | null {
    if (this.#steps === 0) return null;
    const { size } = this.#world;
    const each = ({ seconds }: Count): number => seconds / this.#steps;
    const own = [...this.#sums.values()].map(each);
    const seconds = this.#world.allGather(Float64Array.of(this.#seconds / this.#steps, ...own));
    const of = (column: number): number[] => Array.from({ length: size }, (_, r) => seconds[r * (own.length + 1) + column]);
    const rows = [...this.#sums].map(([name, { calls, bytes }], i) => ({
      name,
      calls: calls / this.#steps,
      bytes: bytes / this.#steps,
      least: Math.min(...of(i + 1)),
      most: Math.max(...of(i + 1)),
    })).filter(({ calls }) => calls > 0); // prettier-ignore
    const inside = of(0).map((total, r) => own.reduce((sum, _, i) => sum + of(i + 1)[r], 0) / total);
    return { steps: this.#steps, seconds: this.#seconds / this.#steps, rows, inside };
  }
}

const nothing: Count = { calls: 0, bytes: 0, seconds: 0 };

/** A sum and what was added between two counts. */
function combined(sum: Count, now: Count, before: Count): Count {
  return {
    calls: sum.calls + now.calls - before.calls,
    bytes: sum.bytes + now.bytes - before.bytes,
    seconds: sum.seconds + now.seconds - before.seconds,
  };
}

/** The account in lines. */
export function wireLines({ rows, seconds, inside, steps }: WireReport): string[] {
  const share = inside.map((part) => `${(100 * part).toFixed(1)} %`).join(", ");
  return [
    `what crosses the wire in a step (mean of ${steps}; ${(1000 * seconds).toFixed(1)} ms each; inside collectives, by process: ${share})`,
    ...rows.map(
      ({ name, calls, bytes, least, most }) =>
        `  ${name.padEnd(14)} ${calls.toFixed(1).padStart(6)} calls  ${kilobytes(bytes).padStart(10)} sent  ` +
        `${milliseconds(least).padStart(7)} to ${milliseconds(most)} ms`,
    ),
  ];
}

export const kilobytes = (bytes: number): string => `${(bytes / 1000).toFixed(1)} kB`;
export const milliseconds = (seconds: number): string => (1000 * seconds).toFixed(2);
