/**
 * Lesson 18: from dense to sparse and back. Upcycling starts every expert as a copy of a trained dense layer (Komatsuzaki et al. 2022,
 * arXiv:2212.05055). Distillation teaches a dense student with a quarter of the teacher's probabilities and three quarters of the
 * labels, after copying what fits (Fedus et al. 2021, arXiv:2101.03961, section 4.2).
 *
 * Expect: the upcycled model begins 4 to 6 bits ahead of a new one, and 0.3 to 1.3 behind the dense model it came from, because Switch's
 * gate makes each copy's answer smaller (with gates that add up to 1 it would be equal). A student that starts from the teacher's
 * embeddings and attention is ahead of one that starts from nothing by 0.01 to 0.2 bits. The teacher's probabilities add one to three
 * hundredths to the latter and nothing certain to the former: after the hundred steps that it took it knows little that the labels do not
 * say. The paper's teachers were trained for very much longer. What each part of the recipe keeps, over seeds: claim 7 of docs/paper.md.
 */
import { key, noGrad, scope, tensor } from "switchyard-moe";
import { copyShared, upcycle } from "switchyard-moe/moe";
import { AdamW, distillationLoss } from "switchyard-moe/nn";
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import { evaluateModel } from "./train/evaluation.ts";
import { begin, keepPicture, lessonDefaults, promised, sample, short, stepsOf, trainLesson } from "./train/lesson.ts";
import { buildModel } from "./train/model.ts";
import { bars } from "./train/svg/index.ts";
import { loadDeclaration } from "./train/text.ts";
import { configOf } from "./train/configuration.ts";

await begin("Upcycling and distillation");
const corpus = loadDeclaration("eng,deu");
const configFor = (router: "dense" | "switch") => ({ ...configOf(lessonDefaults()).model, router });
const windows = sample(corpus, short ? 8 : 64);
const bitsOf = async (model: DecoderLanguageModel): Promise<number> =>
  (await evaluateModel(model, windows, { batch: 16, languages: 2 })).bits;

const dense = await trainLesson(corpus, { router: "dense", steps: stepsOf(100) });
const grown = buildModel(configFor("switch"), key(2));
const fresh = await bitsOf(grown);
upcycle(dense.trainer.model, grown);
const [before, after] = [await bitsOf(dense.trainer.model), await bitsOf(grown)];
console.log(`held out, bits per byte: dense ${before.toFixed(3)}, new sparse model ${fresh.toFixed(3)}, upcycled ${after.toFixed(3)}`);

promised("upcycled ahead of new, bits per byte", fresh - after, 4, 6);
promised("upcycled behind dense, bits per byte", after - before, 0.3, 1.3);

const { trainer, task } = await trainLesson(corpus, { router: "switch", steps: stepsOf(100) });

/** A dense student after a few steps: from nothing or from the teacher's shared parts, with or without its probabilities. */
async function student(inherits: boolean, share: number): Promise<number> {
  const model = buildModel(configFor("dense"), key(3));
  if (inherits) copyShared(trainer.model, model);
  const optimizer = new AdamW(model, { lr: 3e-3, betas: [0.9, 0.98] });
  for (let step = 0; step < stepsOf(60); step++)
    scope(() => {
      const { size, length, inputs, targets } = task.batch(trainer.batchKey(1000 + step));
      const ids = tensor(inputs, { shape: [size, length] });
      const labels = tensor(targets, { shape: [size, length] });
      const teacher = noGrad(() => trainer.model.forward(ids, {}, { training: false, random: key(0) }).logits);
      const { logits } = model.forward(ids, {}, { training: true, random: key(4).at(step) });
      distillationLoss(logits, teacher, labels, { share }).backward();
      optimizer.step();
      optimizer.zeroGrad();
    });
  return bitsOf(model);
}

const rows = [{ name: "teacher", value: await bitsOf(trainer.model), plain: true }];
for (const [name, inherits, share] of [
  ["from nothing, labels", false, 0],
  ["from nothing, distilled", false, 0.25],
  ["shared parts, labels", true, 0],
  ["shared parts, distilled", true, 0.25],
] as const) {
  rows.push({ name, value: await student(inherits, share), plain: false });
  console.log(`student ${name.padEnd(24)} ${rows[rows.length - 1].value.toFixed(3)} bits per byte`);
}
promised("shared parts ahead of nothing, labels alone, bits per byte", rows[1].value - rows[3].value, 0.01, 0.2);
keepPicture(
  "18-distillation",
  bars({
    title: "A dense student after sixty steps",
    description: "Held-out bits per byte, by where it starts and what it learns from",
    bars: rows,
    x: "bits per byte",
  }),
);
