/** The two models of a training, and what a step of one of them shows. */

export const twins = ["right", "broken"] as const;
export type Twin = (typeof twins)[number];

/** A step of one twin. */
export interface TwinStep {
  /** Bits per byte of the batch. */
  readonly bits: number;
  /** What betrays the bug; null: it was not looked at in this step. */
  readonly watched: number | null;
  /** What ended the run in this step; null: nothing. */
  readonly error: string | null;
}
