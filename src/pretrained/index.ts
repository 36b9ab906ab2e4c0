/** Published checkpoints of Mixture-of-Experts models and of T5, in and out. */

// Where files lie
export { filesSource, memorySource } from "./source.ts";
export type { FileLike, Source } from "./source.ts";
export type { SourceLike } from "./sourceOf.ts";
export { folderSource } from "./folderSource.ts";
export { addressSource } from "./addressSource.ts";
export type { AddressOptions } from "./addressSource.ts";

// What they hold
export { openWeights } from "./weights.ts";
export type { Piece, StoredDType, StoredTensor } from "./stored.ts";
