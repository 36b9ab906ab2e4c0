/** What the programs of the learners' questions print, by letter. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { format } from "node:util";
import { printedBy } from "./programs.ts";

const program = fileURLToPath(import.meta.url);

/** Runs them all in one process of their own, which loads the library once. */
export function answersOf(root: string): Promise<Readonly<Record<string, string>>> {
  return printedBy<string>(root, program);
}

/** Run as a program in the project's folder: prints all answers as JSON. */
async function main(): Promise<void> {
  const answers: Record<string, string> = {};
  const print = console.log.bind(console);
  for (const file of readdirSync("examples/questions").sort()) {
    const lines: string[] = [];
    console.log = (...values: unknown[]) => void lines.push(format(...values));
    await import(pathToFileURL(join("examples/questions", file)).href);
    answers[file.slice(0, -3)] = lines.join("\n").trimEnd();
  }
  print(JSON.stringify(answers));
}

if (process.argv[1] === program) await main();
