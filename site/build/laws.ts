/** What the guide says of a law: its sentences in the language of the page, where they are proved, and the cases that it met. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { MuseumWords } from "./museumWords.ts";

/** One sentence of a property, and the file that proves it. */
export interface Proof {
  readonly statement: string;
  readonly file: string;
}

/** The sentences of a property, from its row of docs/properties.md. */
export function proofsOf(root: string, number: string): Proof[] {
  const row = new RegExp(`^\\| ${number} \\| (.*?) \\| (.*) \\|$`, "m").exec(readFileSync(join(root, "docs/properties.md"), "utf8"));
  if (!row) throw new Error(`site: docs/properties.md has no ${number}`);
  const [statements = [], files = []] = row.slice(1).map((cell) => cell.split("<br>"));
  return statements.map((statement, i) => ({ statement, file: (files[i] ?? "").replaceAll("`", "") }));
}

/** The numbers of the properties that the guide names. */
export function numbersInGuide(root: string): string[] {
  const folder = join(root, "site/content/en/guide");
  const pages = readdirSync(folder).map((file) => readFileSync(join(folder, file), "utf8"));
  return [...new Set([...pages.join("\n").matchAll(/^::law (P\d+)$/gm)].map(([, number = ""]) => number))];
}

/** The sentences in another language, by the English ones: those of laws without their numbers, and titles of tests. */
export function sentencesOf({ laws, tests }: Pick<MuseumWords, "laws" | "tests">): Readonly<Record<string, string>> {
  const bare = (text: string): string => text.replace(/^P[\dP ]+: /, "");
  return { ...Object.fromEntries(Object.entries(laws).map(([english, own]) => [bare(english), bare(own)])), ...tests };
}

/** The cases in which routers were held to a law. */
export interface Met {
  readonly routers: number;
  /** "400 cases" */
  readonly cases: string;
  /** "drops 23 %" */
  readonly kinds: readonly string[];
}

/** What the laws met, by their statements without numbers; a property that only a test proves is not among them. */
export function casesMet(root: string): Readonly<Record<string, Met>> {
  const met = JSON.parse(readFileSync(join(root, "test/moe/lawCases.json"), "utf8")) as Record<string, Met>;
  return Object.fromEntries(Object.entries(met).map(([statement, cases]) => [statement.replace(/^P[\dP ]+: /, ""), cases]));
}
