/** The museum's page as HTML: every room can be read before any script runs. */
import { linkedStyles, pageHead } from "./pageHead.ts";
import { linked } from "./threads.ts";
import { toHash } from "./settings.ts";
import { layoutEnglish, layoutKorean } from "./layoutStrings.ts";
import type { MuseumStrings } from "./museumStrings.ts";
import { trainedBugs } from "./trainedBugs.ts";

export interface Room {
  readonly chapter: string;
  /** The bug's name in the gallery, in English: of it the room's address is made. */
  readonly bug: string;
  readonly title: string;
  readonly seen: string;
  readonly wrong: string;
  readonly unseen: string;
  readonly law: string;
  /** Whether these are English on a page of another language. */
  readonly foreign: boolean;
  /** Code of the two variants, as HTML. */
  readonly right: string;
  readonly broken: string;
  readonly picture: Picture;
}

/** What the variants give back in the smallest case, as HTML. */
interface Picture {
  readonly smallest: string;
  readonly right: string;
  readonly broken: string;
}

/** A bug of training on many processes. */
export interface LayoutRoom extends Omit<Room, "chapter" | "picture"> {
  /** The class in the gallery. */
  readonly variant: string;
  /** The smallest case: ranks with their experts and tokens, as HTML. */
  readonly smallest: string;
  /** What the law says of it. */
  readonly fault: string;
}

interface Halls {
  readonly rooms: readonly Room[];
  readonly layouts: readonly LayoutRoom[];
  readonly ownRouter: string;
  /** What the page's script says in its language: laws by their statement, and words of their cases. */
  readonly words: { readonly laws: Readonly<Record<string, string>>; readonly coverage: Readonly<Record<string, string>> } | null;
}

export function museumPage(strings: MuseumStrings, base: string, { rooms, layouts, ownRouter, words }: Halls): string {
  const korean = strings.language === "ko";
  const other = korean ? `${base}museum/index.html` : `${base}ko/museum/index.html`;
  const home = korean ? `${base}ko/` : base;
  const chapters = [...new Set(rooms.map(({ chapter }) => chapter))];
  const links = (some: readonly (Room | LayoutRoom)[]): string => some.map((room) => `<li${tongue(room)}><a href="#${slug(room.bug)}">${escaped(room.title)}</a></li>`).join(""); // prettier-ignore
  const list = chapters.map((chapter) => `<li>${escaped(chapter)}<ul>${links(rooms.filter((room) => room.chapter === chapter))}</ul></li>`);
  const own = words ? `<script type="application/json" id="words">${JSON.stringify({ ...words.laws, ...words.coverage }).replaceAll("<", "\\u003c")}</script>\n` : ""; // prettier-ignore
  return `${pageHead({ ...strings, lead: escaped(strings.lead) }, base, { scripts: `${own}<script type="module" src="${base}app/museum.js"></script>`, styles: linkedStyles(base, "colours.css", "code.css", "app/playground.css", "app/museum.css") })}
<body>
<header class="top"><a class="home" href="${home}"><img src="${base}logo.svg" alt="" width="24" height="24"> Switchyard</a><nav><a href="${home}guide/1-what-moe-is.html">${strings.guide}</a> <a href="${home}playground/index.html">${strings.playground}</a> <a href="${other}" lang="${korean ? "en" : "ko"}">${strings.otherLanguage}</a> <button type="button" id="theme">${strings.theme}</button></nav></header>
<main class="museum">
<h1>${strings.title}</h1>
<p>${strings.lead}</p>
<details class="card"><summary>${strings.rooms} (${rooms.length + layouts.length + 1})</summary><ul>${list.join("")}<li><a href="#layouts">${strings.layouts}</a><ul>${links(layouts)}</ul></li><li><a href="#own">${strings.empty}</a></li></ul></details>
${rooms.map((room) => roomHtml(room, strings, home)).join("\n")}
<section class="card" id="layouts"><h2>${strings.layouts}</h2><p>${strings.layoutsLead}</p></section>
${layouts.map((room) => layoutHtml(room, strings)).join("\n")}
<section class="card" id="own"><h2>${strings.empty}</h2><p>${strings.emptyLead}</p>
<label for="own-router" class="quiet">TypeScript</label><textarea id="own-router" rows="24" spellcheck="false">${escaped(ownRouter)}</textarea>
<div class="controls"><button type="button" id="judge">${strings.judge}</button></div><p id="own-state" role="status"></p><ul id="own-verdicts"></ul></section>
</main>
</body>
</html>
`;
}

/** What the bug does: the answers of both variants side by side. */
function pictureHtml({ smallest, right, broken }: Picture, strings: MuseumStrings): string {
  const hint = `${right}${broken}`.includes("<svg") ? strings.seatsHint : strings.numbersHint;
  return `<p>${strings.smallest} <code>${escaped(smallest)}</code></p><div class="variants picture"><figure><figcaption>${strings.rightCode}</figcaption>${right}</figure><figure><figcaption>${strings.brokenCode}</figcaption>${broken}</figure></div><p class="quiet">${hint}</p>`;
}

function codeHtml({ right, broken }: { readonly right: string; readonly broken: string }, strings: MuseumStrings): string {
  return `<details><summary>${strings.code}</summary><div class="variants"><figure><figcaption>${strings.rightCode}</figcaption>${right}</figure><figure><figcaption>${strings.brokenCode}</figcaption>${broken}</figure></div></details>`;
}

function layoutHtml(room: LayoutRoom, strings: MuseumStrings): string {
  const own = strings.language === "ko" ? layoutKorean : layoutEnglish;
  return `<section class="card layout" id="${slug(room.bug)}" data-variant="${room.variant}"><h2${tongue(room)}>${escaped(room.title)}</h2>
${factsHtml(room, strings)}
<p>${strings.smallest}</p>${room.smallest}
<p>${strings.layoutFault} <code class="bad" lang="en">${escaped(room.fault)}</code><br>${strings.layoutKept}</p>
${codeHtml(room, strings)}
<div class="controls"><button type="button" data-ask="broken">${strings.letBroken}</button> <button type="button" data-ask="right">${strings.letRight}</button> <button type="button" data-ask="train">${own.train}</button> <button type="button" data-stop hidden>${own.stop}</button></div>
<p class="said" role="status"></p><div class="shown"></div></section>`;
}

const tongue = ({ foreign }: Pick<Room, "foreign">): string => (foreign ? ' lang="en"' : "");

/** What the room says; where that is not in the page's language yet, it says so. */
function factsHtml(room: Omit<LayoutRoom, "smallest" | "fault" | "variant">, strings: MuseumStrings): string {
  const rows = (["seen", "wrong", "unseen", "law"] as const).map((name) => `<dt>${strings[name]}</dt><dd${tongue(room)}>${linked(escaped(room[name]))}</dd>`); // prettier-ignore
  return `${room.foreign ? `<p class="quiet untold">${strings.note}</p>` : ""}<dl class="facts">${rows.join("")}</dl>`;
}

/** Where settings of the playground switch the bug on. */
function playgroundHtml(title: string, home: string, strings: MuseumStrings): string {
  const settings = trainedBugs[title];
  return settings ? ` <a class="button" href="${home}playground/index.html#${escaped(toHash(settings))}">${strings.train}</a>` : "";
}

function roomHtml(room: Room, strings: MuseumStrings, home: string): string {
  return `<section class="card room" id="${slug(room.bug)}" data-bug="${escaped(room.bug)}"><h2${tongue(room)}>${escaped(room.title)}</h2>
${factsHtml(room, strings)}
${pictureHtml(room.picture, strings)}
${codeHtml(room, strings)}
<div class="controls"><button type="button" data-which="broken">${strings.letBroken}</button> <button type="button" data-which="right">${strings.letRight}</button> <button type="button" data-train>${strings.trainHere}</button>${playgroundHtml(room.bug, home, strings)}</div>
<div class="verdict" role="status"></div><div class="twins" hidden></div></section>`;
}

function slug(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-|-$/g, "");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
