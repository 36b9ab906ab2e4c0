/**
 * Lesson 24: distilling a model with experts into a dense one. The student begins with the teacher's weights that are not experts' and
 * learns from the labels (0.75) and from the teacher's probabilities (0.25); each of the two can be left out. Fedus et al. 2021,
 * arXiv:2101.03961, section 4.2 and table 6, where a student keeps about 30 % of the teacher's gain over a dense model.
 *
 * Expect: a student that begins with the teacher's weights is ahead of one that begins from nothing and learns from labels alone by 0.05 to
 * 0.8 bits per byte, each after 80 steps. Most of that is the weights; the teacher's probabilities add little at this size. The share of
 * the teacher's gain that this is, is printed. (The teacher took three times as many steps: after as many, one so small is not ahead of a
 * dense model yet, and there is no gain to keep. The main job's distil compares at equal steps.)
 */
import { key } from "switchyard-moe";
import { copyShared } from "switchyard-moe/moe";
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import { configOf } from "./train/configuration.ts";
import { Distillation } from "./train/distillation.ts";
import { evaluateModel } from "./train/evaluation.ts";
import { begin, keepPicture, lessonDefaults, promised, sample, short, stepsOf, takeSteps, trainLesson } from "./train/lesson.ts";
import { buildModel } from "./train/model.ts";
import { bars } from "./train/svg/index.ts";
import { loadDeclaration } from "./train/text.ts";
import { Trainer } from "./train/training.ts";

await begin("What a student keeps");
const corpus = loadDeclaration("eng,deu");
const steps = stepsOf(80);
const teacher = await trainLesson(corpus, { router: "switch", steps: stepsOf(3 * steps), batch: 16 });
const windows = sample(corpus, short ? 8 : 96);
const bitsOf = async (model: DecoderLanguageModel): Promise<number> =>
  (await evaluateModel(model, windows, { batch: 16, languages: 2 })).bits;
const taught = await bitsOf(teacher.trainer.model);
console.log(`teacher: ${taught.toFixed(3)} bits per byte, held out`);

/** A dense student after a third of the steps that its teacher took. */
async function student(copy: boolean, soft: number): Promise<number> {
  const { model: shape, training } = configOf({ ...lessonDefaults(), batch: 16, steps }, "dense");
  const model = buildModel(shape, key(3).at("init"));
  if (copy) copyShared(teacher.trainer.model, model);
  const task = new Distillation(teacher.task, teacher.trainer.model, { hard: 1 - soft, soft });
  await takeSteps(new Trainer(model, task, training), steps);
  return bitsOf(model);
}

const rows = [{ name: "teacher", value: taught, plain: true }];
const found: number[] = [];
for (const [name, copy, soft] of [
  ["dense, labels alone", false, 0],
  ["teacher's probabilities", false, 0.25],
  ["teacher's weights", true, 0],
  ["both, as in the paper", true, 0.25],
] as const) {
  const bits = await student(copy, soft);
  found.push(bits);
  rows.push({ name, value: bits, plain: false });
  const gain = found[0] - taught;
  const kept = gain > 0 && found.length > 1 ? `; ${((100 * (found[0] - bits)) / gain).toFixed(0)} % of the teacher's gain` : "";
  console.log(`student, ${name.padEnd(24)} ${bits.toFixed(3)} bits per byte${kept}`);
}
promised("what both are worth, bits per byte", found[0] - found[3], 0.05, 0.8);
keepPicture(
  "24-distillation",
  bars({
    title: "What a dense student keeps",
    description: "Held-out bits per byte after a third of the steps that the teacher took",
    bars: rows,
    x: "bits per byte",
  }),
);
