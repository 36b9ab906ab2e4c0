/** The sections of a run's page. Each answers undefined where the run has nothing to show in it. */
import { loadEntropy, maxViolation } from "switchyard-moe/moe";
import { laneLegend, passageFigure } from "./passage.ts";
import type { Passage } from "./passage.ts";
import type { ReportTable, RunReport, SpecialisationReport } from "./report.ts";
import { curve, heatMap, ridges } from "./svg/index.ts";
import { element, escape } from "./svg/markup.ts";
import { BYTES } from "./vocabulary.ts";

/** A part of the page, with a heading of its own. */
export interface Section {
  readonly id: string;
  readonly title: string;
  readonly parts: readonly string[];
}

const paragraph = (text: string) => element("p", {}, escape(text));
// A figure wider than a narrow page scrolls, so it can be reached by keyboard.
const figure = (drawing: string) => element("figure", { tabindex: 0 }, drawing);
const grid = (...drawings: readonly string[]) => element("div", { class: "grid" }, ...drawings.map(figure));

export function results({ tables, notes = [] }: RunReport): Section {
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

export function learning({ unit = "bits per byte", training, validation, others = [], baselines }: RunReport): Section | undefined {
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

export function compared({ comparisons = [] }: RunReport): Section | undefined {
  if (comparisons.length === 0) return undefined;
  const parts = comparisons.flatMap(({ text, drawing }) => [paragraph(text), element("div", { class: "wide" }, figure(drawing))]);
  return { id: "compared", title: "Side by side", parts };
}

const listed = (names: readonly string[]) => new Intl.ListFormat("en-GB", { type: "conjunction" }).format(names);
const percentage = (share: number) => `${(100 * share).toFixed(1)}%`;

export function load({ load: courses }: RunReport): Section | undefined {
  if (courses.length === 0) return undefined;
  const drawings = courses.map(({ layer, steps, shares }) => {
    const last = shares.map((share) => share.at(-1) ?? 0);
    const description =
      `At the last step the experts of ${layer} take between ${percentage(Math.min(...last))} and ${percentage(Math.max(...last))} of ` +
      "the bytes.";
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
  const parts = [paragraph("What each expert was sent, before capacity."), grid(...drawings), paragraph(balanceMeans)];
  return { id: "load", title: "Load", parts: [...parts, table(balanceTable(courses))] };
}

const balanceMeans =
  "Load entropy is 1 where all experts take equally much and 0 where one takes all. MaxVio (maximal violation) is how much more than " +
  "an even share the busiest expert takes: 0 where the load is even, experts - 1 where one takes all.";

/** How even the load was at the first measurement and at the last. */
function balanceTable(courses: RunReport["load"]): ReportTable {
  const rows = courses.map(({ layer, shares }) => {
    const [first, last] = [shares.map((share) => share[0]), shares.map((share) => share.at(-1) ?? 0)];
    return [layer, ...[loadEntropy, maxViolation].flatMap((measure) => [measure(first).toFixed(3), measure(last).toFixed(3)])];
  });
  const columns = ["layer", "load entropy, first", "load entropy, last", "MaxVio, first", "MaxVio, last"];
  return { caption: "How even the load is", columns, rows };
}

export function specialised({ specialisation }: RunReport): Section | undefined {
  if (specialisation === undefined) return undefined;
  const { sentence, layers } = specialisation;
  const most = 100 * Math.max(...layers.flatMap(({ before, after }) => [...before, ...after].flat()));
  const drawings = layers.flatMap(({ layer, before, after }) =>
    (
      [
        ["before training", before],
        ["after training", after],
      ] as const
    ).map(([when, shares]) => heat(`${layer}, ${when}`, specialisation, shares, most)),
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

export function passages({ passages: list }: RunReport): Section | undefined {
  if (list.length === 0) return undefined;
  const named = list.some(({ ids }) => Array.from(ids).some((id) => id >= BYTES));
  const explanation = [
    "Each character stands over its bytes, from its first to its last; each byte lies on the lane of the expert that took it.",
    "A byte without a mark was dropped. Point at a character for its numbers.",
    ...(named
      ? ["What is no byte has a name: start is what the decoder reads first; <1> is the first gap, in the input and before what fills it."]
      : []),
  ].join(" ");
  const most = Math.max(...list.map(({ experts }) => experts));
  return {
    id: "passages",
    title: named ? "Held-out text, token by token" : "Held-out text, byte by byte",
    parts: [paragraph(explanation), laneLegend(most), ...folded(list)],
  };
}

/** A fold for each text, with its layers in it; the first is open. */
function folded(list: readonly Passage[]): string[] {
  const titles = [...new Set(list.map(({ title }) => title))];
  return titles.map((title, i) => {
    const figures = list.filter((passage) => passage.title === title).map(passageFigure);
    const content = [element("summary", {}, escape(title)), element("div", { class: "grid" }, ...figures)];
    return element("details", { class: "fold", open: i === 0 ? "" : undefined }, ...content);
  });
}

export function samples({ samples: list, samplesNote = "Prompts are bold; the rest is the model's." }: RunReport): Section | undefined {
  if (list.length === 0) return undefined;
  const quotes = list.map(({ name, prompt, text, lang, dir }) => {
    const quote = element("blockquote", { lang, dir: dir ?? "auto" }, element("b", {}, escape(prompt)), escape(text));
    return element("figure", { class: "sample" }, element("figcaption", {}, escape(name)), quote);
  });
  return { id: "samples", title: "What it writes", parts: [paragraph(samplesNote), ...quotes] };
}

export function model({ summary, command, settings }: RunReport): Section {
  const pairs = Object.entries(settings).map(([name, value]) =>
    element("div", {}, element("dt", {}, escape(name)), element("dd", {}, escape(String(value)))),
  );
  const printed = element("pre", { tabindex: 0, role: "region", "aria-label": "Model summary" }, escape(summary));
  const typed = element("pre", { tabindex: 0, role: "region", "aria-label": "Command" }, escape(command));
  return { id: "model", title: "The model and its settings", parts: [printed, typed, element("dl", { class: "settings" }, ...pairs)] };
}
