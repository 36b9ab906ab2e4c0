import { createHighlighter } from "shiki";
import type { Highlighter } from "shiki";

/** Colours code of the languages that the project is written in, in a light and a dark theme. */
export function highlighterOf(): Promise<Highlighter> {
  return createHighlighter({ themes: ["github-light", "github-dark"], langs: ["ts", "js", "python"] });
}
