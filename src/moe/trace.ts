/**
 * Where each token went: for every sparse layer, position and choice the expert, the gate, and whether a slot was found. It only reads
 * the books of routings that were made anyway, so while nobody asks it costs nothing.
 * B sequences, T tokens of each, E experts, K choices.
 */
import { noGrad } from "../autograd/context.ts";
import { key } from "../autograd/random.ts";
import { scope } from "../autograd/scope.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Pass } from "../nn/module.ts";
import type { Routing } from "./routing.ts";

/** One choice of a token: which expert, with which weight, and whether it was served. */
export interface TracedChoice {
  /** 0 for the first choice. */
  readonly choice: number;
  readonly expert: number;
  readonly gate: number;
  /** false: the expert was full, and the layer left this token to the residual. */
  readonly kept: boolean;
  /** Its row at the experts; -1 where it was dropped. */
  readonly slot: number;
}

/** What one router did with one token: its probabilities and its choices. */
export interface TracedToken {
  readonly layer: number;
  readonly sequence: number;
  readonly position: number;
  /** Of every expert, chosen or not. */
  readonly probs: readonly number[];
  readonly choices: readonly TracedChoice[];
}

/** A model whose forward pass answers with the routings of its sparse layers, in layer order. */
export interface TraceableModel {
  forward(ids: Tensor, input: object, pass: Pass): { readonly routings: readonly object[] };
}

/** Runs the model as in use (or as in training, given such a pass) and reads what its routers did. ids [B, T] int32. */
export async function trace(model: TraceableModel, ids: Tensor, pass: Pass = { training: false, random: key(0) }): Promise<TracedToken[]> {
  const read = scope(() => {
    const routings = noGrad(() => model.forward(ids, {}, pass).routings) as readonly Routing[];
    return routings.map(({ books }) => [books.expertOfChoice, books.slotOfChoice, books.gate, books.probs]);
  });
  const layers = await Promise.all(read.map((tensors) => Promise.all(tensors.map((x) => x.data()))));
  const [, length] = ids.shape;
  return layers.flatMap(([expert, slot, gate, probs], layer) =>
    Array.from({ length: ids.size }, (_, token) => {
      const [choices, experts] = [expert.length / ids.size, probs.length / ids.size];
      const made = Array.from({ length: choices }, (__, choice) => ({ choice, at: token * choices + choice })).filter(
        ({ at }) => expert[at] >= 0,
      );
      return {
        layer,
        sequence: Math.floor(token / length),
        position: token % length,
        probs: Array.from(probs.slice(token * experts, (token + 1) * experts)),
        choices: made.map(({ choice, at }) => ({ choice, expert: expert[at], gate: gate[at], kept: slot[at] >= 0, slot: slot[at] })),
      };
    }),
  );
}

/** One line per token, in columns; `labels` name the tokens of a sequence. A dropped choice is marked with an x, no choice with a dash. */
export function formatTrace(tokens: readonly TracedToken[], labels?: (sequence: number, position: number) => string): string {
  const named = columnOf(tokens, ({ sequence, position }) => (labels ? `  ${JSON.stringify(labels(sequence, position))}` : ""));
  const chosen = columnOf(tokens, choicesText);
  const lines = tokens.map((token, i) => {
    const { layer, sequence, position, probs } = token;
    const first = layer !== tokens[i - 1]?.layer || sequence !== tokens[i - 1]?.sequence;
    const shares = probs.map((p) => p.toFixed(2).replace(/^0/, "")).join(" ");
    return `${first ? `layer ${layer}, sequence ${sequence}\n` : ""}${String(position).padStart(5)}${named[i]}  ${chosen[i]}  [${shares}]`;
  });
  return lines.join("\n");
}

function choicesText({ choices, probs }: TracedToken): string {
  const digits = String(Math.max(0, probs.length - 1)).length;
  const one = ({ expert, gate, kept, slot }: TracedToken["choices"][number]): string =>
    `expert ${String(expert).padStart(digits)} gate ${gate.toFixed(3)} ${kept ? `slot ${slot}` : "x dropped"}`;
  return choices.map(one).join(" | ") || "-";
}

function columnOf(tokens: readonly TracedToken[], text: (token: TracedToken) => string): string[] {
  const cells = tokens.map(text);
  const width = Math.max(0, ...cells.map((cell) => cell.length));
  return cells.map((cell) => cell.padEnd(width));
}
