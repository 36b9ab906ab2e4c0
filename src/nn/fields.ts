/** Finds the tensors and modules in the fields of an object, and in arrays, Maps and plain objects there. */

/** Something that a field holds. */
export interface Held<T> {
  /** Its path from the object: "weight", "blocks.3", "heads.left.0". */
  readonly name: string;
  readonly value: T;
  /** Puts another value in its place. */
  replace(value: T): void;
}

/** A value in a field, array or Map, and a function that puts another one there. */
type Place = readonly [key: unknown, value: unknown, put: (value: unknown) => void];

/**
 * The values for which `wanted` is true among the public fields of `owner`, in their order, and in arrays, Maps and plain objects there, at any
 * depth. Throws where a Set holds such a value, or a Map under a key that is neither text nor a number: it would have no name.
 */
export function heldBy<T extends object>(owner: object, wanted: (value: unknown) => value is T): Held<T>[] {
  return [...held(owner, [], [owner], wanted)];
}

function* held<T extends object>(
  holder: object,
  path: readonly unknown[],
  above: readonly object[],
  wanted: (value: unknown) => value is T,
): Generator<Held<T>> {
  for (const [key, value, put] of placesOf(holder)) {
    if (!isObject(value)) continue;
    const at = [...path, key];
    if (wanted(value)) yield { name: nameOf(at, above), value, replace: put };
    else if (isContainer(value) && !above.includes(value)) yield* held(value, at, [...above, value], wanted); // a circle ends here
  }
}

function nameOf(path: readonly unknown[], [owner]: readonly object[]): string {
  const nameless = path.findIndex((key) => typeof key !== "string" && typeof key !== "number");
  if (nameless < 0) return path.join(".");
  throw new TypeError(
    `${owner.constructor.name}: ${path.slice(0, nameless).join(".")} gives what it holds no name: want an array, a plain object, or a Map by text or number`,
  );
}

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;

function isContainer(value: object): boolean {
  if (Array.isArray(value) || value instanceof Map || value instanceof Set) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function placesOf(holder: object): Iterable<Place> {
  if (holder instanceof Map) return [...holder].map(([key, value]): Place => [key, value, (other) => void holder.set(key, other)]);
  if (holder instanceof Set) return [...holder].map((value): Place => [undefined, value, () => {}]);
  if (Array.isArray(holder)) return placesIn(holder); // its numbers are skipped: a hash router's table has one for each word
  return Object.entries(holder).map(([key, value]): Place => [key, value, (other) => putInto(holder, key, other)]);
}

function* placesIn(list: unknown[]): Generator<Place> {
  for (const [i, value] of list.entries()) if (isObject(value)) yield [i, value, (other) => putInto(list, `${i}`, other)];
}

function putInto(holder: object, key: string, value: unknown): void {
  if (!Reflect.set(holder, key, value)) throw new TypeError(`field ${key} cannot be written`);
}
