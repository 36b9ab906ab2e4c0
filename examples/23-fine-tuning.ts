/**
 * Lesson 23: fine-tuning on little data, and what each dropout does to an over-fit. An encoder-decoder that has filled spans for a while is
 * tuned on 150 English words and their phonemes, four times: without dropout, with 0.1 everywhere but in the experts, with 0.4 inside the
 * experts alone, and with both, as in the paper. Fedus et al. 2021, arXiv:2101.03961, section 2.4 and table 4.
 *
 * Expect: without dropout the training loss falls below the held-out loss, and the gap at the end is 0.2 to 1.5 bits per token: an
 * over-fit. Dropout makes the gap smaller, by 0.3 to 1.2 bits where both are on, and held-out words gain a little. Most of that is the
 * dropout outside of the experts; 0.4 inside them alone, in a model whose experts are small, narrows the gap less. It does not make 150
 * words enough.
 */
import { key } from "switchyard-moe";
import { configOf } from "./train/configuration.ts";
import { begin, keepPicture, lessonDefaults, promised, recentBits, short, stepsOf, takeSteps } from "./train/lesson.ts";
import { buildEncoderDecoder } from "./train/model.ts";
import { PairTask } from "./train/pairTask.ts";
import { SpanFilling } from "./train/spanFilling.ts";
import { curve } from "./train/svg/index.ts";
import type { Series } from "./train/svg/index.ts";
import { loadDeclaration } from "./train/text.ts";
import { loadPairs } from "./train/textPairs.ts";
import { Trainer } from "./train/training.ts";

await begin("What dropout does to an over-fit");
const options = { ...lessonDefaults(), architecture: "encoder-decoder", experts: 4, width: 32, heads: 2, hidden: 128, layers: 1 } as const;
const first = configOf({ ...options, batch: 16, steps: stepsOf(120) });
const pre = new Trainer(
  buildEncoderDecoder(first.model, key(1).at("init")),
  new SpanFilling(loadDeclaration("eng"), first.training),
  first.training,
);
await takeSteps(pre, first.training.steps);

const words = loadPairs({ kind: "finetune", task: "phonemes", text: { languages: "eng" }, examples: 150, from: "" });
const steps = stepsOf(240);
const every = short ? 2 : 40;
const series: Series[] = [];
const gaps: number[] = [];
for (const [name, dropout, expertDropout] of [
  ["no dropout", 0, 0],
  ["0.1 elsewhere", 0.1, 0],
  ["0.4 in the experts", 0, 0.4],
  ["both, as in the paper", 0.1, 0.4],
] as const) {
  const { model: shape, training } = configOf({ ...options, batch: 32, lr: 3e-3, steps, dropout, expertDropout });
  const task = new PairTask(words, training);
  const model = buildEncoderDecoder(shape, key(1).at("init"));
  model.load(pre.model.state());
  const trainer = new Trainer(model, task, training);
  const points: [number, number][] = [];
  let training_ = 0;
  while (trainer.steps < steps) {
    training_ = recentBits(await takeSteps(trainer, trainer.steps + every));
    points.push([trainer.steps, await task.validate(model)]);
  }
  const [, heldOut] = points[points.length - 1];
  gaps.push(heldOut - training_);
  const best = Math.min(...points.map(([, bits]) => bits));
  const bits = `training ${training_.toFixed(3)}, held out ${heldOut.toFixed(3)} bits per token (best ${best.toFixed(3)})`;
  console.log(`${name.padEnd(24)} ${bits}; gap ${(heldOut - training_).toFixed(3)}`);
  series.push({ name, points });
}
promised("the gap without dropout, bits per token", gaps[0], 0.2, 1.5);
promised("how much smaller the gap is with both", gaps[0] - gaps[3], 0.3, 1.2);
keepPicture(
  "23-fine-tuning",
  curve({
    title: "150 words and their phonemes: held-out loss",
    description: "By step of fine-tuning, for each dropout",
    series,
    x: "step",
    y: "bits per token",
  }),
);
