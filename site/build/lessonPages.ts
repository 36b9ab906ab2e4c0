/** The pages of lessons: what to expect, what the lesson printed and drew when it was last run in full, and its source. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { outputsFile } from "../../scripts/lessonOutputs.ts";
import type { LessonOutput } from "../../scripts/lessonOutputs.ts";
import { filled } from "../app/strings.ts";
import type { Lesson, Summary } from "./directives.ts";
import type { Words } from "./words.ts";

type Summaries = Readonly<Record<string, Summary>>;

/** Titles and summaries of lessons by number, in Korean; a lesson that has none is shown in English. */
export function summariesOf(site: string, language: string): Summaries {
  return language === "ko" ? (JSON.parse(readFileSync(join(site, "content/ko/lessons.json"), "utf8")) as Summaries) : {};
}

/** The list of lessons and a page for each, by path. A test holds that every lesson has an output. */
export function lessonPagesOf(root: string, lessons: readonly Lesson[], words: Words, summaries: Summaries): [string, string][] {
  const outputs = JSON.parse(readFileSync(join(root, outputsFile), "utf8")) as Record<string, LessonOutput>;
  const told = (lesson: Lesson): Summary => summaries[lesson.number] ?? { title: lesson.title, about: lesson.about };
  const rows = lessons.map((lesson) => `${Number(lesson.number)}. [${told(lesson).title}](./${lesson.name})  \n${told(lesson).about}`);
  return [
    ["lessons/index.md", `# ${words.lessons}\n\n${rows.join("\n")}\n`],
    ...lessons.map((lesson): [string, string] => [
      `lessons/${lesson.name}.md`,
      lessonPage(root, lesson, { words, ...told(lesson), output: outputs[lesson.name] }),
    ]),
  ];
}

interface Shown extends Summary {
  readonly words: Words;
  readonly output: LessonOutput | undefined;
}

function lessonPage(root: string, lesson: Lesson, { words, title, about, output }: Shown): string {
  return [
    `# ${words.lesson} ${Number(lesson.number)}: ${title}`,
    about,
    words.englishParts === "" ? "" : `<p class="cite">${words.englishParts}</p>`,
    lesson.expect === "" ? "" : `::: tip ${words.expect}\n${inEnglish(words, lesson.expect)}\n:::`,
    `\`\`\`sh\nnpm run example ${lesson.number}\n\`\`\``,
    ...(output ? outputParts(root, words, output) : []),
    `## ${words.program}`,
    `\`\`\`ts\n${lesson.code.trimEnd()}\n\`\`\``,
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

/** Text of the lesson itself; marked where the page is in another language. */
function inEnglish({ englishParts }: Words, text: string): string {
  return englishParts === "" ? text : `<div lang="en">\n\n${text}\n\n</div>`;
}

function outputParts(root: string, words: Words, { printed, pictures, ...run }: LessonOutput): string[] {
  return [
    `## ${words.printed}`,
    `\`\`\`text\n${printed}\n\`\`\``,
    `<p class="cite">${filled(words.recorded, run)}</p>`,
    ...pictures.map((name) => `<Picture src="/lessons/${name}" alt="${captionOf(root, name)}" />`),
  ];
}

/** What the drawing says of itself. */
function captionOf(root: string, name: string): string {
  const svg = readFileSync(join(root, "docs/lessons", name), "utf8");
  const said = [/<title[^>]*>([^<]*)<\/title>/, /<desc[^>]*>([^<]*)<\/desc>/].flatMap((part) => part.exec(svg)?.[1] ?? []);
  if (said.length === 0) throw new Error(`site: docs/lessons/${name} has no title`);
  return said.join(". ").replaceAll('"', "&quot;");
}
