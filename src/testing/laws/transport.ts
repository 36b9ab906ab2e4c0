/** Laws of dispatch and combine: values, first and second derivatives. Properties P7, P9, P18 to P20, P25 to P28, P54 to P57 of the field. */
import { gradients, key, tensor } from "../../index.ts";
import type { Tensor } from "../../index.ts";
import { FeedForwardExperts } from "../../moe/index.ts";
import { Adam } from "../../nn/index.ts";
import type { World } from "../cases.ts";
import { D, booksOf, cases, list, maskOf, normals, vectors, without, world } from "../cases.ts";
import { close, holds, near, same } from "../check.ts";
import { moeByOneHot, oneHotSeats } from "../oracle.ts";
import type { Law } from "./law.ts";

/** A fixed random number for each element. */
function direction(like: Tensor, name: string): Tensor {
  return tensor(Float64Array.from(normals(like.size, key(5).at(name))), { shape: like.shape });
}

/** What the world can be differentiated by: tokens, router, experts. */
function leaves({ tokens, layer }: World): Tensor[] {
  return [tokens, ...layer.parameters()];
}

/** A scalar of the output with a second derivative that is not 0. */
function objective(output: Tensor): Tensor {
  const flat = output.reshape([output.size]);
  return flat.mul(direction(flat, "objective")).sum().add(flat.square().sum().mul(0.3));
}

/** First derivatives, and the second ones along one direction. */
function derivatives(root: Tensor, xs: readonly Tensor[]): { first: number[][]; second: number[][] } {
  const first = gradients(root, xs, { createGraph: true });
  const slope = first.map((g, i) => g.mul(direction(g, `along ${i}`)).sum()).reduce((a, b) => a.add(b));
  const second = slope.requiresGrad ? gradients(slope, xs) : xs.map((x) => x.detach().mul(0));
  return { first: first.map(list), second: second.map(list) };
}

function expertsOf({ layer }: World): FeedForwardExperts {
  if (!(layer.experts instanceof FeedForwardExperts)) throw new TypeError("worlds have feed-forward experts");
  return layer.experts;
}

const flatten = (tokens: Tensor): Tensor => tokens.reshape([tokens.shape[0] * tokens.shape[1], D]);

/** The same router parameters where one run had them and the other computes with them. */
function compareDerivatives(a: Tensor, b: Tensor, xs: readonly Tensor[], tolerance = 1e-8): void {
  const [left, right] = [derivatives(a, xs), derivatives(b, xs)];
  xs.forEach((x, i) => {
    close(left.first[i], right.first[i], `gradient of leaf ${i} [${x.shape.join()}]`, tolerance);
    close(left.second[i], right.second[i], `Hessian-vector product of leaf ${i} [${x.shape.join()}]`, tolerance);
  });
}

/** The smallest difference between two numbers of one row or of one column; Infinity where there are no two. */
export function smallestGap(rows: readonly (readonly number[])[]): number {
  const columns = (rows[0] ?? []).map((_, i) => rows.map((row) => row[i]));
  const gaps = [...rows, ...columns].flatMap((line) => {
    const sorted = line.toSorted((a, b) => a - b);
    return sorted.slice(1).map((x, i) => x - sorted[i]);
  });
  return Math.min(...gaps);
}

/** Whether small steps change no choice: no two logits of one token, or of one expert, are near each other. */
function clearOfTies(w: World, real: readonly number[]): boolean {
  if (w.router.traits.scores === "none") return true; // nothing is chosen by logits
  return smallestGap(booksOf(w.route()).logits.filter((_, t) => real[t])) > 2e-4; // padding has none of its own
}

export const transport: readonly Law[] = [
  {
    name: "P18 P25 P27: one-hot products and a loop over experts give the same values, gradients and Hessian-vector products",
    cases: cases({ training: false }),
    of: (_, subject) => subject.seats !== undefined,
    runs: 10,
    meets: { drops: 0.15, padding: 0.3, emptyExperts: 0.2 },
    check(subject, c, note) {
      const w = world(subject, c);
      const { output, routing } = w.forward();
      note(routing);
      const seats = subject.seats?.(c, w);
      if (!seats) return;
      const rows = 1 + Math.max(0, ...seats.slot.flat());
      const oneHot = oneHotSeats(seats.expert, seats.slot, c.experts, rows);
      const oracle = moeByOneHot(flatten(w.tokens), oneHot, seats.gates, expertsOf(w));
      close(list(output), list(oracle), "output");
      compareDerivatives(objective(output), objective(oracle), leaves(w));
    },
  },
  {
    name: "P20: a slot for every token gives the same as sorted rows, and drops no choice",
    cases: cases({ factor: Infinity }),
    of: (traits) => traits.capacity,
    runs: 8,
    meets: { padding: 0.3, emptyExperts: 0.2 },
    check(subject, c, note) {
      const slots = world(subject, c).forward();
      const w = world(subject, { ...c, factor: "dropless" });
      const sorted = w.forward();
      note(sorted.routing);
      same([slots.routing.kind, sorted.routing.kind], ["slots", "sorted"], "kinds of routing at factors Infinity and dropless");
      close(list(sorted.output), list(slots.output), "output");
      const w2 = world(subject, c);
      const [a, b] = [derivatives(objective(sorted.output), leaves(w)), derivatives(objective(w2.forward().output), leaves(w2))];
      a.first.forEach((g, i) => close(g, b.first[i], `gradient ${i}`, 1e-8));
      a.second.forEach((g, i) => close(g, b.second[i], `Hessian-vector product ${i}`, 1e-8));
      const { expert, slot } = booksOf(slots.routing);
      slot.forEach((own, t) => own.forEach((s, k) => same(s >= 0, expert[t][k] >= 0, `whether choice ${k} of token ${t} has a slot`)));
    },
  },
  {
    name: "P25: a token without a slot gets exactly 0, and so does padding",
    cases: cases(),
    meets: { drops: 0.1, padding: 0.3 },
    check(subject, c, note) {
      const { output, routing } = world(subject, c).forward();
      note(routing);
      const real = maskOf(c);
      const y = list(output);
      booksOf(routing).slot.forEach((slots, t) => {
        if (real[t] && slots.some((s) => s >= 0)) return;
        for (let d = 0; d < D; d++) holds(y[t * D + d] === 0, `output of token ${t}: ${y[t * D + d]}, wanted 0`);
      });
    },
  },
  {
    name: "P25 P39: NaN in padding reaches no output, no gradient and no loss",
    cases: cases({ ...without }),
    runs: 10,
    meets: { drops: 0.1, padding: 0.3 },
    check(subject, c, note) {
      const real = maskOf(c);
      const seen = (junk: number): { values: number[]; gradients: number[][]; padded: number[] } => {
        const w = world(subject, c, { vectors: vectors(c).map((x, i) => (real[Math.floor(i / D)] ? x : junk)) });
        const { output, losses, routing } = w.forward();
        note(routing);
        const total = Object.values(losses).reduce((sum, loss) => sum.add(loss), objective(output));
        const [ofTokens, ...ofParameters] = gradients(total, leaves(w)).map(list);
        return {
          values: [...list(output), ...Object.values(losses).map((loss) => loss.itemSync())],
          gradients: [ofTokens, ...ofParameters],
          padded: ofTokens.filter((_, i) => !real[Math.floor(i / D)]),
        };
      };
      const [clean, dirty] = [seen(0), seen(NaN)];
      close(dirty.values, clean.values, "outputs and losses", 1e-12);
      dirty.gradients.forEach((g, i) => close(g, clean.gradients[i], `gradient of leaf ${i}`, 1e-12));
      holds(
        dirty.padded.every((g) => g === 0),
        "padding has a gradient that is not 0",
      );
    },
  },
  {
    name: "P28: the content of empty slots changes no output and no gradient",
    cases: cases(),
    of: (traits) => traits.choosing !== "mixtures",
    meets: { drops: 0.1, padding: 0.2 },
    check(subject, c, note) {
      const w = world(subject, c);
      const routing = w.route();
      note(routing);
      const rows = routing.dispatch(flatten(w.tokens));
      const flat = rows.reshape([rows.size / D, D]);
      const used = new Set(booksOf(routing).slot.flat());
      const empty = Float64Array.from({ length: flat.size }, (_, i) => (used.has(Math.floor(i / D)) ? 0 : NaN));
      list(flat).forEach((x, i) => holds(used.has(Math.floor(i / D)) || x === 0, `empty slot ${Math.floor(i / D)} holds ${x}, wanted 0`));
      const [clean, dirty] = [rows, rows.add(tensor(empty, { shape: rows.shape }))].map((x) => routing.combine(x));
      close(list(dirty), list(clean), "output", 0);
      const xs = [w.tokens, ...w.router.parameters()];
      const [a, b] = [clean, dirty].map((y) => gradients(y.mul(direction(y, "g")).sum(), xs).map(list));
      a.forEach((g, i) => close(b[i], g, `gradient ${i}`, 1e-12));
    },
  },
  {
    name: "P9 P19: identity experts return each token times the sum of its seated gates",
    cases: cases(),
    of: (traits) => traits.choosing !== "mixtures",
    meets: { drops: 0.1, padding: 0.3 },
    check(subject, c, note) {
      const w = world(subject, c);
      const routing = w.route();
      note(routing);
      const y = list(routing.combine(routing.dispatch(flatten(w.tokens))));
      const x = vectors(c);
      const { gate, slot, expert } = booksOf(routing);
      gate.forEach((gates, t) => {
        const served = gates.reduce((sum, g, k) => (slot[t][k] >= 0 ? sum + g : sum), 0);
        const complete = expert[t].every((e, k) => e >= 0 && slot[t][k] >= 0);
        for (let d = 0; d < D; d++)
          near(y[t * D + d], served * x[t * D + d], `output ${d} of token ${t}, whose served gates are ${served}`);
        const { scores, gatesSumToOne } = w.router.traits;
        holds(scores === "sigmoid" || served <= 1 + 1e-9, `gates of token ${t} add up to ${served}, wanted 1 at most`);
        if (gatesSumToOne && complete) near(served, 1, `sum of the gates of token ${t}`);
      });
    },
  },
  {
    name: "P54: gradients of output and losses are those of finite differences, away from ties",
    cases: cases({ ...without }),
    runs: 8,
    meets: { drops: 0.1, padding: 0.2 },
    check(subject, c, note) {
      const w = world(subject, c);
      if (!clearOfTies(w, maskOf(c))) return;
      note(w.route()); // those that are not compared do not count
      const value = ({ output, losses }: ReturnType<World["forward"]>): Tensor =>
        Object.values(losses).reduce((sum, loss) => sum.add(loss), objective(output));
      const xs = leaves(w);
      const g = gradients(value(w.forward()), xs);
      const moved = (step: number): number => {
        const before = xs.map((x) => x.detach());
        xs.forEach((x, i) => x.assign(before[i].add(direction(x, `step ${i}`).mul(step))));
        const out = value(w.forward()).itemSync();
        xs.forEach((x, i) => x.assign(before[i]));
        return out;
      };
      const h = 1e-5;
      const slope = (moved(h) - moved(-h)) / (2 * h);
      const along = g.reduce(
        (sum, gi, i) =>
          sum +
          gi
            .mul(direction(gi, `step ${i}`))
            .sum()
            .itemSync(),
        0,
      );
      near(along, slope, "derivative along a direction, against finite differences", 2e-5);
    },
  },
  {
    name: "P55 P56: an expert without tokens has a gradient of exactly 0, and a step leaves it finite",
    cases: cases(),
    of: (traits) => traits.choosing !== "mixtures",
    meets: { emptyExperts: 0.2 },
    check(subject, c, note) {
      const w = world(subject, c);
      const { output, routing } = w.forward();
      note(routing);
      const { expert, slot } = booksOf(routing);
      const used = new Set(expert.flatMap((row_, t) => row_.filter((_, k) => slot[t][k] >= 0)));
      const parameters = w.layer.experts.parameters();
      objective(output).backward();
      for (const { grad } of parameters) {
        holds(grad !== null, "an expert's parameter has no gradient");
        const flat = grad ? list(grad) : [];
        const each = flat.length / c.experts;
        for (let e = 0; e < c.experts; e++)
          if (!used.has(e))
            holds(
              flat.slice(e * each, (e + 1) * each).every((x) => x === 0),
              `expert ${e}, which has no token, has a gradient that is not 0`,
            );
      }
      new Adam(w.layer, { lr: 1e-3 }).step();
      for (const parameter of parameters) holds(list(parameter).every(Number.isFinite), "a parameter is not finite after a step");
    },
  },
  {
    name: "P53: the loss of the task has a gradient for the router",
    cases: cases({ ...without, training: false, choices: 2, batch: 2, length: 6, experts: 4, padding: [0, 1], factor: 2 }),
    of: (traits) => traits.learns,
    runs: 5,
    check(subject, c, note) {
      const w = world(subject, c);
      const { output, routing } = w.forward();
      note(routing);
      const total = gradients(objective(output), w.router.parameters()).reduce((sum, g) => sum + g.abs().sum().itemSync(), 0);
      holds(total > 1e-6, `gradients of the router's parameters add up to ${total} in size, wanted more than 0`);
    },
  },
];
