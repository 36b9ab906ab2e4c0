/**
 * Colours for light and dark, and the style sheet of a drawing. Colour is never the only sign: lines have dashes and labels,
 * cells their number, experts their place.
 */

export interface Theme {
  readonly paper: string;
  readonly ink: string;
  readonly muted: string;
  readonly grid: string;
  /** Eight colours that differ in lightness too; at least 3:1 against the paper. Hues after Okabe and Ito 2008. */
  readonly series: readonly string[];
  /** Ends of the scale of a heat map. */
  readonly heat: readonly [string, string];
}

export const light: Theme = {
  paper: "#ffffff",
  ink: "#1b1f24",
  muted: "#57606a",
  grid: "#d8dee4",
  series: ["#0072b2", "#c84e00", "#00785a", "#a63d7b", "#8f6b00", "#3b3f46", "#2f8fc4", "#8a2b1a"],
  heat: ["#f1f5fa", "#0b3d78"],
};

export const dark: Theme = {
  paper: "#14181d",
  ink: "#e6eaee",
  muted: "#9aa5b1",
  grid: "#323a43",
  series: ["#56b4e9", "#ff8f4d", "#2fc79b", "#e892c3", "#f0e442", "#c9d1d9", "#8ea0f5", "#d98a75"],
  heat: ["#1d252e", "#a6d0ff"],
};

/** One per series, so that a line is known by its dashes too. */
export const dashes = ["none", "7 3", "2 3", "9 3 2 3", "1 2.5", "13 4", "4 2 1 2 1 2", "10 2 2 2 2 2"];

export const HEAT_LEVELS = 10;

/** Class of a series' colour. */
export const colourClass = (index: number) => `c${index % light.series.length}`;

/** Level of a value between 0 and 1. */
export const heatLevel = (share: number) => Math.min(HEAT_LEVELS - 1, Math.max(0, Math.floor(share * HEAT_LEVELS)));

/** Fill of a level of the scale, and the text colour that is read best on it: at least 4.5:1. */
export function heat(theme: Theme, level: number): { fill: string; text: string } {
  const fill = mixed(theme.heat[0], theme.heat[1], level / (HEAT_LEVELS - 1));
  return { fill, text: contrast(fill, "#ffffff") > contrast(fill, "#000000") ? "#ffffff" : "#000000" };
}

const channels = (hex: string) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

function mixed(from: string, to: string, share: number): string {
  const end = channels(to);
  const mix = channels(from).map((x, i) => Math.round(x + (end[i] - x) * share));
  return `#${mix.map((x) => x.toString(16).padStart(2, "0")).join("")}`;
}

/** Contrast ratio of two colours #rrggbb, 1..21. WCAG 2.2, "contrast ratio" and "relative luminance". */
export function contrast(x: string, y: string): number {
  const [a, b] = [luminance(x), luminance(y)];
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}

function luminance(hex: string): number {
  const [r, g, b] = channels(hex).map((x) => (x / 255 <= 0.04045 ? x / 255 / 12.92 : ((x / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/** The theme as CSS variables: --paper, --ink, --muted, --grid, --c0 ... --c7. */
export function variables(theme: Theme): string {
  const series = theme.series.map((colour, i) => `--c${i}:${colour}`);
  return [`--paper:${theme.paper}`, `--ink:${theme.ink}`, `--muted:${theme.muted}`, `--grid:${theme.grid}`, ...series].join(";");
}

function heatRules(theme: Theme): string {
  const levels = Array.from({ length: HEAT_LEVELS }, (_, level) => {
    const { fill, text } = heat(theme, level);
    return `.switchyard .h${level}{fill:${fill}}.switchyard .on${level}{fill:${text}}`;
  });
  return levels.join("");
}

/** The style sheet that each drawing carries. */
export const styleSheet = [
  `.switchyard{${variables(light)};font:12px system-ui,sans-serif;background:var(--paper)}`,
  ".switchyard text{fill:var(--ink)}.switchyard .muted{fill:var(--muted)}.switchyard .strong{font-weight:600}" +
    ".switchyard .small{font-size:10.5px}",
  ".switchyard .grid{stroke:var(--grid);fill:none}.switchyard .axis{stroke:var(--muted);fill:none}",
  ".switchyard .line{stroke:var(--c,var(--ink));fill:none;stroke-width:2;stroke-linejoin:round}",
  ".switchyard .area{fill:var(--c,var(--ink))}.switchyard .paper{fill:var(--paper)}" +
    ".switchyard .outline{stroke:var(--c,var(--ink));fill:none}",
  light.series.map((_, i) => `.switchyard .c${i}{--c:var(--c${i})}`).join(""),
  heatRules(light),
  `@media (prefers-color-scheme:dark){.switchyard{${variables(dark)}}${heatRules(dark)}}`,
].join("");
