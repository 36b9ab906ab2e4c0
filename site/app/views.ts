/** What the playground shows of one column: load over time, tables, the way of tokens through slots, and writing. */
import { characters } from "../../examples/train/utf8.ts";
import { h } from "./dom.ts";
import { expertClass, servedBy } from "./passageView.ts";
import type { Observation } from "./protocol.ts";
import type { ScriptStrings } from "./strings.ts";

/** Steps of ink in the picture of loads: cells of one step are drawn together. */
const INKS = 12;

/** Share of tokens of each expert at moments of the run, thinned so that the picture keeps its width. */
export class LoadHistory {
  static readonly MOMENTS = 72;
  #moments: (readonly number[])[] = [];
  #stride = 1;
  #seen = 0;

  add(load: readonly number[]): void {
    if (this.#seen++ % this.#stride !== 0) return;
    const total = load.reduce((sum, n) => sum + n, 0);
    this.#moments.push(load.map((n) => (total > 0 ? n / total : 0)));
    if (this.#moments.length < 2 * LoadHistory.MOMENTS) return;
    this.#moments = this.#moments.filter((_, i) => i % 2 === 0);
    this.#stride *= 2;
  }

  /** A row for each expert in its colour, a cell for each moment; an even share is half of the way to full ink. */
  svg(label: string): string {
    const experts = this.#moments[0]?.length ?? 0;
    const [left, width] = [26, 374];
    const row = experts > 16 ? 8 : 15;
    const cell = width / Math.max(this.#moments.length, LoadHistory.MOMENTS);
    const rows = Array.from({ length: experts }, (_, e) => {
      const cells = new Map<number, string>();
      this.#moments.forEach((shares, x) => {
        const ink = Math.round(INKS * Math.min(1, ((shares[e] ?? 0) * experts) / 2));
        cells.set(ink, `${cells.get(ink) ?? ""}M${(left + x * cell).toFixed(1)} ${e * row}h${(cell + 0.2).toFixed(2)}v${row - 1}h-${(cell + 0.2).toFixed(2)}z`); // prettier-ignore
      });
      const paths = Array.from(cells, ([ink, d]) => `<path opacity="${(ink / INKS).toFixed(2)}" d="${d}"/>`);
      return `<g class="${expertClass(e)}">${paths.join("")}</g><text x="18" y="${e * row + row - 3}">${e}</text>`;
    });
    return `<svg class="load" role="img" aria-label="${label}" viewBox="0 0 400 ${Math.max(1, experts * row)}">${rows.join("")}</svg>`;
  }
}

/** Shares of each language's bytes by expert, as a table. */
export function languageTable(
  { byLanguage, information }: Observation,
  layer: number,
  names: readonly string[],
  strings: ScriptStrings,
): HTMLElement {
  const table = byLanguage[layer];
  if (!table) return h("p", { class: "quiet" }, strings.dense);
  const experts = table[0]?.length ?? 0;
  const head = h(
    "tr",
    {},
    h("td"),
    ...Array.from({ length: experts }, (_, e) => h("th", { scope: "col", class: expertClass(e) }, String(e))),
  );
  const rows = table.map((counts, l) => {
    const total = counts.reduce((sum, n) => sum + n, 0);
    const cells = counts.map((n) => {
      const share = total > 0 ? n / total : 0;
      return h("td", { style: `--share:${share.toFixed(2)}` }, total > 0 ? String(Math.round(100 * share)) : "");
    });
    return h("tr", {}, h("th", { scope: "row" }, names[l] ?? String(l)), ...cells);
  });
  const bits = information[layer];
  const sentence = bits
    ? `${strings.information} = ${bits.language.toFixed(2)} bits (${strings.shuffled}: ${bits.shuffled.toFixed(2)})`
    : "";
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": strings.byLanguage }, h("table", { class: "shares" }, h("thead", {}, head), h("tbody", {}, ...rows)), h("p", { class: "quiet" }, sentence)); // prettier-ignore
}

const BYTES_SHOWN = 6;

/** The bytes that each expert received most often. */
export function byteTable({ byByte }: Observation, layer: number, strings: ScriptStrings): HTMLElement {
  const table = byByte[layer];
  if (!table) return h("p", { class: "quiet" }, strings.dense);
  const rows = table.map((counts, e) => {
    const total = counts.reduce((sum, n) => sum + n, 0);
    const often = Array.from(counts.keys()).filter((byte) => counts[byte] > 0).sort((a, b) => counts[b] - counts[a]).slice(0, BYTES_SHOWN); // prettier-ignore
    const cells = often.map((byte) => h("td", { style: `--share:${(counts[byte] / total).toFixed(2)}` }, h("code", {}, byteName(byte)), ` ${Math.round((100 * counts[byte]) / total)}`)); // prettier-ignore
    return h("tr", {}, h("th", { scope: "row", class: expertClass(e) }, String(e)), ...cells);
  });
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": strings.byByte }, h("table", { class: "shares bytes" }, h("tbody", {}, ...rows))); // prettier-ignore
}

/** A printable ASCII character as itself, any other byte as its number. */
function byteName(byte: number): string {
  if (byte === 0x20) return "␣";
  return byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : byte.toString(16).toUpperCase().padStart(2, "0");
}

const FLOW_TOKENS = 22;

/** The first letters of the passage, the slots of the experts they were given, and what comes out. */
export function flowSvg({ bytes, layers }: Observation, layer: number, strings: ScriptStrings): string {
  const trace = layers[layer];
  if (!trace) return "";
  const letters = characters(bytes).slice(0, FLOW_TOKENS);
  const step = 20;
  const height = Math.max(letters.length, trace.experts) * step + 16;
  const expertY = (e: number): number => 14 + (e + 0.5) * ((height - 20) / trace.experts);
  const marks = letters.map(({ text, start }, i) => {
    const y = 14 + i * step;
    const served = servedBy(trace, start);
    const edges = served.map((e) => `<path class="edge ${expertClass(e)}" d="M40 ${y}C90 ${y} 90 ${expertY(e)} 130 ${expertY(e)}M210 ${expertY(e)}C250 ${expertY(e)} 250 ${y} 300 ${y}"/>`); // prettier-ignore
    const lost = served.length === 0;
    const past = lost ? `<path class="edge lost" d="M40 ${y}H300"/>` : "";
    return `${edges.join("")}${past}<text x="24" y="${y + 4}"${lost ? ' class="lost"' : ""}>${escaped(text)}</text><text x="314" y="${y + 4}">${escaped(text)}</text>`;
  });
  const boxes = Array.from({ length: trace.experts }, (_, e) => `<g class="${expertClass(e)}"><rect x="130" y="${expertY(e) - 8}" width="80" height="16" rx="4"/></g><text class="name" x="170" y="${expertY(e) + 4}">${e}</text>`); // prettier-ignore
  return `<svg class="flow" role="img" aria-label="${strings.flow}" viewBox="0 0 340 ${height}">${marks.join("")}${boxes.join("")}</svg>`;
}

function escaped(text: string): string {
  const shown = text.trim() === "" ? "␣" : text;
  return shown.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}

/** What a model wrote, each letter in the colour of its expert. */
export function writtenView(bytes: Uint8Array, expert: Int32Array): HTMLElement {
  return h(
    "p",
    { class: "passage" },
    ...characters(bytes).map(({ text, start }) => h("span", { class: expertClass(expert[start] ?? -1) }, text)),
  );
}
