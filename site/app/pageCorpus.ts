/** Texts of a page as what its models learn from. */
import type { Corpus } from "../../examples/train/text.ts";
import type { TextPart } from "./protocol.ts";

export function corpusOf(text: readonly TextPart[]): Corpus {
  return {
    source: "the page",
    unit: "language",
    split: "Nothing is held out.",
    classes: text.map(({ name, code, training }) => ({ name, code, lang: code, dir: "ltr", document: training, heldOut: [], training })),
  };
}
