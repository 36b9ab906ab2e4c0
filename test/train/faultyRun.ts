/**
 * A run on two processes in which the second goes wrong in its third step: mpirun -n 2 ... faultyRun.ts throws|nan FOLDER. What it learns from
 * is the text in FOLDER/text.
 */
import { join } from "node:path";
import { configOf } from "../../examples/train/configuration.ts";
import { corpusOf, languageJob } from "../../examples/train/languageWork.ts";
import { LanguageModelling } from "../../examples/train/languageModelling.ts";
import { trainDefaults } from "../../examples/train/options.ts";
import { Processes } from "../../examples/train/processes.ts";
import { silent } from "../../examples/train/progress.ts";
import { newRun } from "../../examples/train/run.ts";
import { continueRun } from "../../examples/train/runLoop.ts";
import type { At, Forwarded } from "../../examples/train/task.ts";
import type { DecoderLanguageModel } from "../../src/nn/index.ts";

const [, , fault, folder] = process.argv;
const small = { width: 8, heads: 2, hidden: 16, experts: 4, length: 16, batch: 4, steps: 6, every: 2 };
const config = configOf({ ...trainDefaults(), ...small, data: join(folder, "text"), processes: 2, expertsOver: 2 });
const corpus = corpusOf(config.goal.kind === "text" ? config.goal.text : { languages: "eng" });
const processes = await Processes.start({ processes: 2, expertsOver: 2, ordered: false, sharedState: false });

class Faulty extends LanguageModelling {
  #calls = 0;

  override forward(model: DecoderLanguageModel, at: At): Forwarded {
    const out = super.forward(model, at);
    if (processes.rank !== 1 || ++this.#calls !== 3) return out;
    if (fault === "throws") throw new RangeError("no such token");
    return { ...out, loss: out.loss.mul(NaN) };
  }
}

const job = { ...languageJob(config, corpus), task: new Faulty(corpus, config.training) };
await continueRun(newRun(join(folder, "run"), config, job, processes), { screen: silent });
