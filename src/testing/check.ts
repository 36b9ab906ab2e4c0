/** Checks that throw errors of our own, so that laws run under any test runner or none. Messages say what came, then what was wanted. */

/** Something is not as a law wants it; whatever else is thrown comes from the router. */
export class Breach extends Error {
  override readonly name = "Breach";
}

/** A breach unless the condition holds. */
export function holds(condition: boolean, what: string): void {
  if (!condition) throw new Breach(what);
}

/** Equal plain data: numbers, strings, and arrays and objects of them. NaN equals NaN. */
export function same(actual: unknown, wanted: unknown, what: string): void {
  holds(equal(actual, wanted), `${what}: ${text(actual)}, wanted ${text(wanted)}`);
}

/** Within a tolerance, relative to what is wanted where that is above 1. NaN is near nothing. */
export function near(actual: number, wanted: number, what: string, tolerance = 1e-9): void {
  holds(Math.abs(actual - wanted) <= tolerance * Math.max(1, Math.abs(wanted)), `${what}: ${actual}, wanted ${wanted}`);
}

/** `near` of each element, and as many. */
export function close(actual: readonly number[], wanted: readonly number[], what: string, tolerance = 1e-9): void {
  same(actual.length, wanted.length, `${what}: length`);
  actual.forEach((x, i) => near(x, wanted[i], `${what}[${i}]`, tolerance));
}

function equal(a: unknown, b: unknown): boolean {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return Object.is(a, b);
  const [x, y] = [Object.entries(a), new Map(Object.entries(b))];
  return (
    Array.isArray(a) === Array.isArray(b) && x.length === y.size && x.every(([name, value]) => y.has(name) && equal(value, y.get(name)))
  );
}

/** JSON, in which NaN and the infinities keep their names. */
export function text(data: unknown): string {
  return JSON.stringify(data, (_, x: unknown) => (typeof x === "number" && !Number.isFinite(x) ? String(x) : x)).replace(
    /"(NaN|-?Infinity)"/g,
    "$1",
  );
}
