/** The page of a run that fills in spans: numbers, held-out pieces with their gaps filled, and the experts of both stacks. */
import { splitSpans, summary } from "switchyard-moe/nn";
import type { EncoderDecoder } from "switchyard-moe/nn";
import type { Baseline } from "./baselines.ts";
import type { LayerFinding } from "./findings.ts";
import type { PairEvaluation } from "./pairEvaluation.ts";
import type { RunReport, Sample } from "./report.ts";
import { courseOf, loadOf, specialisationOf, trainingFacts } from "./reportParts.ts";
import { caution, sparseLayerNames } from "./routers.ts";
import type { Run } from "./run.ts";
import { filledText, shownText } from "./shownText.ts";
import type { HeldOutPair, SpanFilling } from "./spanFilling.ts";
import { stackPassages } from "./stackPassages.ts";
import type { ReadText } from "./stackPassages.ts";
import { classCount } from "./text.ts";
import type { Corpus, TextClass } from "./text.ts";
import { sentinels } from "./vocabulary.ts";
import { write } from "./writing.ts";

/** Pieces that are filled, one of a class each, and how many of them are shown token by token. */
const [FILLED, READ] = [6, 4];

/** A held-out piece, and what the model wrote for its gaps. */
export interface FilledPiece extends HeldOutPair {
  readonly of: TextClass;
  readonly written: Int32Array;
}

export interface SpanFindings {
  readonly trained: PairEvaluation;
  readonly untrained: PairEvaluation;
  /** Of the same bytes, from the text before them alone. */
  readonly baselines: readonly Baseline[];
  readonly layers: readonly LayerFinding[];
  /** Empty where the decoder cannot write. */
  readonly filled: readonly FilledPiece[];
}

/** A held-out piece of each of a few classes with its gaps filled. */
export async function filledPieces(model: EncoderDecoder, task: SpanFilling, { classes }: Corpus): Promise<FilledPiece[]> {
  const chosen = classes.slice(0, FILLED).map((_, classIndex) => task.heldOut.find((pair) => pair.classIndex === classIndex));
  const pairs = chosen.filter((pair): pair is HeldOutPair => pair !== undefined);
  const most = 4 * Math.max(...pairs.map(({ target }) => target.length));
  const written = await write(model, pairs.map(({ input }) => input), most); // prettier-ignore
  return pairs.map((pair, i) => ({ ...pair, of: classes[pair.classIndex], written: written[i] }));
}

const sampleOf = ({ input, written, of: { name, lang, dir } }: FilledPiece): Sample => ({
  name,
  prompt: "",
  text: filledText(input, written),
  ...(lang ? { lang } : {}),
  dir,
});

const readText = ({ input, written, of: { name, lang, dir } }: FilledPiece): ReadText => ({ title: name, lang, dir, input, written });

/** What to know where counting does better than the model; null where it does not. */
export function behindCounting({ trained, baselines }: Pick<SpanFindings, "trained" | "baselines">): string | null {
  const ahead = baselines.filter(({ bits }) => bits < trained.bitsPerByte).map(({ name }) => name);
  if (ahead.length === 0) return null;
  return (
    `counting does better (${ahead.join(", ")}): a step teaches the 15 % of its bytes that are taken out, a decoder's teaches all, so ` +
    "an encoder-decoder needs several times the steps"
  );
}

/** Each gap: what was taken out of it, and what the model wrote. */
function gapTable(filled: readonly FilledPiece[]): RunReport["tables"][number] {
  const rows = filled.flatMap(({ target, written, of: { name } }) => {
    const [wanted, given] = [splitSpans(target.slice(0, -1), sentinels), splitSpans(written, sentinels)]; // a target ends in END
    return wanted.flatMap((span, i) => {
      if (!span) return [];
      const text = given[i];
      return [[`${name}, <${i + 1}>`, shownText(span), text ? shownText(text) : "nothing"]];
    });
  });
  return { caption: "The gaps of held-out texts", columns: ["gap", "taken out", "written"], rows, texts: true };
}

/** What the page of a run says. */
export async function spanReport(run: Run<EncoderDecoder>, corpus: Corpus, model: EncoderDecoder, found: SpanFindings): Promise<RunReport> {
  const { trained, untrained, baselines, layers, filled } = found;
  const warning = caution(model.decoder);
  const behind = behindCounting(found);
  const { length } = run.config.training;
  return {
    title: `An encoder-decoder fills in spans of ${classCount(corpus)}`,
    lead:
      `Negative log perplexity ${trained.negativeLogPerplexity.toFixed(3)} on held-out spans; ${trained.bitsPerByte.toFixed(3)} bits ` +
      "per masked byte.",
    facts: [
      {
        name: "negative log perplexity",
        value: trained.negativeLogPerplexity.toFixed(3),
        note: `before training ${untrained.negativeLogPerplexity.toFixed(2)}`,
      },
      {
        name: "per masked byte",
        value: `${trained.bitsPerByte.toFixed(3)} bits`,
        note: `before training ${untrained.bitsPerByte.toFixed(2)}`,
      },
      ...trainingFacts(run),
    ],
    ...courseOf(run),
    unit: "bits per token",
    baselines: [],
    load: loadOf(run),
    ...(layers.length > 0
      ? {
          specialisation: specialisationOf(corpus, layers, {
            names: sparseLayerNames(model),
            before: untrained.observed,
            after: trained.observed,
          }),
        }
      : {}),
    passages: await stackPassages(model, filled.slice(0, READ).map(readText)), // prettier-ignore
    samples: filled.map(sampleOf),
    samplesNote: "Held-out text: what was taken out was written by the model, in [brackets]; an ellipsis where it wrote nothing.",
    summary: String(summary(model, { length })),
    tables: [tableOf(trained, baselines), ...(filled.length > 0 ? [gapTable(filled)] : [])],
    notes: [
      ...(behind ? [`${behind.charAt(0).toUpperCase()}${behind.slice(1)}.`] : []),
      ...(warning ? [`Of the decoder: ${warning}.`] : []),
      `15 % of the bytes are taken out, in spans of three on average; sentinels are ids from ${sentinels.first} on. Raffel et al. 2020.`,
      "Negative log perplexity is the mean natural log-probability of a token of the targets, sentinels and end included: the " +
        "measure of Fedus et al. 2021. Closer to 0 is better.",
      corpus.split,
    ],
  };
}

function tableOf(trained: PairEvaluation, baselines: readonly Baseline[]): RunReport["tables"][number] {
  const rows = [
    ...baselines.map(({ name, bits }) => [`${name}, text before alone`, bits] as const),
    ["this model, text on both sides", trained.bitsPerByte] as const,
  ];
  return {
    caption: "Held-out bytes that were taken out, bits per byte",
    columns: ["model", "bits per byte"],
    rows: rows.toSorted(([, a], [, b]) => b - a).map(([name, bits]) => [name, bits.toFixed(3)]),
  };
}
