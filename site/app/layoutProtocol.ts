/** What the rooms of many processes, the worker that drives the ranks, and the ranks say to each other. */
import type { MemoryContent } from "../../src/distributed/memoryFiles.ts";
import type { Report } from "../../src/distributed/rankPool.ts";
import type { LayoutOrder } from "../../src/testing/layouts/program.ts";
import type { LayoutCase } from "switchyard-moe/testing";
import type { Training } from "./layoutTraining.ts";

/** The code that is looked at. */
export type Which = "right" | "broken";

export type LayoutRequest =
  /** Let the law look at a variant, or at the right code in its place. */
  | { readonly kind: "refute"; readonly variant: string; readonly which: Which }
  /** Train with the variant and without it. */
  | { readonly kind: "train"; readonly variant: string };

/** One of the two trainings. */
export interface Trained {
  readonly losses: readonly number[];
  /** What the ranks do not hold alike at its end, in the law's words; null: they hold the same bits. */
  readonly apart: string | null;
  /** Why it ended before its last step; null: it did not. */
  readonly ended: string | null;
}

export type LayoutMessage =
  /** A case was tried. `fault`: what the law says of it; null: it keeps the law. `shrinking`: a larger one was refuted before. */
  | { readonly kind: "tried"; readonly case: LayoutCase; readonly fault: string | null; readonly shrinking: boolean }
  /** The smallest case. `cases`: how many were tried until one was refuted; `smaller`: how many after it. */
  | { readonly kind: "refuted"; readonly case: LayoutCase; readonly fault: string; readonly cases: number; readonly smaller: number }
  | { readonly kind: "kept"; readonly cases: number }
  | { readonly kind: "step"; readonly which: Which; readonly step: number; readonly loss: number }
  /** `weights`: by how much the weights of rank 0 differ at most between both ends; null where one was not reached. */
  | {
      readonly kind: "trained";
      readonly training: Training;
      readonly right: Trained;
      readonly broken: Trained;
      readonly weights: number | null;
    }
  | { readonly kind: "failed"; readonly message: string };

/** What a rank is to do. */
export interface RankProgram {
  readonly order: LayoutOrder;
  /** The files that are there. */
  readonly files: MemoryContent;
  /** null: the order is one of a law. */
  readonly training: Training | null;
}

export type RankMessage =
  | { readonly kind: "ready" }
  | { readonly kind: "step"; readonly step: number; readonly loss: number }
  | { readonly kind: "report"; readonly report: Report };
