/** Whether a program shall only show that it runs: SWITCHYARD_SHORT=1 or --short. */
export const short = process.env["SWITCHYARD_SHORT"] === "1" || process.argv.includes("--short");

/** So many steps, or a few in the short form. */
export function stepsOf(steps: number): number {
  return short ? Math.min(steps, 4) : steps;
}
