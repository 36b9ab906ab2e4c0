/**
 * A text as a piano roll: under each character its bytes, each on the lane of the expert that took it; a dropped byte leaves a gap.
 *
 * The lanes are backgrounds of inline boxes, so that joined scripts stay joined and lines break where the language breaks them.
 */
import { element, escape } from "./svg/markup.ts";
import { light } from "./svg/palette.ts";
import { charactersOfIds } from "./shownText.ts";
import type { Character } from "./utf8.ts";
import { BYTES } from "./vocabulary.ts";

// N tokens of the passage, most of them bytes, E experts.
export interface Passage {
  /** "Korean, article 5". */
  readonly title: string;
  /** BCP 47, or "" where the language is unknown. */
  readonly lang: string;
  readonly dir: "ltr" | "rtl";
  /** "layer 1": whose routing is shown. */
  readonly layer: string;
  readonly experts: number;
  /** Bytes, and ids of what is no byte: a gap, the start. */
  readonly ids: ArrayLike<number>; // [N]
  readonly expert: ArrayLike<number>; // [N]
  /** 0 or false where the token found no slot. */
  readonly kept: ArrayLike<number | boolean>; // [N]
}

/** Pixels of a lane. */
const laneHeight = (experts: number) => (experts > 16 ? 2 : 3);

/** The passage as a <figure> of HTML; `passageStyle` belongs in its page. */
export function passageFigure(passage: Passage): string {
  const { title, lang, dir, layer, experts, ids, expert, kept } = passage;
  for (const [name, length] of [
    ["expert", expert.length],
    ["kept", kept.length],
  ] as const) {
    // prettier-ignore
    if (length !== ids.length) throw new RangeError(`passageFigure: ${length} values of ${name} for ${ids.length} tokens`);
  }
  const dropped = Array.from(kept).filter((x) => !x).length;
  const caption = `${title}, ${layer}: ${dropped === 0 ? `no ${unitOf(ids)}` : dropped} of ${ids.length} dropped`;
  const spans = charactersOfIds(ids).map((character) => characterSpan(character, passage));
  const look = `--lanes:${experts};--lane:${laneHeight(experts)}px`;
  return element(
    "figure",
    { class: "passage" },
    element("figcaption", {}, escape(caption)),
    element("p", { class: "roll", lang: lang === "" ? undefined : lang, dir, style: look }, ...spans),
    sharesDetails(passage),
  );
}

const unitOf = (ids: ArrayLike<number>) => (Array.from(ids).some((id) => id >= BYTES) ? "token" : "byte");
const named = (id: number) => (id < BYTES ? id.toString(16).padStart(2, "0") : `id ${id}`);

function characterSpan({ text, start, end }: Character, passage: Passage): string {
  const { dir, experts, ids } = passage;
  const at = Array.from({ length: end - start }, (_, i) => start + i);
  const hint =
    `${visible(text)} = ${at.map((i) => named(ids[i])).join(" ")}; expert ` +
    `${at.map((i) => `${passage.expert[i]}${passage.kept[i] ? "" : " (dropped)"}`).join(", ")}`;
  const style = laneStyle(runs(at, passage), at.length, experts, dir);
  const span = element("span", { title: hint, style, class: ids[start] < BYTES ? undefined : "named" }, escape(visible(text)));
  return text.includes("\n") ? `${span}<br/>` : span;
}

const visible = (text: string) => (/^[\r\n]+$/.test(text) ? "↵" : text);

interface Run {
  readonly expert: number;
  readonly from: number;
  readonly length: number;
}

/** Neighbouring bytes of a character that went to the same expert. */
function runs(at: readonly number[], { expert, kept }: Passage): Run[] {
  const found: Run[] = [];
  at.forEach((i, place) => {
    if (!kept[i]) return;
    const last = found.at(-1);
    if (last?.expert === expert[i] && last.from + last.length === place) found[found.length - 1] = { ...last, length: last.length + 1 };
    else found.push({ expert: expert[i], from: place, length: 1 });
  });
  return found;
}

const COMFORTABLE_BYTES = 4;

function laneStyle(found: readonly Run[], bytes: number, experts: number, dir: "ltr" | "rtl"): string {
  const images = found.map(({ expert }) => `var(--e${expert % light.series.length})`);
  const sizes = found.map(({ length }) => `${percent(length, bytes)} var(--lane)`);
  const places = found.map(({ expert, from, length }) => {
    const along = percent(from, bytes - length);
    const above = experts - 1 - expert;
    return `${dir === "rtl" ? `calc(100% - ${along})` : along} calc(100% - ${above}*var(--lane))`;
  });
  // Syllables of many bytes get room to show each; padding would tear the letters of joined scripts apart.
  const room = dir === "ltr" && bytes > COMFORTABLE_BYTES ? [`padding-inline:${Math.min(6, bytes - COMFORTABLE_BYTES)}px`] : [];
  const ground = ["var(--ground)", "100% calc(var(--lanes)*var(--lane))", "0 100%"];
  return [
    `background-image:${[...images, ground[0]].join()}`,
    `background-size:${[...sizes, ground[1]].join()}`,
    `background-position:${[...places, ground[2]].join()}`,
    ...room,
  ].join(";");
}

const percent = (part: number, whole: number) => (whole === 0 ? "0%" : `${Math.round((1000 * part) / whole) / 10}%`);

/** The same for those who do not see it: how much of the passage each expert took. */
function sharesDetails({ experts, expert, kept, ids }: Passage): string {
  const counts = Array.from({ length: experts }, () => ({ taken: 0, dropped: 0 }));
  for (let i = 0; i < ids.length; i++) counts[expert[i]][kept[i] ? "taken" : "dropped"]++;
  const rows = counts.map(({ taken, dropped }, e) =>
    element("tr", {}, ...[`expert ${e}`, taken, dropped].map((x) => element("td", {}, String(x)))),
  );
  const heads = ["", `${unitOf(ids)}s taken`, `${unitOf(ids)}s dropped`].map((x) => element("th", { scope: "col" }, x));
  const table = element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows));
  return element("details", {}, element("summary", {}, "in numbers"), table);
}

/** Signs of the lanes, from the first expert's at the top to the last one's. */
export function laneLegend(experts: number): string {
  const lanes = Array.from({ length: experts }, (_, e) => {
    const place = experts === 1 ? 0 : (100 * e) / (experts - 1);
    const sign = element(
      "i",
      {
        style:
          `background-image:var(--e${e % light.series.length});background-position:0 ` +
          `${Math.round(place)}%;height:${experts * laneHeight(experts)}px`,
      },
      "",
    );
    return element("li", {}, sign, `expert ${e}`);
  });
  return element("ul", { class: "lanes", style: `--lane:${laneHeight(experts)}px`, "aria-label": "lanes of the experts" }, ...lanes);
}

export const passageStyle = [
  `:root{${light.series.map((_, i) => `--e${i}:linear-gradient(var(--c${i}) 0 0)`).join(";")};--ground:linear-gradient(var(--well) 0 0)}`,
  ".roll{font-size:1.2rem;line-height:calc(1.55em + var(--lanes)*var(--lane) + 6px);white-space:pre-wrap;overflow-wrap:anywhere;" +
    "margin:calc(.3rem - var(--lanes)*var(--lane)/2) 0 .4rem;padding-bottom:calc(var(--lanes)*var(--lane)/2)}",
  ".roll span{background-repeat:no-repeat;padding-bottom:calc(var(--lanes)*var(--lane) + 2px)}",
  ".roll .named{color:var(--muted);font-size:.85em}",
  ".lanes{display:flex;flex-wrap:wrap;gap:.2rem 1rem;list-style:none;padding:0;margin:.5rem 0;font-size:.85rem}",
  ".lanes li{display:flex;align-items:center;gap:.4rem}",
  ".lanes i{width:22px;background-color:var(--well);background-repeat:no-repeat;background-size:100% var(--lane)}",
].join("");
