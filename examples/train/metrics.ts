/** metrics.jsonl: a line for each measurement of a run. A run that is killed while it writes leaves a cut last line. */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { attempt, writeAtomically } from "./files.ts";
import { metricsFile } from "./folders.ts";
import { UserError } from "./userError.ts";

/** One line of metrics.jsonl. */
export interface Measurement {
  readonly step: number;
  readonly seconds: number;
  /** In bits, of the step's batch, and of the held-out text; null where that was not measured or is no number. */
  readonly training: number;
  readonly validation: number | null;
  readonly dropped: number;
  /** Tokens of each expert in each sparse layer, of the step's batch. */
  readonly layers: readonly (readonly number[])[];
}

const lineOf = (measurement: Measurement): string => `${JSON.stringify(measurement)}\n`;

export function appendMeasurement(folder: string, measurement: Measurement): void {
  const path = metricsFile(folder);
  attempt(path, "cannot be written", () => appendFileSync(path, lineOf(measurement)));
}

/**
 * What was measured up to a step, and a note where the last line was cut. Later lines belong to steps that will be taken again and are
 * removed from the file. A UserError for any other line that is no measurement.
 */
export function readMeasurements(folder: string, step: number): { kept: Measurement[]; note: string | null } {
  const path = metricsFile(folder);
  const text = existsSync(path) ? attempt(path, "cannot be read", () => readFileSync(path, "utf8")) : "";
  const lines = text.split("\n").filter(Boolean);
  const read = lines.map(parse);
  const cut = lines.length > 0 && read.at(-1) === null;
  const whole = cut ? read.slice(0, -1) : read;
  const kept = whole.flatMap((measurement, i) => {
    if (!measurement) throw new UserError(`${path}, line ${i + 1} is damaged: ${lines[i].slice(0, 60)}`);
    return measurement.step <= step ? [measurement] : [];
  });
  writeAtomically(path, kept.map(lineOf).join(""));
  return { kept, note: cut ? `${path}: the last line was cut while it was written; it is dropped` : null };
}

function parse(line: string): Measurement | null {
  try {
    const value: unknown = JSON.parse(line);
    return isMeasurement(value) ? value : null;
  } catch {
    return null;
  }
}

function isMeasurement(value: unknown): value is Measurement {
  return typeof value === "object" && value !== null && "step" in value && typeof value.step === "number";
}
