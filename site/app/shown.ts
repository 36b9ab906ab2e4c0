/** All that belongs to one run of the playground, and what is drawn of it for both columns. A new run begins with nothing of the old. */
import { curve } from "../../examples/train/svg/curve.ts";
import { h } from "./dom.ts";
import type { Observation, Report, Side, StepNumbers, TextPart } from "./protocol.ts";
import type { Settings } from "./settings.ts";
import { sides } from "./settings.ts";
import type { ScriptStrings } from "./strings.ts";
import { LoadHistory } from "./views.ts";

/** Bits of a byte that nothing is known of. */
const GUESS = 8;
/** Steps over which the loss beside the curves is a mean. */
const RECENT = 20;

export class Shown {
  readonly settings: Settings;
  /** What the classes of the text are called. */
  readonly names: readonly string[];
  readonly numbers: Record<Side, StepNumbers[]> = { a: [], b: [] };
  readonly loads: Record<Side, LoadHistory[]> = { a: [], b: [] };
  readonly observed: Partial<Record<Side, Observation>> = {};
  baselines: readonly { readonly name: string; readonly bits: number }[] = [];
  started?: Report & { kind: "started" };
  latest?: Report & { kind: "steps" };

  constructor(settings: Settings, text: readonly TextPart[], language: string) {
    this.settings = settings;
    const named = new Intl.DisplayNames(language, { type: "language", fallback: "none" });
    this.names = text.map(({ name, code }) => (code === "" ? name : (named.of(code) ?? name)));
  }

  add(report: Report & { kind: "steps" }): void {
    this.latest = report;
    for (const side of sides) {
      this.numbers[side].push(report.numbers[side]);
      report.numbers[side].layers.forEach((load, layer) => this.#load(side, layer).add(load));
    }
  }

  observe(side: Side, observation: Observation): void {
    this.observed[side] = observation;
    if (observation.step > 0) return;
    // Before the first step nothing else tells the load.
    observation.byByte.forEach((table, layer) => this.#load(side, layer).add(table.map((counts) => counts.reduce((sum, n) => sum + n, 0))));
  }

  #load(side: Side, layer: number): LoadHistory {
    return (this.loads[side][layer] ??= new LoadHistory());
  }

  /** The curves as a table: a line for each step. */
  csv(): string {
    const rows = this.numbers.a.map(({ step, bits, dropped }, i) => {
      const b = this.numbers.b[i];
      return [step, bits, dropped, b?.bits, b?.dropped].join(",");
    });
    return ["step,a_bits_per_byte,a_dropped,b_bits_per_byte,b_dropped", ...rows, ""].join("\n");
  }
}

export function curveSvg({ settings, numbers, baselines, latest }: Shown, strings: ScriptStrings): string {
  const series = sides.map((side) => ({ name: `${side.toUpperCase()} ${settings[side].router}`, points: smooth(numbers[side]) }));
  const last = Math.max(...series.map(({ points }) => points.at(-1)?.[1] ?? GUESS));
  const levels = [...baselines.map(({ name, bits }) => ({ name, value: bits })), { name: strings.guess, value: GUESS }];
  return curve({
    title: strings.loss,
    description: series.map(({ name, points }) => `${name}: ${(points.at(-1)?.[1] ?? NaN).toFixed(3)} ${strings.bitsPerByte}`).join("; "),
    series,
    // Those far below the curves would press them flat; before the first step there is nothing to press.
    baselines: levels.filter(({ value }) => !latest || value > last - 2),
    x: strings.stepAxis,
    y: strings.bitsPerByte,
  });
}

/** Means over a fiftieth of the run, so that lines of noise can be compared. */
function smooth(numbers: readonly StepNumbers[]): [number, number][] {
  const window = Math.max(1, Math.floor(numbers.length / 50));
  const points: [number, number][] = [];
  for (let i = 0; i < numbers.length; i += window) {
    const part = numbers.slice(i, i + window);
    points.push([part.at(-1)?.step ?? 0, meanBits(part)]);
  }
  return points;
}

function meanBits(steps: readonly StepNumbers[]): number {
  return steps.reduce((sum, { bits }) => sum + bits, 0) / Math.max(1, steps.length);
}

/** The numbers of one column as they are now. */
export function numbersView({ numbers, observed, started }: Shown, side: Side, layer: number, strings: ScriptStrings): HTMLElement {
  const last = numbers[side].at(-1);
  const looked = observed[side];
  const experts = looked?.byByte[layer]?.length ?? 0;
  const { numbers: names } = strings;
  const rows: [string, string | undefined][] = [
    [names.bits, last && meanBits(numbers[side].slice(-RECENT)).toFixed(3)],
    [names.dropped, last && `${(100 * last.dropped).toFixed(1)} %`],
    [names.entropy, experts > 1 ? looked?.entropy[layer]?.toFixed(3) : undefined],
    [names.violation, looked?.violation[layer]?.toFixed(2)],
    [names.gate, looked?.gateMean[layer]?.toFixed(3)],
    [names.parameters, (started?.parameters[side] ?? 0).toLocaleString()],
  ];
  return h("dl", {}, ...rows.flatMap(([name, value = "–"]) => [h("dt", {}, name), h("dd", {}, value)]));
}
