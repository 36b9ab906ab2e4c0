/** The TypeScript program that does the same run with the library, for those who want to go on from the page. */
import { modelConfig, trainingConfig } from "./configs.ts";
import type { Side } from "./protocol.ts";
import type { Settings } from "./settings.ts";

/** Nothing is held out, as in the page. */
const ownCorpus = `// Your own text, saved where the program is started.
const text = new Uint8Array(readFileSync("mine.txt"));
const corpus: Corpus = {
  source: "mine.txt",
  unit: "language",
  split: "Nothing is held out.",
  classes: [{ name: "mine", code: "", lang: "", dir: "ltr", document: text, heldOut: [], training: text }],
};`;

/** A program for a checkout of the project: save it as `examples/mine.ts`. */
export function programOf(settings: Settings): string {
  const json = (value: object): string =>
    JSON.stringify(value, (_, x: unknown) => (x === Infinity ? "Infinity" : x), 2).replaceAll('"Infinity"', "Infinity");
  const model = (side: Side): string => json(modelConfig(settings, side));
  const own = settings.shared.text === "own";
  const corpus = own ? ownCorpus : `const corpus = loadDeclaration(${JSON.stringify(settings.shared.text)});`;
  return `// Save as examples/mine.ts and run: node --import=tsx --conditions=source examples/mine.ts
${own ? 'import { readFileSync } from "node:fs";\n' : ""}import { key, useBackend } from "switchyard-moe";
import { buildModel } from "./train/model.ts";
import { LanguageModelling } from "./train/languageModelling.ts";
${own ? "import type { Corpus }" : "import { loadDeclaration }"} from "./train/text.ts";
import { Trainer } from "./train/training.ts";

await useBackend(${JSON.stringify(settings.shared.backend)});
${corpus}
const training = ${json(trainingConfig(settings.shared))};
const models = { a: ${model("a")} as const, b: ${model("b")} as const };

for (const [name, config] of Object.entries(models)) {
  const trainer = new Trainer(buildModel(config, key(training.seed).at("init")), new LanguageModelling(corpus, training), training);
  while (trainer.steps < training.steps) {
    const { step, loss } = await trainer.step();
    if (step % 10 === 0 || step === training.steps) console.log(name, step, (loss / Math.LN2).toFixed(4), "bits per byte");
  }
}
`;
}
