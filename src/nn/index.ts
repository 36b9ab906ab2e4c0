/** Layers, models, losses, optimisers, generation and checkpoint files. */

// The base class of layers, and the plain layers
export { Module, under } from "./module.ts";
export type { Cost, Init, Pass } from "./module.ts";
export * as initializers from "./initializers.ts";
export type { Initializer } from "./initializers.ts";
export { Linear } from "./linear.ts";
export type { LinearOptions } from "./linear.ts";
export { Embedding } from "./embedding.ts";
export type { EmbeddingOptions } from "./embedding.ts";
export { LayerNorm, RMSNorm, layerNorm, rmsNorm } from "./normalization.ts";
export type { NormOptions } from "./normalization.ts";
export { Dropout, dropout } from "./dropout.ts";
export { DenseFeedForward } from "./feedForward.ts";
export type { FeedForward, FeedForwardKind, FeedForwardOptions, TokenInfo } from "./feedForward.ts";

// Attention and positions
export { attention, attentionWeights } from "./attention.ts";
export type { AttentionOptions } from "./attention.ts";
export { MultiHeadAttention } from "./multiHeadAttention.ts";
export type { AttentionInput, KeyValues, MultiHeadAttentionOptions } from "./multiHeadAttention.ts";
export { LearnedPositions, SinusoidalPositions, sinusoids } from "./positions.ts";
export type { AbsolutePositions, LearnedPositionsOptions, SinusoidOptions } from "./positions.ts";
export { BucketBias, DistanceBias, PositionBias } from "./positionBias.ts";
export type { BucketBiasOptions, PositionBiasOptions } from "./positionBias.ts";
export { Rotary } from "./rotary.ts";
export type { RotaryOptions } from "./rotary.ts";
export { documentBias, paddingBias, prefixBias } from "./masks.ts";

// Models
export { Block } from "./block.ts";
export type { Attention, BlockInput, BlockOutput, BlockParts, Norm, Seen } from "./block.ts";
export { Stack } from "./stack.ts";
export type { StackOutput } from "./stack.ts";
export type { BlockSettings, CommonSettings, PositionKind, SequenceInput, StackInput, StackOptions } from "./stackSettings.ts";
export { DecoderLanguageModel } from "./languageModel.ts";
export type { LanguageModelInput, LanguageModelOptions, LanguageModelOutput } from "./languageModel.ts";
export { EncoderDecoder, shiftRight } from "./encoderDecoder.ts";
export type {
  DecoderInput,
  Encoded,
  EncoderDecoderInput,
  EncoderDecoderOptions,
  EncoderDecoderOutput,
  ShiftOptions,
  StackName,
} from "./encoderDecoder.ts";
export { summary } from "./summary.ts";
export type { Summary, SummaryRow } from "./summary.ts";

// Losses
export { crossEntropy } from "./crossEntropy.ts";
export type { CrossEntropyOptions, Reduction } from "./crossEntropy.ts";
export { bceWithLogits, distillationLoss, huberLoss, klDivergence, l1Loss, mseLoss } from "./losses.ts";
export type { BceOptions, DistillationOptions, KlOptions, LossOptions } from "./losses.ts";

// Pre-training of an encoder-decoder
export { corruptSpans, fillSpans, noiseCounts, noiseSpans, splitSpans } from "./spanCorruption.ts";
export type { CorruptedText, NoiseSpan, Sentinels, SpanCorruptionOptions } from "./spanCorruption.ts";

// Training
export { Optimizer } from "./optimizer.ts";
export type { Groups, OptimizerState, ParameterState, Parameters, StepOptions } from "./optimizer.ts";
export { Sgd } from "./sgd.ts";
export type { SgdOptions } from "./sgd.ts";
export { Rmsprop } from "./rmsprop.ts";
export type { RmspropOptions } from "./rmsprop.ts";
export { Adam, AdamW } from "./adam.ts";
export type { AdamOptions } from "./adam.ts";
export { Adafactor } from "./adafactor.ts";
export type { AdafactorOptions } from "./adafactor.ts";
export { clipGradNorm, clipGradValue, clipScale, gradNorm } from "./clip.ts";
export type { NormType } from "./clip.ts";
export * as schedules from "./schedules.ts";
export type { Schedule } from "./schedules.ts";

// Evaluation, generation, and files
export { evaluate, evaluation } from "./evaluate.ts";
export type { Batch, Evaluation, LanguageModel } from "./evaluate.ts";
export { generate, generateBatch } from "./generate.ts";
export type { GenerateBatchOptions, GenerateOptions, WritingOptions, Written } from "./generate.ts";
export { beamSearch } from "./beamSearch.ts";
export type { Beam, BeamSearchOptions } from "./beamSearch.ts";
export type { Prompts, TextToText } from "./reading.ts";
export { sample } from "./sample.ts";
export type { SampleOptions } from "./sample.ts";
export { readSafetensors, writeSafetensors } from "./safetensors.ts";
export type { Metadata, Safetensors } from "./safetensors.ts";
