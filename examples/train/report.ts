/** A run as one page for people who would rather look than read: no script, no request, light and dark, wide and narrow. */
import type { Specialisation } from "./information.ts";
import { laneLegend, passageFigure, type Passage } from "./passage.ts";
import { pageStyle } from "./reportStyle.ts";
import { curve, heatMap, ridges, type Level, type Point, type Series } from "./svg/index.ts";
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

interface Section {
  readonly id: string;
  readonly title: string;
  readonly parts: readonly string[];
}

function facts(list: readonly Fact[]): string {
  const tiles = list.map(({ name, value, note }) => {
    const small = note === undefined ? "" : element("span", {}, escape(note));
    return element("div", {}, element("dt", {}, escape(name)), element("dd", {}, escape(value), small));
  });
  return tiles.length === 0 ? "" : element("dl", { class: "facts" }, ...tiles);
}

const paragraph = (text: string) => element("p", {}, escape(text));
// A figure wider than a narrow page scrolls, so it can be reached by keyboard.
const figure = (drawing: string) => element("figure", { tabindex: 0 }, drawing);
const grid = (...drawings: readonly string[]) => element("div", { class: "grid" }, ...drawings.map(figure));

function results({ tables, notes = [] }: RunReport): Section {
  const list = notes.length === 0 ? [] : [element("ul", { class: "notes" }, ...notes.map((note) => element("li", {}, escape(note))))];
  return { id: "results", title: "Results", parts: [...tables.map(table), ...list] };
}

/** A table that scrolls within itself, by keyboard too, where the page is narrow. */
function table({ caption, columns, rows, texts = false }: ReportTable): string {
  const heads = columns.map((name) => element("th", { scope: "col" }, escape(name)));
  const lines = rows.map(([name, ...cells]) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, escape(String(name))),
      ...cells.map((cell) => element("td", {}, escape(String(cell)))),
    ),
  );
  const content = [
    element("caption", {}, escape(caption)),
    element("thead", {}, element("tr", {}, ...heads)),
    element("tbody", {}, ...lines),
  ];
  return element(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    element("table", texts ? { class: "texts" } : {}, ...content),
  );
}

function learning({ unit = "bits per byte", training, validation, others = [], baselines }: RunReport): Section | undefined {
  if (training.length + validation.length === 0) return undefined;
  const last = validation.at(-1)?.[1];
  const beaten = baselines.filter(({ value }) => last !== undefined && last < value).map(({ name }) => name);
  const description =
    last === undefined
      ? "The training loss; nothing was validated."
      : `The validation loss ends at ${last.toFixed(2)} ${unit}${standing(beaten, baselines.length)}.`;
  const all = [{ name: "training", points: training }, { name: "validation", points: validation }, ...others];
  const series = all.filter(({ points }) => points.length > 0);
  const drawing = curve({
    title: baselines.length > 0 ? "Loss by step, beside baselines" : "Loss by step",
    description,
    series,
    baselines,
    x: "step",
    y: unit,
    height: 290,
  });
  return { id: "learning", title: "Learning", parts: [paragraph(description), element("div", { class: "wide" }, figure(drawing))] };
}

function standing(beaten: readonly string[], of: number): string {
  if (of === 0) return "";
  return beaten.length > 0 ? `, below what ${listed(beaten)} need${beaten.length > 1 ? "" : "s"}` : ", above every baseline";
}

function compared({ comparisons = [] }: RunReport): Section | undefined {
  if (comparisons.length === 0) return undefined;
  const parts = comparisons.flatMap(({ text, drawing }) => [paragraph(text), element("div", { class: "wide" }, figure(drawing))]);
  return { id: "compared", title: "Side by side", parts };
}

const listed = (names: readonly string[]) => new Intl.ListFormat("en-GB", { type: "conjunction" }).format(names);
const percentage = (share: number) => `${(100 * share).toFixed(1)}%`;

function load({ load: courses }: RunReport): Section | undefined {
  if (courses.length === 0) return undefined;
  const drawings = courses.map(({ layer, steps, shares }) => {
    const last = shares.map((share) => share.at(-1) ?? 0);
    const description = `At the last step the experts of ${layer} take between ${percentage(Math.min(...last))} and ${percentage(Math.max(...last))} of the bytes.`;
    const rows = shares.map((values, expert) => ({ name: `expert ${expert}`, values }));
    return ridges({
      title: `Load per expert over time, ${layer}`,
      description,
      xs: steps,
      rows,
      x: "step",
      unit: "share of the bytes",
      fair: 1 / shares.length,
      format: percentage,
    });
  });
  return { id: "load", title: "Load", parts: [paragraph("What each expert was sent, before capacity."), grid(...drawings)] };
}

function specialised({ specialisation }: RunReport): Section | undefined {
  if (specialisation === undefined) return undefined;
  const { sentence, layers } = specialisation;
  const most = 100 * Math.max(...layers.flatMap(({ before, after }) => [...before, ...after].flat()));
  const drawings = layers.flatMap(
    ({ layer, before, after }) =>
    ([["before training", before], ["after training", after]] as const).map(([when, shares]) => heat(`${layer}, ${when}`, specialisation, shares, most)), // prettier-ignore
  );
  return {
    id: "specialisation",
    title: "Who takes what",
    parts: [paragraph(sentence), grid(...drawings), table(informationTable(specialisation))],
  };
}

function heat(title: string, { languages, unit }: SpecialisationReport, shares: readonly (readonly number[])[], most: number): string {
  const values = shares.map((row) => row.map((share) => 100 * share));
  const columns = (shares[0] ?? []).map((_, expert) => String(expert));
  const favourites = languages.map((language, l) => `${language} ${shares[l].indexOf(Math.max(...shares[l]))}`);
  const description = `Expert that takes most of each ${unit}: ${favourites.join(", ")}.`;
  return heatMap({
    title,
    description,
    rows: languages,
    columns,
    values,
    row: unit,
    column: "expert",
    unit: `% of the ${unit}'s bytes`,
    most,
  });
}

function informationTable({ layers, unit, languages }: SpecialisationReport): ReportTable {
  const all = [
    [`I(expert; ${unit})`, "expertLanguage"],
    ["I(expert; byte)", "expertByte"],
    [`I(expert; ${unit} | byte)`, "expertLanguageGivenByte"],
  ] as const;
  const quantities = languages.length === 1 ? all.filter(([, name]) => name === "expertByte") : all; // of one there is nothing to tell
  const rows = layers.flatMap(({ layer, informationBefore, informationAfter }) =>
    quantities.map(([name, key]) => [
      `${name}, ${layer}`,
      informationBefore[key].toFixed(3),
      informationAfter[key].toFixed(3),
      informationAfter.shuffled[key].toFixed(3),
    ]),
  );
  return { caption: "What the expert of a byte tells, in bits", columns: ["", "before training", "trained", "trained, shuffled"], rows };
}

function passages({ passages: list }: RunReport): Section | undefined {
  if (list.length === 0) return undefined;
  const explanation =
    "Each character stands over its bytes, from its first to its last; each byte lies on the lane of the expert that took it. A gap is a byte that was dropped. Point at a character for its numbers.";
  const most = Math.max(...list.map(({ experts }) => experts));
  return {
    id: "passages",
    title: "Held-out text, byte by byte",
    parts: [paragraph(explanation), laneLegend(most), element("div", { class: "grid" }, ...list.map(passageFigure))],
  };
}

function samples({ samples: list, samplesNote = "Prompts are bold; the rest is the model's." }: RunReport): Section | undefined {
  if (list.length === 0) return undefined;
  const quotes = list.map(({ name, prompt, text, lang, dir }) => {
    const quote = element("blockquote", { lang, dir: dir ?? "auto" }, element("b", {}, escape(prompt)), escape(text));
    return element("figure", { class: "sample" }, element("figcaption", {}, escape(name)), quote);
  });
  return { id: "samples", title: "What it writes", parts: [paragraph(samplesNote), ...quotes] };
}

function model({ summary, command, settings }: RunReport): Section {
  const pairs = Object.entries(settings).map(([name, value]) =>
    element("div", {}, element("dt", {}, escape(name)), element("dd", {}, escape(String(value)))),
  );
  const printed = element("pre", { tabindex: 0, role: "region", "aria-label": "Model summary" }, escape(summary));
  const typed = element("pre", { tabindex: 0, role: "region", "aria-label": "Command" }, escape(command));
  return { id: "model", title: "The model and its settings", parts: [printed, typed, element("dl", { class: "settings" }, ...pairs)] };
}
