/** Reads the fields of a config.json; each is checked. */
import type { Kind } from "../autograd/arguments.ts";
import { check, describe, either, finite, flag, nothing, oneOf, positive, rate, whole } from "../autograd/arguments.ts";

/** Families of published models, by their `model_type`. */
export const families = ["switch_transformers", "t5", "mixtral", "olmoe", "qwen2_moe", "qwen3_moe"] as const;
/** A family of published models. */
export type FamilyName = (typeof families)[number];

export const CONFIG = "config.json";

/** No published model has larger sizes; the limits keep a damaged file from filling memory. */
const aSize = whole(1, 2 ** 24);
const aLayerCount = whole(1, 4096);

/** Reads fields of a config; a missing one without a default, or one that is not of its kind, is a RangeError that names it. */
export class Fields {
  readonly #json: Readonly<Record<string, unknown>>;

  constructor(json: Readonly<Record<string, unknown>>) {
    this.#json = json;
  }

  /** The value without a check; undefined where it is absent or null. */
  raw(name: string): unknown {
    return this.#json[name] ?? undefined;
  }

  size(name: string, or?: number): number {
    return this.#checked(name, aSize, or);
  }

  layers(name: string, or?: number): number {
    return this.#checked(name, aLayerCount, or);
  }

  count(name: string, or?: number): number {
    return this.#checked(name, whole(0, 2 ** 31), or);
  }

  positive(name: string, or?: number): number {
    return this.#checked(name, positive, or);
  }

  rate(name: string, or: number): number {
    return this.#checked(name, rate, or);
  }

  coefficient(name: string, or: number): number {
    return this.#checked(name, finite(0), or);
  }

  flag(name: string, or: boolean): boolean {
    return this.#checked(name, flag, or);
  }

  /** A number above 0, or null where there is none. */
  maybePositive(name: string): number | null {
    return this.#checked(name, either(positive, nothing), null);
  }

  maybeSize(name: string): number | null {
    return this.#checked(name, either(aSize, nothing), null);
  }

  oneOf<T extends string>(name: string, known: readonly T[], or?: T): T {
    return this.#checked(name, oneOf(...known), or);
  }

  /** Throws unless the field is absent or one of the given values: other values are not supported. */
  only(name: string, ...known: readonly (string | number | boolean | null)[]): void {
    const value = this.raw(name);
    if (value !== undefined && !known.some((one) => one === value))
      throw new RangeError(`${CONFIG}: ${name} ${describe(value)}: only ${known.map((one) => describe(one)).join(" or ")} is supported`);
  }

  fail(name: string, why: string): never {
    throw new RangeError(`${CONFIG}: ${name} ${describe(this.raw(name))}: ${why}`);
  }

  #checked<T>(name: string, kind: Kind, or?: T): T {
    const value = this.raw(name) ?? or;
    try {
      check(CONFIG, name, value, kind);
    } catch (error) {
      throw error instanceof TypeError ? new RangeError(error.message) : error;
    }
    return value as T;
  }
}
