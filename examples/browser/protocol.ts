/** What the page and its worker say to each other. */

export const backendNames = ["cpu", "wasm", "gpu"] as const;
export type BackendName = (typeof backendNames)[number];

/** From the page. A new "train" ends the run before it. */
export type Request = { readonly kind: "train"; readonly backend: BackendName; readonly seed: number } | { readonly kind: "stop" };

/** From the worker. */
export type Report =
  | { readonly kind: "started"; readonly backend: BackendName; readonly description: string; readonly parameters: number }
  | {
      readonly kind: "step";
      readonly step: number;
      readonly steps: number;
      /** Bits per byte of the step's batch. */
      readonly bits: number;
      /** Tokens of each expert, for each sparse layer. */
      readonly layers: readonly (readonly number[])[];
      /** Share of bytes that no expert served. */
      readonly dropped: number;
      readonly tokensPerSecond: number;
    }
  | { readonly kind: "stopped"; readonly step: number }
  | { readonly kind: "failed"; readonly message: string };

/** The text as it travels: the training bytes of each language, in base64. */
export interface TextFile {
  readonly source: string;
  readonly classes: readonly { readonly name: string; readonly code: string; readonly training: string }[];
}
