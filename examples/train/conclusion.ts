/** Prints what came of a run, said honestly, and leaves its page. */
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import type { Findings } from "./findings.ts";
import { findings, sentence } from "./findings.ts";
import type { Specialisation } from "./information.ts";
import { ProgressLine, screenOf } from "./progress.ts";
import { caution, sparseLayers } from "./routers.ts";
import type { Run } from "./run.ts";
import { bestModel } from "./runLoop.ts";
import { writeReport } from "./runReport.ts";
import type { Corpus } from "./text.ts";

/** Prints the account of a run and returns its numbers. */
export async function conclude(run: Run<DecoderLanguageModel>, corpus: Corpus): Promise<Findings> {
  const line = new ProgressLine(screenOf());
  const found = await findings(run, corpus, (what, share) => line.stage(`evaluating ${what}`, share));
  line.clear();
  const table = [...found.baselines.map(({ name, bits }) => [name, bits] as const), ["this model", found.trained.bits] as const];
  console.log(`\nheld-out text, bits per byte (best model, step ${run.best?.step ?? run.trainer.steps})`);
  for (const [name, bits] of table.toSorted(([, a], [, b]) => b - a)) console.log(`  ${name.padEnd(12)} ${bits.toFixed(3)}`);
  const warning = caution(run.trainer.model);
  if (warning) console.log(`  but ${warning}`);
  if (found.layers.length > 0) describeExperts(found, run, corpus);
  const report = await writeReport(run, corpus, bestModel(run), found);
  console.log(
    `\nkept in ${run.folder}: model.safetensors, ${run.processes ? "last/" : "last.safetensors"}, config.json, metrics.jsonl; to ` +
      `look at: ${report}`,
  );
  return found;
}

function describeExperts({ layers, capacities: found }: Findings, { trainer }: Run<DecoderLanguageModel>, corpus: Corpus): void {
  const { unit } = corpus;
  const own = sparseLayers(trainer.model)[0].trainingCapacityFactor;
  console.log(`\nwhat an expert's number tells, in bits: I(expert; ${unit}), I(expert; byte), I(expert; ${unit} | byte)`);
  const line = (name: string, { expertLanguage, expertByte, expertLanguageGivenByte }: Specialisation["shuffled"]): void =>
    console.log(`  ${name.padEnd(32)} ${[expertLanguage, expertByte, expertLanguageGivenByte].map((bits) => bits.toFixed(3)).join("  ")}`);
  layers.forEach(({ trained, untrained }, layer) => {
    line(`sparse layer ${layer}, trained`, trained);
    line(`sparse layer ${layer}, before training`, untrained);
    line(`sparse layer ${layer}, experts shuffled`, trained.shuffled);
  });
  console.log(`  ${sentence(layers, corpus)}`);
  if (found.length > 0) console.log(`\ncapacity in evaluation (trained ${own === "dropless" ? "without drops" : `with ${own}`})`);
  for (const { factor, bits, dropped } of found)
    console.log(
      `  ${(factor === "dropless" ? "no drops" : `factor ${factor.toFixed(2)}`).padEnd(12)} ${bits.toFixed(3)} bits per byte, ` +
        `${(100 * dropped).toFixed(1)} % of bytes dropped`,
    );
}
