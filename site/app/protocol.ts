/** What the playground and its worker say to each other. */
import type { Settings } from "./settings.ts";

export type Side = "a" | "b";

/** One class of the text: a language, or one's own. */
export interface TextPart {
  readonly name: string;
  readonly code: string;
  readonly training: Uint8Array;
}

export type Request =
  /** `paused`: the models are made and shown, and wait for "resume". */
  | { readonly kind: "start"; readonly settings: Settings; readonly text: readonly TextPart[]; readonly paused: boolean }
  | { readonly kind: "pause" }
  | { readonly kind: "resume" }
  | { readonly kind: "step" }
  /** Milliseconds to rest after each pair of steps. */
  | { readonly kind: "speed"; readonly rest: number }
  | { readonly kind: "observe"; readonly passage: string }
  | { readonly kind: "write"; readonly prompt: string; readonly bytes: number }
  | { readonly kind: "export"; readonly side: Side };

/** What a step of one column showed. */
export interface StepNumbers {
  readonly step: number;
  /** Bits per byte of the step's batch. */
  readonly bits: number;
  readonly auxiliary: number;
  readonly dropped: number;
  /** Tokens of each expert, for each sparse layer. */
  readonly layers: readonly (readonly number[])[];
}

/** Where each byte of a passage went in one layer. */
export interface LayerTrace {
  readonly experts: number;
  readonly choices: number;
  /** [N, K] each. */
  readonly expert: Int32Array;
  readonly slot: Int32Array;
  readonly gate: Float32Array;
  /** [N, E] */
  readonly probs: Float32Array;
}

/** What is looked at now and then, for it costs more than a step. */
export interface Observation {
  readonly step: number;
  readonly bytes: Uint8Array;
  readonly layers: readonly LayerTrace[];
  /** For each layer: [language][expert] and [expert][byte] counts of a batch, and what they say in bits. */
  readonly byLanguage: readonly (readonly (readonly number[])[])[];
  readonly byByte: readonly (readonly (readonly number[])[])[];
  readonly information: readonly { readonly language: number; readonly shuffled: number }[];
  readonly entropy: readonly number[];
  readonly violation: readonly number[];
  readonly gateMean: readonly number[];
}

export type Report =
  | {
      readonly kind: "started";
      readonly description: string;
      readonly parameters: Readonly<Record<Side, number>>;
      readonly caution: Readonly<Record<Side, string | null>>;
    }
  /** What tables of the text need. */
  | { readonly kind: "counted"; readonly baselines: readonly { readonly name: string; readonly bits: number }[] }
  | {
      readonly kind: "steps";
      readonly numbers: Readonly<Record<Side, StepNumbers>>;
      readonly fingerprint: string;
      readonly tokensPerSecond: number;
      readonly tensorBytes: number;
    }
  | { readonly kind: "observed"; readonly side: Side; readonly observation: Observation }
  | { readonly kind: "wrote"; readonly side: Side; readonly bytes: Uint8Array; readonly expert: Int32Array; readonly why: string | null }
  | { readonly kind: "exported"; readonly side: Side; readonly file: Uint8Array<ArrayBuffer> }
  | { readonly kind: "paused"; readonly step: number }
  | { readonly kind: "finished"; readonly step: number }
  | { readonly kind: "failed"; readonly message: string };
