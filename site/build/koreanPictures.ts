/** The pictures of the guide and the concepts with Korean words; what `scripts/pictures.ts` writes into them stands in `content/ko/pictures.json`. */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { words as sentence } from "../../examples/train/words.ts";

/** What stands in pictures. "{}" is a number or a word of the sentence that is sent to experts: {0}, {1} in Korean. */
export interface PictureWords {
  /** The same in both languages. */
  readonly asTheyAre: readonly string[];
  readonly words: Readonly<Record<string, string>>;
  /** What pictures of the concepts show, for those who cannot see them. */
  readonly descriptions: Readonly<Record<string, string>>;
}

const escapes: Readonly<Record<string, string>> = { "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#39;": "'", "&amp;": "&" };
const plain = (text: string): string => text.replace(/&(?:lt|gt|quot|#39|amp);/g, (name) => escapes[name] ?? name);
const markup = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/** Numbers, and the words that are routed: these stay as they are. */
const others = new Set([...sentence, "train", "and"]);
const isData = (text: string): boolean => !/\p{L}/u.test(text) || others.has(text) || (text.endsWith("…") && [...others].some((word) => word.startsWith(text.slice(0, -1)))); // prettier-ignore

/** The picture with its title, description and labels in Korean. Throws for a text that has none. */
export function koreanPicture(svg: string, { asTheyAre, words }: PictureWords): string {
  const templates = [...asTheyAre.map((text): [string, string] => [text, text]), ...Object.entries(words)];
  return svg.replace(/(<(?:title|desc|text)\b[^>]*>)([^<]+)(?=<)/g, (_, tag: string, text: string) => tag + markup(said(plain(text), templates))); // prettier-ignore
}

function said(text: string, templates: readonly (readonly [string, string])[]): string {
  if (isData(text)) return text;
  const same = templates.find(([english]) => english === text);
  if (same) return same[1];
  for (const [english, korean] of templates) {
    const given = partsOf(english, text);
    if (given) return korean.replace(/\{(\d)?\}/g, (_, index: string | undefined) => given.values[Number(index ?? given.next++)] ?? "");
  }
  const [, label, value] = /^(.+)(: -?[\d.]+)$/.exec(text) ?? []; // of a bar, a cell or a line
  if (label !== undefined && value !== undefined) return said(label, templates) + value;
  throw new Error(`site: a picture says "${text}", for which content/ko/pictures.json has no words`);
}

/** What stands where the template has "{}"; null: the text is another one. */
function partsOf(template: string, text: string): { readonly values: readonly string[]; next: number } | null {
  const form = template.split("{}").map((part) => part.replace(/[$()*+./?[\\\]^{|}]/g, "\\$&")).join("([^\\s,:()]+)"); // prettier-ignore
  const found = new RegExp(`^${form}$`).exec(text);
  return found && { values: found.slice(1), next: 0 };
}

export function pictureWords(site: string): PictureWords {
  return JSON.parse(readFileSync(join(site, "content/ko/pictures.json"), "utf8")) as PictureWords;
}

/** A document with Korean pictures. Throws for one whose description has no words. */
export function withKoreanPictures(page: string, { descriptions }: PictureWords): string {
  return page.replace(/!\[([^\]]+)\]\(\/pictures\//g, (_, english: string) => {
    const korean = descriptions[english];
    if (korean === undefined)
      throw new Error(`site: a picture is described as "${english}", for which content/ko/pictures.json has no words`);
    return `![${korean}](/ko/pictures/`;
  });
}

/** Writes the pictures that the Korean pages in `pages` show, for the host. */
export function writeKoreanPictures(root: string, site: string, pages: string): void {
  const words = pictureWords(site);
  const folder = join(pages, "public/ko/pictures");
  mkdirSync(folder, { recursive: true });
  const files = readdirSync(join(pages, "ko"), { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".md"));
  const shown = files.flatMap((name) => [...readFileSync(join(pages, "ko", name), "utf8").matchAll(/\/ko\/pictures\/([\w-]+\.svg)/g)]);
  for (const name of new Set(shown.map(([, picture = ""]) => picture)))
    writeFileSync(join(folder, name), koreanPicture(readFileSync(join(root, "docs/pictures", name), "utf8"), words));
}
