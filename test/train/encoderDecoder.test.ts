/** The encoder-decoder's runs: pre-training, fine-tuning and distillation, interrupted and resumed, and what comes of them. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import * as fc from "fast-check";
import { key, noGrad } from "switchyard-moe";
import { SwitchAttention } from "switchyard-moe/moe";
import { MultiHeadAttention, evaluation, fillSpans } from "switchyard-moe/nn";
import type { Module } from "switchyard-moe/nn";
import type { RunConfig } from "../../examples/train/checkpoint.ts";
import { loadCheckpoint } from "../../examples/train/checkpoint.ts";
import { configOf } from "../../examples/train/configuration.ts";
import { inWords } from "../../examples/train/distilWork.ts";
import { fillText, openEncoderDecoder } from "../../examples/train/fillText.ts";
import { lastFile, modelFile, reportFile } from "../../examples/train/folders.ts";
import { generateText } from "../../examples/train/generateText.ts";
import { corpusOf } from "../../examples/train/languageWork.ts";
import { buildEncoderDecoder } from "../../examples/train/model.ts";
import { trainDefaults } from "../../examples/train/options.ts";
import { evaluatePairs } from "../../examples/train/pairEvaluation.ts";
import type { PairEvaluation } from "../../examples/train/pairEvaluation.ts";
import { behindCounting } from "../../examples/train/spanReport.ts";
import { collatePairs } from "../../examples/train/pairs.ts";
import { sparseLayerNames } from "../../examples/train/routers.ts";
import { newRun, restoreRun } from "../../examples/train/run.ts";
import { continueRun } from "../../examples/train/runLoop.ts";
import type { Work } from "../../examples/train/session.ts";
import { filledText, idsOfGappedText, shownText } from "../../examples/train/shownText.ts";
import { SpanFilling } from "../../examples/train/spanFilling.ts";
import { stackPassages } from "../../examples/train/stackPassages.ts";
import { UserError } from "../../examples/train/userError.ts";
import { BYTES, END, sentinels } from "../../examples/train/vocabulary.ts";
import { withWork } from "../../examples/train/work.ts";
import { write } from "../../examples/train/writing.ts";

const silent = { screen: { write: (): boolean => true } };
const unchanged = { steps: 0, seconds: 0, every: 0 };
const small = { languages: "eng,ell", steps: 4, every: 2, width: 8, heads: 2, layers: 1, hidden: 16, experts: 3, length: 24, batch: 4, warmup: 1 }; // prettier-ignore
const spans = configOf({ ...trainDefaults(), ...small, architecture: "encoder-decoder" });
const decoder = configOf({ ...trainDefaults(), ...small });
const corpus = corpusOf({ languages: "eng,ell" });

async function printed(use: () => Promise<unknown>): Promise<string> {
  const { log } = console;
  const { write: show } = process.stdout;
  const lines: string[] = [];
  console.log = (...values: unknown[]) => void lines.push(values.join(" "));
  process.stdout.write = () => true;
  try {
    await use();
  } finally {
    console.log = log;
    process.stdout.write = show;
  }
  return lines.join("\n");
}

/** Trains a run in one go. */
const trained = (folder: string, config: RunConfig): Promise<void> =>
  withWork(config, async (work) => void (await continueRun(newRun(folder, config, work.job), silent)));

/** Trains it interrupted and resumed, and compares the bits. */
async function sameInParts<M extends Module>(folder: string, config: RunConfig, work: Work<M>): Promise<void> {
  const [whole, parts] = [join(folder, "whole"), join(folder, "parts")];
  await continueRun(newRun(whole, config, work.job), silent);
  const run = newRun(parts, config, work.job);
  await continueRun(run, { ...silent, interrupted: () => run.trainer.steps >= 3 });
  await continueRun(restoreRun(parts, () => work.job, unchanged), silent); // prettier-ignore
  expect(readFileSync(lastFile(parts)).equals(readFileSync(lastFile(whole)))).to.equal(true);
}

describe("the runs of an encoder-decoder", function () {
  this.timeout(120_000);
  let folder: string;
  let base: string;
  before(async () => {
    base = mkdtempSync(join(tmpdir(), "switchyard-base-"));
    await trained(join(base, "spans"), spans);
    await trained(join(base, "decoder"), decoder);
    const pairs = Array.from({ length: 60 }, (_, i) => `word ${i}\t${i} out`);
    writeFileSync(join(base, "pairs.tsv"), pairs.join("\n"));
  });
  after(() => rmSync(base, { recursive: true }));
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "switchyard-spans-"))));
  afterEach(() => rmSync(folder, { recursive: true }));

  const tuning = (): RunConfig => ({
    ...spans,
    model: { ...spans.model, dropout: 0.1, expertDropout: 0.4 },
    goal: { kind: "finetune", task: "pairs", text: { data: join(base, "pairs.tsv") }, examples: 30, from: join(base, "spans") },
  });
  const distilling = (name: "spans" | "decoder", change = {}): RunConfig => {
    const config = name === "spans" ? spans : decoder;
    const goal = { kind: "distil", text: { languages: "eng,ell" }, from: join(base, name), hard: 0.75, soft: 0.25, copy: true, ...change } as const; // prettier-ignore
    return { ...config, model: { ...config.model, router: "dense" }, goal };
  };

  const kinds: Record<string, () => RunConfig> = {
    "pre-training": () => spans,
    "fine-tuning, with dropout": tuning,
    "distillation of two stacks": () => distilling("spans"),
    "distillation of a decoder": () => distilling("decoder"),
  };
  for (const [name, config] of Object.entries(kinds))
    it(`are the same bit for bit when interrupted and resumed: ${name}`, () =>
      withWork(config(), (work) => sameInParts(folder, config(), work)));

  it("give an account with the paper's measure, and a page", async () => {
    const run = join(folder, "run");
    await withWork(spans, async (work) => {
      const started = newRun(run, spans, work.job);
      await continueRun(started, silent);
      const text = await printed(() => work.conclude(started));
      expect(text).to.match(/negative log perplexity +-\d\.\d{3} \(before training -\d\.\d{3}\)/);
      expect(text)
        .to.match(/bits per masked byte +\d\.\d{3}/)
        .and.match(/5-gram \d\.\d{3}/);
      expect(text, "after four steps").to.match(/counting does better \(.*5-gram\): a step teaches the 15 % of its bytes/);
    });
    const page = readFileSync(reportFile(run), "utf8");
    expect(page).to.include("decoder, layer 0").and.include("Negative log perplexity");
    expect(page).to.include("The gaps of held-out texts").and.include("English, &lt;1&gt;");
    expect(page)
      .to.match(/English, encoder, layer 0: (no token|\d+) of \d+ dropped/)
      .and.match(/English, decoder, layer 0: /);
  });

  it("give an account of fine-tuning: exact matches, an error rate, what was written", async () => {
    const run = join(folder, "run");
    await withWork(tuning(), async (work) => {
      const started = newRun(run, tuning(), work.job);
      await continueRun(started, silent);
      const text = await printed(() => work.conclude(started));
      expect(text)
        .to.match(/held out +\d+\.\d % exact, character error rate \d+\.\d %/)
        .and.match(/training +\d+\.\d % exact/);
      expect(text).to.match(/word \d+ -> /);
    });
    expect(readFileSync(reportFile(run), "utf8")).to.match(/word \d+ -&gt; .*, decoder, layer 0: /);
  });

  it("give an account of distillation: the share of the teacher's gain, beside a dense model that is kept too", async () => {
    const config = distilling("decoder");
    const run = join(folder, "run");
    await withWork(config, async (work) => {
      const started = newRun(run, config, work.job);
      await continueRun(started, silent);
      const text = await printed(() => work.conclude(started));
      expect(text).to.match(/teacher \d\.\d{3}, dense from labels alone \d\.\d{3}, student \d\.\d{3}/);
      expect(text).to.match(
        /the student (keeps -?\d+ % of the teacher's|passes its teacher by \d\.\d{3}, beyond a) gain of|there is no gain to keep/,
      );
      expect(await printed(() => work.conclude(started)), "a second account trains nothing anew").to.include("teacher");
    });
    expect(existsSync(modelFile(join(run, "dense")))).to.equal(true);
  });

  it("begin fine-tuning with the weights of the run that they are given, to the last bit", async () => {
    const given = loadCheckpoint(modelFile(join(base, "spans"))).weights;
    await withWork(tuning(), async (work) => {
      const state = newRun(join(folder, "run"), tuning(), work.job).trainer.model.state();
      for (const [name, weight] of state) expect([...(await weight.data())], name).to.deep.equal([...(await given.get(name)!.data())]);
    });
  });

  it("copy to a student what is not the experts', or nothing", async () => {
    const given = loadCheckpoint(modelFile(join(base, "decoder"))).weights;
    const copied = async (copy: boolean): Promise<boolean[]> =>
      withWork(distilling("decoder", { copy }), async (work) => {
        const config = distilling("decoder", { copy });
        const state = newRun(join(folder, String(copy)), config, work.job).trainer.model.state();
        const names = ["embedding.table", "blocks.0.attention.output.weight"].filter((name) => state.has(name));
        expect(names).not.to.deep.equal([]);
        return Promise.all(names.map(async (name) => [...(await state.get(name)!.data())].join() === [...(await given.get(name)!.data())].join())); // prettier-ignore
      });
    expect(new Set(await copied(true))).to.deep.equal(new Set([true]));
    expect(new Set(await copied(false))).to.deep.equal(new Set([false]));
  });

  it("fill gaps and show the expert of every token in both stacks", async () => {
    const text = await printed(() => fillText({ from: join(base, "spans"), text: "All <1> are 한", bytes: 8, backend: "cpu" }));
    expect(text).to.match(/^All \[[^]*\] are 한\n/);
    expect(text).to.match(/encoder, as it reads\nlayer 0, sequence 0\n +0 {2}"A" .*expert \d gate/);
    expect(text)
      .to.match(/"<1>" .*expert/)
      .and.match(/"2\/3" .*expert/);
    expect(text).to.match(/decoder, as it reads\nlayer 0, sequence 0\n +0 {2}"start" .*expert \d gate/);
  });

  const wrong: Record<string, readonly [() => Promise<unknown>, string]> = {
    "a text without a gap": [() => fillText({ from: join(base, "spans"), text: "whole", bytes: 8, backend: "cpu" }), "there is no gap in it; write <1>, <2> and so on"], // prettier-ignore
    "a decoder that is to fill": [() => fillText({ from: join(base, "decoder"), text: "<1>", bytes: 8, backend: "cpu" }), "it holds a decoder alone, which cannot fill gaps; use generate"], // prettier-ignore
    "two stacks that are to go on with a text": [
      () => generateText({ from: join(base, "spans"), prompt: "a", bytes: 4, temperature: 0, topK: 0, topP: 1, seed: 1, backend: "cpu" }),
      "it holds an encoder-decoder; use fill",
    ],
    "a decoder that is to be tuned": [async () => withWork({ ...tuning(), model: decoder.model }, () => undefined), "a text-to-text task wants an encoder-decoder"], // prettier-ignore
    "a length with too many spans": [async () => new SpanFilling(corpus, { batch: 1, length: 1400 }), "70 spans would be taken out, and there are 64 sentinels"], // prettier-ignore
    nothing: [async () => openEncoderDecoder(join(base, "nothing")), "there is no such file or folder"],
  };
  for (const [name, [act, message]] of Object.entries(wrong))
    it(`say in one line what is wrong with ${name}`, async () => {
      const error: unknown = await act().then(
        () => null,
        (thrown: unknown) => thrown,
      );
      expect(error).to.be.instanceOf(UserError).with.property("message").that.includes(message);
    });
});

describe("held-out spans", () => {
  const task = new SpanFilling(corpus, { batch: 4, length: 24 });

  it("take every held-out byte into exactly one piece, which can be put together again", () => {
    for (const [classIndex, { document, heldOut }] of corpus.classes.entries()) {
      const pieces = task.heldOut.filter((pair) => pair.classIndex === classIndex);
      const texts = pieces.flatMap(({ input, target }) => [...fillSpans(input, target.slice(0, -1), sentinels)]);
      const expected = heldOut.flatMap(({ start, end }) => [...document.subarray(start, end)]);
      expect(texts).to.deep.equal(expected);
      for (const { target, masked } of pieces) {
        const bytes = masked.flatMap(({ start, end }) => [...document.subarray(start, end)]);
        expect([...target].filter((id) => id < BYTES)).to.deep.equal(bytes);
        expect(target.at(-1)).to.equal(END);
      }
    }
  });

  it("are the same whenever they are scored", () => {
    expect(new SpanFilling(corpus, { batch: 9, length: 24 }).heldOut).to.deep.equal(task.heldOut);
  });
});

describe("an encoder-decoder of the main job", () => {
  const model = buildEncoderDecoder({ ...spans.model, sparseEvery: 1 }, key(3));
  const task = new SpanFilling(corpus, { batch: 4, length: 24 });

  it("names its sparse layers by stack", () => {
    expect(sparseLayerNames(model)).to.deep.equal(["encoder, layer 0", "decoder, layer 0"]);
  });

  it("has experts in the attention of both stacks where an experiment says so, and is scored with them", async () => {
    const places = (sparsePlaces: "attention" | "both") =>
      buildEncoderDecoder({ ...spans.model, sparseEvery: 1, variant: { sparsePlaces } }, key(3));
    expect(sparseLayerNames(places("attention"))).to.have.length(4);
    expect(sparseLayerNames(places("both"))).to.have.length(6);
    const scales = places("both")
      .namedModules()
      .flatMap(([, module]) => (module instanceof SwitchAttention || module instanceof MultiHeadAttention ? [module.scale] : []));
    expect(scales).to.deep.equal([1, 1, 1]); // T5 scales no scores: of each stack's own attention, and of the decoder's to the encoder
    const { observed } = await evaluatePairs(places("both"), task.heldOut.slice(0, 4), { batch: 4, languages: 2 });
    expect(observed).to.have.length(6);
  });

  it("is scored alike in any batch: what fills a row up counts nowhere", async () => {
    const pairs = task.heldOut.slice(0, 7).map((pair, i) => ({ ...pair, input: pair.input.slice(0, 10 + i) }));
    const [one, all] = await Promise.all([1, 7].map((batch) => evaluatePairs(model, pairs, { batch, languages: 2 })));
    expect(all.negativeLogPerplexity).to.be.closeTo(one.negativeLogPerplexity, 1e-5);
    expect(all.bitsPerByte).to.be.closeTo(one.bitsPerByte, 1e-5);
    expect(all.observed.map(({ expert }) => Array.from(expert))).to.deep.equal(one.observed.map(({ expert }) => Array.from(expert)));
  });

  it("counts in bits per byte the bytes of the targets alone", async () => {
    const { negativeLogPerplexity, bitsPerToken } = await evaluatePairs(model, task.heldOut.slice(0, 4), { batch: 4, languages: 2 });
    expect(bitsPerToken).to.be.closeTo(-negativeLogPerplexity / Math.LN2, 1e-9);
  });

  it("writes with what it kept of earlier steps what it would write without, whatever its companions", async () => {
    const inputs = task.heldOut.slice(0, 3).map(({ input }, i) => input.slice(0, 8 + 3 * i));
    const together = await write(model, inputs, 6);
    for (const [i, input] of inputs.entries()) {
      expect([...(await write(model, [input], 6))[0]]).to.deep.equal([...together[i]]);
      const expected: number[] = [];
      while (expected.length < 6) {
        const { given } = collatePairs([{ input, target: Int32Array.of(...expected, END), classIndex: 0 }]);
        const { logits } = noGrad(() => model.forward(given, evaluation));
        const next = [...(await logits.argmax(-1).data())].at(-1)!;
        if (next === END) break;
        expected.push(next);
      }
      expect([...together[i]]).to.deep.equal(expected);
    }
  });
});

describe("passages of both stacks", () => {
  const model = buildEncoderDecoder({ ...spans.model, layers: 2 }, key(5));
  const text = { title: "t", lang: "", dir: "ltr" } as const;
  const ids = (given: string): Int32Array => idsOfGappedText(given);

  it("show for every sparse layer what its stack read: the input with its gaps, the start and what was written", async () => {
    const passages = await stackPassages(model, [{ ...text, input: ids("a <1> c"), written: ids("<1>b") }]);
    expect(passages.map(({ layer, ids: read }) => [layer, shownText(read)])).to.deep.equal([
      ["encoder, layer 0", "a <1> c"],
      ["encoder, layer 1", "a <1> c"],
      ["decoder, layer 0", "start<1>b"],
      ["decoder, layer 1", "start<1>b"],
    ]);
  });

  it("show the experts that the tokens have alone, whatever the lengths of the other texts", async () => {
    const texts = ["<1>", "한 <1> word and <2>", "ab<1>"].map((given, i) => ({ ...text, input: ids(given), written: ids(`<1>${"x".repeat(5 * i)}`) })); // prettier-ignore
    const alone = await Promise.all(texts.map((one) => stackPassages(model, [one])));
    expect(await stackPassages(model, texts)).to.deep.equal(alone.flat());
    expect(new Set(alone.flat().flatMap(({ expert }) => Array.from(expert))).size, "several experts").to.be.greaterThan(1);
  });

  it("are none of a dense model", async () => {
    const dense = buildEncoderDecoder({ ...spans.model, router: "dense" }, key(5));
    expect(await stackPassages(dense, [{ ...text, input: ids("a"), written: ids("b") }])).to.deep.equal([]);
  });
});

describe("the comparison of filled spans with counting", () => {
  const baselines = [{ name: "unigram", bits: 5, bitsOfSpan: [] }, { name: "5-gram", bits: 2, bitsOfSpan: [] }]; // prettier-ignore
  const said = (bitsPerByte: number): string | null => behindCounting({ trained: { bitsPerByte } as PairEvaluation, baselines });

  it("names the tables that are ahead, and is silent where none is", () => {
    expect(said(1.9)).to.equal(null);
    expect(said(3)).to.include("counting does better (5-gram):");
    expect(said(6)).to.include("(unigram, 5-gram)");
  });
});

describe("the verdict on a student", () => {
  const verdict = (student: number, teacher = 2): string => inWords({ teacher, dense: 2.5, student }, "bits/token")[1];

  it("tells the share of its teacher's gain that it keeps", () => {
    expect(verdict(2.125)).to.equal("the student keeps 75 % of the teacher's gain of 0.500 over the dense model");
    expect(verdict(2.75)).to.include("keeps -50 %");
  });

  it("does not call it a share where the student is the better one, nor where there is no gain", () => {
    expect(verdict(1.9)).to.equal("the student passes its teacher by 0.100, beyond a gain of 0.500 over the dense model");
    expect(verdict(1.9, 2.6)).to.include("there is no gain to keep");
  });
});

describe("a text with gaps", () => {
  it("is read and shown alike", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string({ unit: "grapheme" }), fc.integer({ min: 1, max: 64 })), { maxLength: 6 }), (parts) => {
        const text = parts.map((part) => (typeof part === "number" ? `<${part}>` : part)).join("");
        expect(shownText(idsOfGappedText(text))).to.equal(text);
      }),
    );
  });

  it("is shown filled, with an ellipsis where nothing was written", () => {
    const input = idsOfGappedText("All human <1> are born <2>.");
    const written = Int32Array.from([sentinels.first, ...new TextEncoder().encode("beings")]);
    expect(filledText(input, written)).to.equal("All human [beings] are born […].");
  });

  it("keeps numbers that no gap has as text", () => {
    expect(shownText(idsOfGappedText("<0> <65> < 1>"))).to.equal("<0> <65> < 1>");
  });
});
