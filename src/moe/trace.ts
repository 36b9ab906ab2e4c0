/**
 * Traces: for every sparse layer, position and choice the expert, the gate, and whether a slot was found. A trace reads the books of the routings
 * that a forward pass returns anyway, so a model that is not traced is not slower.
 * B sequences, T tokens of each, E experts, K choices.
 */
import { noGrad } from "../autograd/context.ts";
import { key } from "../autograd/random.ts";
import { scope } from "../autograd/scope.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Pass } from "../nn/module.ts";
import type { Kind } from "./arguments.ts";
import { aPass, callable, check, having, listOf, optional, someBooks, tensorOf } from "./arguments.ts";
import type { Routing } from "./routing.ts";

/** One choice of a token: which expert, with which weight, and whether it was served. */
export interface TracedChoice {
  /** 0 for the first choice. */
  readonly choice: number;
  readonly expert: number;
  readonly gate: number;
  /** false: the expert was full, and the choice was dropped. */
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

/** A model whose forward pass returns the routings of its sparse layers, in layer order. */
export interface TraceableModel {
  forward(ids: Tensor, input: object, pass: Pass): { readonly routings: readonly object[] };
}

const aModel: Kind = {
  wanted: "a model, such as a DecoderLanguageModel",
  accepts: (value) => callable.accepts((Object(value) as Record<string, unknown>)["forward"]),
};
const aRouting: Kind = {
  wanted: "a routing",
  accepts: (value) => someBooks(true).accepts((Object(value) as Record<string, unknown>)["books"]),
};

/**
 * Runs a model on ids [B, T] int32, in evaluation unless the pass says otherwise, and reads for each sparse layer and token its choices, gates and
 * slots, layer by layer and token by token. Throws for a model whose forward pass returns no routings.
 */
export async function trace(model: TraceableModel, ids: Tensor, pass: Pass = { training: false, random: key(0) }): Promise<TracedToken[]> {
  check("trace", "model", model, aModel);
  check("trace", "ids", ids, tensorOf("B, T"));
  check("trace", "pass", pass, aPass);
  const read = scope(() => {
    const output = noGrad(() => model.forward(ids, {}, pass));
    check("trace", "model.forward(...)", output, having("an object with routings", "routings"));
    const routings = output.routings as readonly Routing[];
    check("trace", "model.forward(...).routings", routings, { ...listOf(aRouting), wanted: "an array of routings" });
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

/**
 * A trace as text, one line per token, in columns: position, label, expert, gate and slot of each choice, and in brackets the probabilities of all
 * experts. `labels` name the tokens of a sequence. A dropped choice is marked "x dropped", a token without a choice "-". Throws for tokens
 * that are not those of `trace`.
 */
export function formatTrace(tokens: readonly TracedToken[], labels?: (sequence: number, position: number) => string): string {
  const aToken = having("a token", "layer", "sequence", "position", "probs", "choices");
  check("formatTrace", "tokens", tokens, { ...listOf(aToken), wanted: "an array of traced tokens, as trace returns them" });
  check("formatTrace", "labels", labels, optional(callable));
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
  const width = cells.reduce((most, cell) => Math.max(most, cell.length), 0);
  return cells.map((cell) => cell.padEnd(width));
}
