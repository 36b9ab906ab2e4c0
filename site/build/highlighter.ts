import { createHighlighter } from "shiki";
import type { Highlighter } from "shiki";

/** Themes in which comments, too, can be read on the site's grounds (WCAG AA). */
export const themes = { light: "github-light-high-contrast", dark: "github-dark-default" } as const;

/** Colours code of the languages that the project is written in, in a light and a dark theme. */
export function highlighterOf(): Promise<Highlighter> {
  return createHighlighter({ themes: Object.values(themes), langs: ["ts", "js", "json", "markdown", "python"] });
}
