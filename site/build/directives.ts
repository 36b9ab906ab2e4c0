/**
 * Lines of hand-written pages that the build replaces, so that a page names its evidence instead of copying it:
 *
 *     ::source src/moe/capacity.ts#capacityOf    the declaration, with a link to its file
 *     ::law P14                                  what docs/properties.md says of it, the cases that it met, and its proof
 *     ::lesson 04                                a link to the lesson, with what it says to expect (in Korean: its summary)
 *     ::picture capacity Text for those who cannot see it
 *     ::file site/content/programs/x.ts          a whole file
 *     ::question a                               the program of a question, and what it prints now
 */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { filled } from "../app/strings.ts";
import { declaration, partsOf } from "./declaration.ts";
import { proofsOf } from "./laws.ts";
import type { Met } from "./laws.ts";
import type { Words } from "./words.ts";

export interface Place {
  /** The folder of the project. */
  readonly root: string;
  readonly words: Words;
  /** "" or "/ko": put before links to pages that exist in this language. */
  readonly prefix: string;
  /** Titles of lessons and what they are about, by number, in a language other than theirs. */
  readonly summaries: Readonly<Record<string, Summary>>;
  /** The page of each export in the API reference, by its name. */
  readonly api: ReadonlyMap<string, string>;
  /** What the programs of the questions print, by letter. */
  readonly answers: Readonly<Record<string, string>>;
  /** The sentences of laws in a language other than theirs, by the English ones. */
  readonly sentences: Readonly<Record<string, string>>;
  /** Kinds of cases, by the names of `Coverage`. */
  readonly kinds: Readonly<Record<string, string>>;
  /** What laws met, by their English sentences. */
  readonly met: Readonly<Record<string, Met>>;
}

/** A lesson in a few words. */
export interface Summary {
  readonly title: string;
  readonly about: string;
}

type Directive = (place: Place, argument: string) => string;

const directives: Readonly<Record<string, Directive>> = {
  source({ root, words, api }, anchor) {
    const { text, line } = declaration(root, anchor);
    const { file, name, member } = partsOf(anchor);
    const page = api.get(name);
    // What is private has no place there.
    const place = member === undefined || member.startsWith("#") ? { hash: "", shown: name } : { hash: `#${member.toLowerCase()}`, shown: `${name}.${member}` }; // prettier-ignore
    const reference = page === undefined ? "" : ` · API: <a href="/api/${page}${place.hash}" target="_self">${place.shown}</a>`;
    const source = `${words.source}: <a href="${sourceLink(file, line)}" target="_self">${file}, ${words.line} ${line}</a>`;
    return ["```ts", text.trimEnd(), "```", `<p class="cite">${source}${reference}</p>`].join("\n");
  },
  law(place, number) {
    const { root, words, sentences, met } = place;
    const proofs = proofsOf(root, number);
    const said = proofs.map(({ statement }) => {
      const cases = met[statement];
      return `- ${sentences[statement] ?? statement}${cases ? ` <span class="cite">${casesLine(place, cases)}</span>` : ""}`;
    });
    const files = [...new Set(proofs.map(({ file }) => file))].map((file) => `<a href="${sourceLink(file)}" target="_self"><code>${file}</code></a>`); // prettier-ignore
    return `::: tip ${words.law} ${number}\n${said.join("\n")}\n\n<span class="cite">${words.provedBy} ${files.join(", ")}</span>\n:::`;
  },
  lesson({ root, words, prefix, summaries }, number) {
    const lesson = lessonOf(root, number);
    const own = summaries[lesson.number];
    const said = own?.about ?? lesson.expect;
    const link = `${words.lesson} ${Number(number)}: [${own?.title ?? lesson.title}](${prefix}/lessons/${lesson.name})`;
    return `**${link}** (\`npm run example ${number}\`)${said ? `. ${said}` : ""}`;
  },
  file({ root }, path) {
    return `\`\`\`ts\n${readFileSync(join(root, path), "utf8").trimEnd()}\n\`\`\``;
  },
  question({ root, words, answers }, letter) {
    const file = `examples/questions/${letter}.ts`;
    const answer = answers[letter];
    if (answer === undefined) throw new Error(`site: there is no question ${letter} in examples/questions`);
    const code = readFileSync(join(root, file), "utf8").replace(/^\/\*\*[\s\S]*?\*\/\n/, "");
    return `\`\`\`text\n${answer}\n\`\`\`\n\n::: details ${words.program}: \`npm run question ${letter}\`\n\`\`\`ts\n${code.trimEnd()}\n\`\`\`\n:::`;
  },
  picture({ root, prefix }, argument) {
    const [, name = "", hint = ""] = /^(\S+) (.+)$/.exec(argument) ?? [];
    if (hint === "") throw new Error(`site: ::picture ${argument}: want a name and a description`);
    readFileSync(join(root, "docs/pictures", `${name}.svg`));
    return `<Picture src="${prefix}/pictures/${name}.svg" alt="${hint.replaceAll('"', "&quot;")}" />`;
  },
};

/** "Kept by 16 routers (400 cases: dropped tokens 23 %, ...)." */
function casesLine({ words, kinds: named }: Place, { routers, cases, kinds }: Met): string {
  const told = (text: string): string => text.replace(/[a-z]+/gi, (word) => named[word] ?? word);
  // A claim looks for one case in each router, and counts nothing.
  if (cases.startsWith("0 ")) return filled(words.shown, { routers });
  return filled(words.held, { routers, cases: [cases, kinds.join(", ")].filter((part) => part !== "").map(told).join(": ") }); // prettier-ignore
}

/** The page with every directive replaced. An unknown one is an error. */
export function withDirectives(place: Place, page: string): string {
  return page.replace(/^::([a-z]+) (.+)$/gm, (_line, name: string, argument: string) => {
    const directive = Object.hasOwn(directives, name) ? directives[name] : undefined;
    if (!directive) throw new Error(`site: there is no directive ::${name}; there are ${Object.keys(directives).join(", ")}`);
    return directive(place, argument.trim());
  });
}

/** Where the page of a source file stands, at a line of it. */
export function sourceLink(file: string, line?: number): string {
  return `/source/${file}.html${line === undefined ? "" : `#L${line}`}`;
}

export interface Lesson {
  /** "04-switch" */
  readonly name: string;
  readonly number: string;
  readonly title: string;
  /** What the lesson says of itself after its title. */
  readonly about: string;
  /** What to expect when it runs; empty where it does not say. */
  readonly expect: string;
  readonly code: string;
}

/** The lessons, in order. */
export function lessonsOf(root: string): Lesson[] {
  return readdirSync(join(root, "examples"))
    .filter((file) => /^\d\d-.*\.ts$/.test(file))
    .sort()
    .map((file) => parsedLesson(file.slice(0, -3), readFileSync(join(root, "examples", file), "utf8")));
}

function lessonOf(root: string, number: string): Lesson {
  const found = lessonsOf(root).find((lesson) => lesson.number === number.padStart(2, "0"));
  if (!found) throw new Error(`site: there is no lesson ${number}`);
  return found;
}

/** With a capital letter, unless it begins with a formula. */
function sentence(text: string): string {
  return text.replace(/^[a-z](?![(^])/, (letter) => letter.toUpperCase());
}

/** A longer beginning is cut at its first comma. */
const LONGEST_TITLE = 70;

function parsedLesson(name: string, code: string): Lesson {
  const head = /^\/\*\*([\s\S]*?)\*\//.exec(code)?.[1] ?? "";
  const paragraphs = head
    .split("\n")
    .map((line) => line.replace(/^ *\* ?/, "").trim())
    .join("\n")
    .trim()
    .split(/\n{2,}/)
    .map((paragraph) => paragraph.replaceAll("\n", " "));
  const about = (paragraphs[0] ?? "").replace(/^Lesson \d+: /, "");
  const expected = paragraphs.find((paragraph) => paragraph.startsWith("Expect: ")) ?? "";
  const [begin = name] = about.split(/[:.] /);
  const long = begin.length > LONGEST_TITLE;
  return {
    name,
    number: name.slice(0, 2),
    title: sentence((long && begin.split(", ")[0]) || begin),
    about: sentence(long ? about : about.slice(begin.length + 2)),
    expect: sentence(expected.slice("Expect: ".length)),
    code,
  };
}
