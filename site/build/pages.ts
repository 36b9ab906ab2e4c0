/**
 * Assembles the pages of the site in `site/.pages`: hand-written ones from `content`, the project's documents from `docs`, lessons from
 * `examples`. Korean pages that do not exist show the English text, marked.
 */
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { dark, light, variables } from "../../examples/train/svg/palette.ts";
import { lessonsOf, sourceLink, withDirectives } from "./directives.ts";
import type { Place } from "./directives.ts";
import { pictureWords, withKoreanPictures, writeKoreanPictures } from "./koreanPictures.ts";
import { lessonPagesOf, summariesOf } from "./lessonPages.ts";
import { koreanMuseum } from "./museumWords.ts";
import { sentencesOf } from "./laws.ts";
import type { Words } from "./words.ts";
import { english, englishKinds, korean } from "./words.ts";

interface Language {
  readonly code: "en" | "ko";
  readonly prefix: string;
  readonly words: Words;
}

const languages: readonly Language[] = [
  { code: "en", prefix: "", words: english },
  { code: "ko", prefix: "/ko", words: korean },
];

/** Documents of the project, by the path of their page. */
const documents: Readonly<Record<string, string>> = {
  "docs/concepts": "docs/concepts.md",
  "docs/properties": "docs/properties.md",
  "docs/bugs-in-the-wild": "docs/bugs-in-the-wild.md",
  "docs/pytorch": "docs/pytorch.md",
  "docs/wasm": "docs/wasm.md",
  "docs/gpu": "docs/gpu.md",
  "docs/pretrained": "docs/pretrained.md",
  "docs/distributed": "docs/distributed.md",
  "docs/paper": "docs/paper.md",
  "docs/architecture": "ARCHITECTURE.md",
  "docs/contributing": "CONTRIBUTING.md",
  "docs/bench": "bench/README.md",
  "docs/readme": "README.md",
};

/** Writes all pages anew, with what the directives show of the project as it is now. */
export function writePages(root: string, site: string, shown: Pick<Place, "api" | "answers" | "met">): void {
  const out = join(site, ".pages");
  rmSync(out, { recursive: true, force: true });
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(out, path)), { recursive: true });
    writeFileSync(join(out, path), text);
  };
  const lessons = lessonsOf(root);
  for (const language of languages) {
    const summaries = summariesOf(site, language.code);
    const place = { root, prefix: language.prefix, summaries, words: language.words, ...lawWordsOf(site, language), ...shown };
    for (const [path, text] of ownPages(site, language)) write(inLanguage(language, path), withDirectives(place, text));
    for (const [path, file] of Object.entries(documents))
      if (existsSync(join(root, file))) write(inLanguage(language, `${path}.md`), inTongue(root, site, file, language));
    for (const [path, text] of lessonPagesOf(root, lessons, language.words, summaries)) write(inLanguage(language, path), text);
  }
  cpSync(join(site, "public"), join(out, "public"), { recursive: true });
  const palette = `:root{${variables(light)}}:root.dark,.dark .switchyard{${variables(dark)}}`;
  write("public/colours.css", `${palette}\n${readFileSync(join(site, "public/colours.css"), "utf8")}`);
  for (const folder of ["pictures", "lessons"]) cpSync(join(root, "docs", folder), join(out, "public", folder), { recursive: true });
  writeKoreanPictures(root, site, out);
}

/** How a language says what laws state and what they met: Korean as the museum does. */
function lawWordsOf(site: string, { code }: Language): Pick<Place, "sentences" | "kinds"> {
  if (code === "en") return { sentences: {}, kinds: englishKinds };
  const museum = koreanMuseum(site);
  return { sentences: sentencesOf(museum), kinds: museum.coverage };
}

function inLanguage({ prefix }: Language, path: string): string {
  return join(prefix.slice(1), path);
}

/** The hand-written pages of a language; what it does not have is shown in English, marked. */
function ownPages(site: string, language: Language): [string, string][] {
  return readdirSync(join(site, "content/en"), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".md"))
    .map((path): [string, string] => {
      const own = join(site, "content", language.code, path);
      return existsSync(own)
        ? [path, readFileSync(own, "utf8")]
        : [path, marked(language, readFileSync(join(site, "content/en", path), "utf8"))];
    });
}

/** With a note above the text where it is not in the page's language; the search of that language leaves the page out. */
function marked({ words }: Language, text: string): string {
  if (words.englishOnly === "") return text;
  const note = `::: info ${words.note}\n${words.englishOnly}\n:::\n\n`;
  const head = /^---\n[\s\S]*?\n---\n/.exec(text)?.[0] ?? "";
  const settings = head === "" ? "" : head.slice(4, -4);
  return `---\n${settings}search: false\n---\n${note}<div lang="en">\n\n${text.slice(head.length)}\n\n</div>\n`;
}

/** A document in the language of the page: its prose where that was written, else the English text, marked. */
function inTongue(root: string, site: string, file: string, language: Language): string {
  const page = documentPage(root, file, language);
  const prose = join(site, "content", `${language.code}-prose`, posix.basename(file));
  if (!existsSync(prose)) return marked(language, page);
  return withKoreanPictures(withProse(page, readFileSync(prose, "utf8"), language.words.facts), pictureWords(site));
}

/**
 * The page with the prose of each numbered section replaced; equations, code, properties, lessons and pictures stay those of the page, under
 * `names` of its language. A section that has no prose, or prose without a section, is an error: the two would have grown apart.
 */
function withProse(page: string, prose: string, names: Words["facts"]): string {
  const [, ...sections] = page.split(/^(?=## )/m);
  const [intro = "", ...texts] = prose.split(/^(?=## )/m);
  if (sections.length !== texts.length) throw new Error(`site: ${sections.length} sections, but prose for ${texts.length}`);
  return (
    intro +
    sections
      .map((section, i) => proseOf(section, texts[i] ?? "").replace(/^- (\w+):/gm, (_, name: string) => `- ${names[name] ?? name}:`))
      .join("")
  );
}

function proseOf(section: string, text: string): string {
  const [heading = ""] = section.split("\n");
  const number = /^## (\d+)/.exec(heading)?.[1];
  const [, ...words] = text.trim().split("\n");
  if (!text.startsWith(`## ${number}\n`)) throw new Error(`site: no prose for "${heading}"`);
  const equation = /```text[\s\S]*?```/.exec(section)?.[0] ?? "";
  const facts = section.slice(section.indexOf("\n- code:"));
  const [first = "", ...corrections] = words.join("\n").split("\n**");
  return [heading, first.trim(), equation, ...corrections.map((one) => `**${one.trim()}`), facts].join("\n\n");
}

function documentPage(root: string, file: string, { prefix }: Language): string {
  const text = readFileSync(join(root, file), "utf8");
  const linked = text.replace(/(!?)\[([^\]]*)\]\(([^)\s]+)\)/g, (whole, bang: string, label: string, target: string) =>
    /^(https?:|#|mailto:)/.test(target) ? whole : `${bang}[${label}](${resolved(root, file, target, prefix)})`,
  );
  return withSourceLinks(root, linked);
}

/** Where a link of a document leads on the site. */
function resolved(root: string, from: string, target: string, prefix: string): string {
  const [path = "", anchor] = target.split("#");
  const file = posix.join(posix.dirname(from), path);
  const hash = anchor === undefined ? "" : `#${anchor}`;
  const document = Object.entries(documents).find(([, name]) => name === file)?.[0];
  if (document) return `${prefix}/${document}${hash}`;
  if (file.startsWith("docs/pictures/")) return `/pictures/${posix.basename(file)}`;
  const lesson = /^examples\/(\d\d-[\w-]+)\.ts$/.exec(file)?.[1];
  if (lesson) return `${prefix}/lessons/${lesson}`;
  if (file === "README.ko.md") return "/ko/";
  if (!existsSync(join(root, file))) throw new Error(`site: ${from} links to ${target}, which does not exist`);
  if (/^examples\/?$/.test(file)) return `${prefix}/lessons/`;
  return statSync(join(root, file)).isDirectory() ? `/source/${file.replace(/\/$/, "")}/index.html` : sourceLink(file);
}

/** `src/moe/losses.ts#zLoss` in a document becomes a link to the line. */
function withSourceLinks(root: string, text: string): string {
  return text.replace(/`((?:src|test|examples)\/[\w/.-]+\.ts)(?:#(\w+))?`/g, (whole, file: string, name: string | undefined) => {
    if (!existsSync(join(root, file))) return whole;
    const label = whole.slice(1, -1);
    return `<a href="${sourceLink(file, name === undefined ? undefined : lineOf(root, file, name))}" target="_self"><code>${label}</code></a>`;
  });
}

function lineOf(root: string, file: string, name: string): number | undefined {
  const lines = readFileSync(join(root, file), "utf8").split("\n");
  const at = lines.findIndex((line) =>
    new RegExp(`^export (abstract )?(async )?(class|function|const|interface|type) ${name}\\b`).test(line),
  );
  return at < 0 ? undefined : at + 1;
}
