/** Whether what the ranks did is what one process does. */
import { Breach } from "../check.ts";
import type { LayoutReport } from "./program.ts";
import type { LayoutResult, Numbers } from "./run.ts";

/** Throws a Breach where the reports of the ranks differ from the reference by more than the tolerance, or from each other by a bit. */
export function compareWithOne(reports: readonly LayoutReport[], one: LayoutResult, tolerance: number): void {
  agree(reports);
  const [first] = reports;
  const outputs = Object.assign({}, ...reports.map((report) => report.outputs)) as Numbers;
  compareAll("logits", outputs, one.outputs, tolerance);
  compare("loss", first.losses, one.losses, tolerance);
  compareAll("gradient", first.gradients, one.gradients, tolerance);
  compare("norm before clipping", first.norms, one.norms, tolerance);
  compareAll("parameter", first.parameters, one.parameters, tolerance);
  compareAll("state", first.state, one.state, tolerance);
}

/** What all ranks hold is the same on all, to the last bit. */
export function agree(reports: readonly LayoutReport[]): void {
  const [first, ...others] = reports;
  others.forEach((other, i) => {
    const whose = `rank ${i + 1} and rank 0: `;
    compare(`${whose}loss`, other.losses, first.losses, 0);
    compare(`${whose}norm`, other.norms, first.norms, 0);
    compareAll(`${whose}gradient`, other.gradients, first.gradients, 0);
    compareAll(`${whose}parameter`, other.parameters, first.parameters, 0);
    compareAll(`${whose}state`, other.state, first.state, 0);
  });
}

function compareAll(what: string, actual: Numbers, wanted: Numbers, tolerance: number): void {
  const names = new Set([...Object.keys(actual), ...Object.keys(wanted)]);
  for (const name of names) compare(`${what} of ${name}`, actual[name] ?? [], wanted[name] ?? [], tolerance);
}

/** Relative to the largest number of the array, for a sum of large numbers may be small. */
function compare(what: string, actual: readonly number[], wanted: readonly number[], tolerance: number): void {
  if (actual.length !== wanted.length) throw new Breach(`${what}: ${actual.length} numbers, one process has ${wanted.length}`);
  const size = wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
  const at = wanted.findIndex((x, i) => !(Math.abs(x - actual[i]) <= tolerance * size));
  if (at >= 0) throw new Breach(`${what}: ${actual[at]} at ${at}, wanted ${wanted[at]}`);
}
