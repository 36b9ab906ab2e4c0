/** One lie told to the library. The lists beside this file are what scripts/sabotage.ts tries. */
export interface Sabotage {
  /** What goes wrong, in words. */
  readonly what: string;
  /** Where: `from` stands exactly once in this file, and becomes `to`. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** The test file that must fail. */
  readonly test: string;
  /** Only its tests whose title contains this: it saves time. */
  readonly title?: string;
}
