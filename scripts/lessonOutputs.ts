/** What lessons printed and drew when they were last run in full; scripts/recordLessons.ts writes it. */

export interface LessonOutput {
  /** Of this package. */
  readonly version: string;
  /** Year, month and day in UTC. */
  readonly date: string;
  readonly node: string;
  /** From start to end, on the machine that ran it. */
  readonly seconds: number;
  readonly printed: string;
  /** Names of files beside the outputs. */
  readonly pictures: readonly string[];
}

export const outputsFile = "docs/lessons/outputs.json";

/** The files that a lesson says it drew. */
export function picturesIn(printed: string): string[] {
  return [...printed.matchAll(/^picture: (\S+\.svg)$/gm)].map(([, path]) => path);
}

/** What a lesson printed without what depends on the machine: the line of the backend with its threads, and places of files. */
export function comparable(printed: string): string {
  return printed
    .split("\n")
    .filter((line) => !/^\((WebAssembly|CPU|WebGPU|WebGL).*\)$/i.test(line) && !line.startsWith("picture: "))
    .map((line) => line.trimEnd())
    .join("\n")
    .trim();
}
