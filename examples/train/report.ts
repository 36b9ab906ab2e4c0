/** A run as one page for people who would rather look than read: no script, no request, light and dark, wide and narrow. */
import type { Specialisation } from "./information.ts";
import { madeBy } from "./madeBy.ts";
import type { Passage } from "./passage.ts";
import { compared, learning, load, model, passages, results, samples, specialised } from "./reportSections.ts";
import { pageStyle } from "./reportStyle.ts";
import type { Level, Point, Series } from "./svg/index.ts";
import { element, escape } from "./svg/markup.ts";

/** L languages, E experts, N moments at which the load was noted. Sections without data are left out, as in a dense run. */
export interface RunReport {
  readonly title: string;
  /** The result in a sentence or two. */
  readonly lead: string;
  /** The numbers to see first. */
  readonly facts: readonly Fact[];
  /** What was typed, and the settings that matter, by name. */
  readonly command: string;
  readonly settings: Readonly<Record<string, string | number | boolean>>;
  /** What the curves count; default bits per byte. */
  readonly unit?: string;
  /** Step and loss in that unit. */
  readonly training: readonly Point[];
  readonly validation: readonly Point[];
  /** Further courses in the same plot: a dense twin. */
  readonly others?: readonly Series[];
  readonly baselines: readonly Level[];
  readonly load: readonly LoadCourse[];
  readonly specialisation?: SpecialisationReport;
  /** Drawings of several runs side by side. */
  readonly comparisons?: readonly Comparison[];
  readonly passages: readonly Passage[];
  readonly samples: readonly Sample[];
  /** What samples are; default: prompts are bold, the rest is the model's. */
  readonly samplesNote?: string;
  /** As the summary of a model prints it. */
  readonly summary: string;
  readonly tables: readonly ReportTable[];
  /** What a reader should know before believing the numbers. */
  readonly notes?: readonly string[];
}

/** Of a page that lays several runs side by side: what it has of no single one. */
export const noSingleRun = { facts: [], training: [], validation: [], baselines: [], load: [], passages: [], samples: [] } as const;

export interface Fact {
  readonly name: string;
  readonly value: string;
  readonly note?: string;
}

export interface Comparison {
  /** What is to be seen in it. */
  readonly text: string;
  readonly drawing: string;
}

export interface LoadCourse {
  /** "layer 0". */
  readonly layer: string;
  readonly steps: readonly number[]; // [N]
  /** Share of the tokens, 0..1. */
  readonly shares: readonly (readonly number[])[]; // [E][N]
}

export interface SpecialisationReport {
  /** What these numbers show, in one sentence. */
  readonly sentence: string;
  /** What a row is: "language", or "class" of one's own text. */
  readonly unit: string;
  readonly languages: readonly string[]; // [L]
  readonly layers: readonly {
    readonly layer: string;
    /** Share of a language's bytes that goes to an expert, 0..1. */
    readonly before: readonly (readonly number[])[]; // [L][E]
    readonly after: readonly (readonly number[])[]; // [L][E]
    readonly informationBefore: Specialisation;
    readonly informationAfter: Specialisation;
  }[];
}

export interface Sample {
  readonly name: string;
  readonly prompt: string;
  readonly text: string;
  readonly lang?: string;
  readonly dir?: "ltr" | "rtl";
}

export interface ReportTable {
  readonly caption: string;
  readonly columns: readonly string[];
  /** The first cell of a row names it; numbers are shown as they are given. */
  readonly rows: readonly (readonly (string | number)[])[];
  /** Whether the cells are texts, which begin at one edge and wrap, and no numbers. */
  readonly texts?: boolean;
}

/** The page, a whole document. */
export function reportHtml(report: RunReport): string {
  const sections = [
    results(report),
    learning(report),
    compared(report),
    load(report),
    specialised(report),
    passages(report),
    samples(report),
    model(report),
  ].filter((section) => section !== undefined);
  const links = sections.map(({ id, title }) => element("li", {}, element("a", { href: `#${id}` }, escape(title))));
  const body = element(
    "body",
    {},
    element("a", { class: "skip", href: "#results" }, "To the results"),
    element(
      "header",
      {},
      element("h1", {}, escape(report.title)),
      element("p", { class: "lead" }, escape(report.lead)),
      facts(report.facts),
      element("p", { class: "made" }, escape(madeBy())),
    ),
    element("nav", { "aria-label": "Sections" }, element("ul", {}, ...links)),
    element("main", {}, ...sections.map(({ id, title, parts }) => element("section", { id }, element("h2", {}, escape(title)), ...parts))),
  );
  return `<!DOCTYPE html>\n${element("html", { lang: "en" }, head(report.title), body)}\n`;
}

function head(title: string): string {
  return element(
    "head",
    {},
    element("meta", { charset: "utf-8" }),
    element("meta", { "http-equiv": "Content-Security-Policy", content: "default-src 'none'; style-src 'unsafe-inline'" }),
    element("meta", { name: "viewport", content: "width=device-width, initial-scale=1" }),
    element("meta", { name: "color-scheme", content: "light dark" }),
    element("title", {}, escape(title)),
    element("style", {}, pageStyle),
  );
}

function facts(list: readonly Fact[]): string {
  const tiles = list.map(({ name, value, note }) => {
    const small = note === undefined ? "" : element("span", {}, escape(note));
    return element("div", {}, element("dt", {}, escape(name)), element("dd", {}, escape(value), small));
  });
  return tiles.length === 0 ? "" : element("dl", { class: "facts" }, ...tiles);
}
