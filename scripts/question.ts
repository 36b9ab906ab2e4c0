/** Runs the program that answers a learner's question: `npm run question a`. The questions stand in examples/questions. */
import { readdirSync } from "node:fs";

const letters = readdirSync("examples/questions").map((name) => name.replace(/\.ts$/, ""));
const letter = process.argv[2] ?? "";
if (letters.includes(letter)) await import(`../examples/questions/${letter}.ts`);
else {
  console.error(`question: "${letter}" is none of ${letters.join(", ")}`);
  process.exitCode = 1;
}
