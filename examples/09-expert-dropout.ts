/**
 * Lesson 9: expert dropout in fine-tuning. A model trained on eight languages is fine-tuned on one of them, with little text. Against
 * over-fitting the paper uses dropout of 0.4 inside the experts, and less elsewhere. Fedus et al. 2021, section 2.4, table 4.
 *
 * Expect: tuning gains 0.3 to 0.8 bits on held-out Greek. With expert dropout of 0.4 the gap between training and held-out loss is 0.01 to
 * 0.2 bits smaller, but the held-out loss is not: it is 0 to 0.1 worse. A hundred steps of a model this small do not over-fit yet, so
 * dropout only makes learning slower. On a task that is over-fitted: claim 4 of docs/paper.md.
 */
import { key } from "switchyard-moe";
import { evaluateModel } from "./train/evaluation.ts";
import { LanguageModelling } from "./train/languageModelling.ts";
import { begin, keepPicture, lessonDefaults, promised, recentBits, sample, short, stepsOf, trainLesson } from "./train/lesson.ts";
import { buildModel } from "./train/model.ts";
import { bars } from "./train/svg/index.ts";
import { loadDeclaration } from "./train/text.ts";
import { configOf } from "./train/configuration.ts";
import { Trainer } from "./train/training.ts";

await begin("Expert dropout while tuning on one language");
const everything = loadDeclaration("scripts");
const greek = loadDeclaration("ell");
const base = await trainLesson(everything, { steps: stepsOf(150) });
const windows = sample(greek, short ? 8 : 64);
const before = await evaluateModel(base.trainer.model, windows, { batch: 16, languages: 1 });
console.log(`before tuning: held-out Greek ${before.bits.toFixed(3)} bits per byte`);

const tuned = [];
const rows = [{ name: "before tuning", value: before.bits }];
for (const expertDropout of [0, 0.1, 0.4]) {
  const { model: shape, training } = configOf({ ...lessonDefaults(), steps: 100, lr: 1e-3, expertDropout });
  const model = buildModel(shape, key(1).at("init"));
  model.load(base.trainer.model.state());
  const trainer = new Trainer(model, new LanguageModelling(greek, training), { ...training, steps: stepsOf(100) });
  const reports = [];
  while (trainer.steps < stepsOf(100)) reports.push(await trainer.step());
  const { bits } = await evaluateModel(model, windows, { batch: 16, languages: 1 });
  const clean = await evaluateModel(model, sample(greek, 8), { batch: 16, languages: 1 });
  console.log(
    `expert dropout ${expertDropout.toFixed(1)}: training ${recentBits(reports).toFixed(3)}, held out ${bits.toFixed(3)} bits per ` +
      `byte (${clean.spans.length} articles)`,
  );
  tuned.push({ bits, gap: bits - recentBits(reports) });
  rows.push({ name: `dropout ${expertDropout}`, value: bits });
}
const [none, , most] = tuned;
promised("tuning gains, in bits", before.bits - none.bits, 0.3, 0.8);
promised("expert dropout of 0.4 narrows the gap by", none.gap - most.gap, 0.01, 0.2);
promised("and costs on held-out text", most.bits - none.bits, 0, 0.1);
keepPicture(
  "09-expert-dropout",
  bars({ title: "Held-out Greek after tuning, by expert dropout", description: "Bits per byte", bars: rows, x: "bits per byte" }),
);
