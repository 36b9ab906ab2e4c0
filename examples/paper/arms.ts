/** Arms that several claims make alike: in the encoder-decoder, as the Switch paper has it, and in the causal model. */
import type { Arm } from "./claim.ts";
import type { Change } from "./settings.ts";
import { filling, trained } from "./settings.ts";

/** What is changed of the small models, by the names of the arms. */
export type Changes = Readonly<Record<string, Change>>;

/** Changes of the model alone, with what is changed for all of them. */
export const changesOf = (models: Readonly<Record<string, NonNullable<Change["model"]>>>, all: Omit<Change, "model"> = {}): Changes =>
  Object.fromEntries(Object.entries(models).map(([name, model]) => [name, { ...all, model }]));

/** Of the arm of the encoder-decoder, beside that of the causal model. */
export const spans = (name: string): string => `${name}, spans`;

/** Arms of the encoder-decoder, which fills in spans. */
export const fillingArms = (changes: Changes): Arm[] =>
  Object.entries(changes).map(([name, change]) => ({ name: spans(name), settings: filling(change) }));

/** Arms of the causal model, which predicts bytes. */
export const predictingArms = (changes: Changes): Arm[] =>
  Object.entries(changes).map(([name, change]) => ({ name, settings: trained(change) }));

/** Arms of both. */
export const armsInBoth = (changes: Changes): Arm[] => [...fillingArms(changes), ...predictingArms(changes)];
