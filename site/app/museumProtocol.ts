/** What the museum of bugs and its worker say to each other. */

export type MuseumRequest =
  /** Let the law look at a variant of a bug. */
  | { readonly kind: "refute"; readonly title: string; readonly which: "right" | "broken"; readonly seed: number }
  /** Hold a router written in the page to the laws. */
  | { readonly kind: "judge"; readonly code: string; readonly runs: number };

/** One case that fast-check tried on its way to the smallest. */
export interface Tried {
  readonly shown: string;
  readonly fails: boolean;
  /** How many shrinking steps led here. */
  readonly depth: number;
}

export type MuseumReport =
  | {
      readonly kind: "refuted";
      readonly title: string;
      readonly cases: number;
      readonly tried: readonly Tried[];
      readonly smallest: string;
      /** The smallest case as plain values, one for each argument of the law. */
      readonly arguments: readonly unknown[];
    }
  | { readonly kind: "kept"; readonly title: string; readonly cases: number }
  | { readonly kind: "law"; readonly statement: string; readonly broken: string | null; readonly coverage: string }
  | { readonly kind: "judged"; readonly kept: number; readonly all: number }
  /** `lang` where the message is not in the page's language: errors of the library are English. */
  | { readonly kind: "failed"; readonly message: string; readonly lang?: "en" };
