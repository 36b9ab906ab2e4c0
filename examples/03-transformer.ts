/**
 * Lesson 3: a small dense Transformer learns to write, byte by byte. Attention reads the bytes before, the feed-forward layer computes each
 * byte alone, and residual connections add what they compute to their input. Vaswani et al. 2017, arXiv:1706.03762.
 *
 * Expect: bits per byte fall from above 8 (a uniform guess has 8) below the 3-gram table in a hundred steps, and the sample begins to look
 * like words.
 */
import { key } from "switchyard-moe";
import { summary } from "switchyard-moe/nn";
import { baselines } from "./train/baselines.ts";
import { streamText } from "./train/generateText.ts";
import { begin, keepPicture, recentBits, score, stepsOf, trainLesson } from "./train/lesson.ts";
import { curve } from "./train/svg/index.ts";
import { loadDeclaration } from "./train/text.ts";

await begin("A dense Transformer on English and German");
const corpus = loadDeclaration("eng,deu");
const levels = baselines(corpus)
  .slice(0, 3)
  .map(({ name, bits }) => ({ name, value: bits }));

const run = await trainLesson(corpus, { router: "dense", steps: stepsOf(200) });
console.log(String(summary(run.trainer.model, { length: 64 })));

const { bits } = await score(run, corpus);
const counted = levels.map(({ name, value }) => `${name} ${value.toFixed(3)}`).join(", ");
console.log(`\ntraining ${recentBits(run.reports).toFixed(3)}, held out ${bits.toFixed(3)} bits per byte; ${counted}`);

let text = "";
for await (const part of streamText(run.trainer.model, "Everyone has the right ", {
  bytes: 160,
  length: 64,
  temperature: 0.7,
  random: key(3),
}))
  text += part;
console.log(`\nEveryone has the right ${text.replaceAll("\n", " ")}\n`);

const points = run.reports.map(({ step, loss }): [number, number] => [step, loss / Math.LN2]);
keepPicture(
  "03-transformer",
  curve({
    title: "A dense Transformer learns to write",
    description: "Training loss by step, beside what counting achieves",
    series: [{ name: "training", points }],
    baselines: levels,
    x: "step",
    y: "bits per byte",
  }),
);
