/** What a room of the museum and the worker that trains its bug say to each other. */
import type { Twin, TwinStep } from "../../test/moe/gallery/trained/twins.ts";

export interface TrainingRequest {
  readonly title: string;
  readonly seed: number;
  /** Address of the text that is learned. */
  readonly text: string;
}

/** How the number that betrays the bug is called in the words of the page, and how it is written. */
export interface WatchedName {
  readonly name: string;
  readonly as: "count" | "percent" | "number";
}

export type TrainingReport =
  | {
      readonly kind: "started";
      readonly watched: WatchedName;
      readonly steps: number;
      readonly sizes: Readonly<Record<"layers" | "width" | "experts" | "choices" | "tokens" | "languages", number>>;
      /** What is not as in the playground so that the bug is active, by the names of the options: "experts 2". */
      readonly wished: readonly string[];
      /** The device that computes. */
      readonly device: string;
    }
  /** A step of both twins; null for one that has ended. */
  | ({ readonly kind: "step"; readonly step: number } & Readonly<Record<Twin, TwinStep | null>>)
  | { readonly kind: "finished" }
  | { readonly kind: "failed"; readonly message: string };
