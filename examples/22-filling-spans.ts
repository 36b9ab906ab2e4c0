/**
 * Lesson 22: what the Switch Transformer was pre-trained on. Spans of a text are taken out, 15 % of it and three tokens long on average;
 * the encoder reads what is left, the decoder writes the spans. Raffel et al. 2020, arXiv:1910.10683, section 3.1.4.
 *
 * Expect: a text, its input and its target, and that filling gives the text back. An encoder-decoder with experts in both stacks then
 * learns English and German for a minute: from about 6 nats per token to 1.9 to 2.6 on held-out spans (the paper's "negative log
 * perplexity" is the same number below zero). It has learned which bytes are frequent and what stands beside a gap, not yet words.
 */
import { key } from "switchyard-moe";
import { corruptSpans, fillSpans, noiseCounts, noiseSpans } from "switchyard-moe/nn";
import { begin, keepPicture, lessonDefaults, promised, short, stepsOf, takeSteps } from "./train/lesson.ts";
import { configOf } from "./train/configuration.ts";
import { evaluatePairs } from "./train/pairEvaluation.ts";
import { buildEncoderDecoder } from "./train/model.ts";
import { spread } from "./train/sequences.ts";
import { filledText, shownText } from "./train/shownText.ts";
import { SpanFilling } from "./train/spanFilling.ts";
import { curve } from "./train/svg/index.ts";
import { loadDeclaration } from "./train/text.ts";
import { Trainer } from "./train/training.ts";
import { sentinels } from "./train/vocabulary.ts";
import { write } from "./train/writing.ts";

await begin("Filling in spans");
const text = new TextEncoder().encode("All human beings are born free and equal in dignity and rights.");
const spans = noiseSpans(text.length, key(4));
const { input, target } = corruptSpans(text, spans, sentinels);
const { noise } = noiseCounts(text.length);
console.log(`text    ${shownText(text)}\ninput   ${shownText(input)}\ntarget  ${shownText(target)}`);
console.log(`${noise} of ${text.length} bytes in ${spans.length} spans; filled again: ${shownText(fillSpans(input, target, sentinels))}\n`);

const corpus = loadDeclaration("eng,deu");
const { model: shape, training } = configOf({
  ...lessonDefaults(),
  architecture: "encoder-decoder",
  experts: 4,
  batch: 16,
  steps: stepsOf(240),
});
const task = new SpanFilling(corpus, training);
const trainer = new Trainer(buildEncoderDecoder(shape, key(1).at("init")), task, training);
const heldOut = spread(task.heldOut, short ? 8 : 200);
const nats = async (): Promise<number> => -(await evaluatePairs(trainer.model, heldOut, { batch: 16, languages: 2 })).negativeLogPerplexity;

const before = await nats();
const reports = await takeSteps(trainer, training.steps);
const after = await nats();
console.log(`held out, nats per token: ${before.toFixed(3)} before, ${after.toFixed(3)} after ${training.steps} steps`);
promised("nats per token on held-out spans", after, 1.9, 2.6);

const shown = spread(heldOut, 4);
const written = await write(
  trainer.model,
  shown.map((pair) => pair.input),
  32,
);
console.log("\nheld-out text, [what it wrote] in the gaps:");
shown.forEach((pair, i) => console.log(`  ${filledText(pair.input, written[i]).replaceAll("\n", " ")}`));
keepPicture(
  "22-filling-spans",
  curve({
    title: "Learning to fill in spans",
    description: "Training loss of an encoder-decoder by step, in nats per token of the targets",
    series: [{ name: "training", points: reports.map(({ step, loss }): [number, number] => [step, loss]) }],
    baselines: [{ name: "held out, after", value: after }],
    x: "step",
    y: "nats per token",
  }),
);
