/** Reads and writes published checkpoints of Mixture-of-Experts models and of T5. */

// Where files are
export { filesSource, memorySource } from "./source.ts";
export type { FileLike, Source } from "./source.ts";
export type { SourceLike } from "./sourceOf.ts";
export { folderSource } from "./folderSource.ts";
export { addressSource } from "./addressSource.ts";
export type { AddressOptions } from "./addressSource.ts";

// What they hold
export { openWeights } from "./weights.ts";
export type { Piece, StoredDType, StoredTensor } from "./stored.ts";

// Models
export { loadPretrained } from "./load.ts";
export type { LoadOptions, Pretrained, SwitchSemantics } from "./load.ts";
export type { FamilyName } from "./config.ts";
export type { DecoderConfig, DecoderFamily } from "./decoderConfig.ts";
export type { EncoderDecoderConfig, EncoderDecoderFamily, SwitchConfig } from "./encoderDecoderConfig.ts";
export { savePretrained } from "./save.ts";
export type { SaveOptions } from "./save.ts";
export { familyOf } from "./familyOf.ts";
export type { ModelConfig, TokenIds } from "./familyOf.ts";
