/**
 * Bugs in the wild: real defects of well-known code, each as a small broken variant of our own making beside the right one, and
 * the property that tells them apart. A page of a learner's book: what went wrong, why nobody saw it, which law sees it.
 */
import fc from "fast-check";
import { tensor } from "../../../src/index.ts";
import type { Tensor } from "../../../src/index.ts";

export interface Page {
  readonly title: string;
  /** Code and threads: owner/repository#number, as the field's reference cites them. */
  readonly seen: string;
  readonly wrong: string;
  readonly unseen: string;
  /** The law that sees it, with its number where it has one. */
  readonly law: string;
}

/** A variant asked once. */
export interface Call {
  readonly given: readonly unknown[];
  readonly gave: unknown;
}

export interface Bug extends Page {
  property(which: "right" | "broken"): fc.IProperty<unknown>;
  /** What the law asks a variant for in one case, and what it is told. */
  calls(which: "right" | "broken", drawn: readonly unknown[]): Call[];
}

/** A bug from the two variants and a property of either. */
export function bug<V extends (...given: never[]) => unknown, T extends [unknown, ...unknown[]]>(
  page: Page & { right: V; broken: V; cases: { [K in keyof T]: fc.Arbitrary<T[K]> }; holds: (variant: V, ...drawn: T) => boolean },
): Bug {
  const { right, broken, cases, holds, ...rest } = page;
  return {
    ...rest,
    property: (which) =>
      fc.property(...cases, (...drawn: T) => holds(which === "right" ? right : broken, ...drawn)) as fc.IProperty<unknown>,
    calls(which, drawn) {
      const heard: Call[] = [];
      const variant = which === "right" ? right : broken;
      const told = ((...given: Parameters<V>) => {
        const gave = variant(...given);
        heard.push({ given, gave });
        return gave;
      }) as V;
      holds(told, ...(drawn as T));
      return heard;
    },
  };
}

// Plain numbers in and out

export const near = (a: number, b: number, tolerance = 1e-9): boolean => Math.abs(a - b) <= tolerance * Math.max(1, Math.abs(b));
export const sum = (xs: readonly number[]): number => xs.reduce((a, b) => a + b, 0);
export const list = (x: Tensor): number[] => Array.from(x.dataSync());

/** Rows as a float64 tensor [1, T, E]. */
export function rows(x: readonly (readonly number[])[], requiresGrad = false): Tensor {
  return tensor(Float64Array.from(x.flat()), { shape: [1, x.length, x[0].length], requiresGrad });
}
export function ints(x: readonly (readonly number[])[]): Tensor {
  return tensor(Int32Array.from(x.flat()), { shape: [1, x.length, x[0].length] });
}

/** [T][E] numbers in tenths, which shrink to 0. */
export function table(
  experts: { min: number; max: number },
  tokens = { min: 1, max: 6 },
  tenths = { min: -30, max: 30 },
): fc.Arbitrary<number[][]> {
  return fc.tuple(fc.integer(tokens), fc.integer(experts)).chain(([t, e]) =>
    fc.array(
      fc.array(
        fc.integer(tenths).map((n) => n / 10),
        { minLength: e, maxLength: e },
      ),
      { minLength: t, maxLength: t },
    ),
  );
}

/** The expert of each of 1 to `max` tokens. */
export function experts(count: number, max = 8): fc.Arbitrary<number[]> {
  return fc.array(fc.nat(count - 1), { minLength: 1, maxLength: max });
}
