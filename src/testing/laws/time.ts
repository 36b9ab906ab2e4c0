/** Laws of time and chance: what later tokens, other sequences and random numbers may touch. P60, P64, P68, P74, P87 of the field. */
import { gradients, key, tensor } from "../../index.ts";
import type { RouterCase, Subject } from "../cases.ts";
import { D, VOCABULARY, booksOf, cases, list, normals, passOf, settingOf, vectors, without, world } from "../cases.ts";
import { holds, near, same } from "../check.ts";
import type { Law } from "./law.ts";

/** Replaces the tokens from `from` on in every sequence, and says whether an earlier output changed. */
export function futureReaches(subject: Subject, c: RouterCase, from: number): boolean {
  const before = list(world(subject, c).forward().output);
  const later = normals(c.ids.length * D, key(c.seed).at("another future"));
  const changed = vectors(c).map((x, i) => (Math.floor(i / D) % c.length < from ? x : later[i]));
  const ids = c.ids.map((id, i) => (i % c.length < from ? id : (id + 1) % VOCABULARY));
  const after = list(world(subject, c, { vectors: changed, ids }).forward().output);
  return before.some((x, i) => Math.floor(i / D) % c.length < from && Math.abs(x - after[i]) > 1e-9);
}

const sequences = cases({ group: "sequence", training: false, ...without }).map((c) => ({ ...c, padding: c.padding.map(() => 0) }));

export const time: readonly Law[] = [
  {
    name: "P74: later tokens change no earlier output",
    cases: sequences,
    of: (traits) => traits.time === "causal",
    runs: 25,
    meets: { drops: 0.2 },
    check(subject, c, note) {
      note(world(subject, c).route());
      for (let from = 1; from < c.length; from++)
        holds(!futureReaches(subject, c, from), `tokens from ${from} on changed the output of one before ${from}`);
    },
  },
  {
    name: "P74: without drops, later tokens change no earlier output",
    cases: sequences.map((c) => ({ ...c, factor: c.factor === "dropless" ? c.factor : Infinity })),
    of: (traits) => traits.time === "dropless",
    check(subject, c, note) {
      note(world(subject, c).route());
      for (let from = 1; from < c.length; from++)
        holds(!futureReaches(subject, c, from), `tokens from ${from} on changed the output of one before ${from}`);
    },
  },
  {
    name: "P89: an acausal router refuses causal models",
    cases: sequences,
    of: (traits) => traits.time === "acausal",
    check(subject, c, note) {
      const w = world(subject, c);
      note(w.route());
      const request = { tokens: w.tokens, ids: w.ids, capacityFactor: c.factor, causal: true, pass: passOf(false, c.seed) };
      let served = true;
      try {
        w.router.route(request);
      } catch {
        served = false;
      }
      holds(!served, 'a causal model was served, although the traits say time "acausal"');
    },
  },
  {
    name: "P60: evaluation draws nothing",
    cases: cases({ training: false }),
    meets: { drops: 0.1, padding: 0.3 },
    check(subject, c, note) {
      const [a, b] = [1, 2].map((draw) => world(subject, c, { pass: passOf(false, draw) }).forward());
      note(a.routing);
      same(list(b.output), list(a.output), "output under another key");
      same(booksOf(b.routing), booksOf(a.routing), "books under another key");
    },
  },
  {
    name: "P64: the same key, the same routing",
    cases: cases({ training: true }),
    meets: { drops: 0.1 },
    check(subject, c, note) {
      const [a, b] = [world(subject, c).route(), world(subject, c).route()];
      note(a);
      same(booksOf(b), booksOf(a), "books of the second time");
    },
  },
  {
    name: "P61: experts read the tokens as they are, whatever noise the router adds to its own input",
    cases: cases({ training: true }),
    of: (traits) => traits.choosing !== "mixtures",
    meets: { drops: 0.1, padding: 0.2 },
    check(subject, c, note) {
      const w = world(subject, c);
      const routing = w.route();
      note(routing);
      const rows = list(routing.dispatch(w.tokens.reshape([c.batch * c.length, D])));
      const x = vectors(c);
      booksOf(routing).slot.forEach((slots, t) =>
        slots.forEach((s) => s >= 0 && same(rows.slice(s * D, (s + 1) * D), x.slice(t * D, (t + 1) * D), `row ${s}, of token ${t}`)),
      );
      same(list(w.tokens), x, "the caller's tokens");
    },
  },
  {
    name: "P68: logits of ten thousand stay finite, forward and backward",
    cases: cases({ training: false }),
    meets: { drops: 0.1, padding: 0.3 },
    check(subject, c, note) {
      const w = world(subject, c, { vectors: vectors(c).map((x) => Math.sign(x) * 1e4 * (1 + Math.abs(x))) });
      const { output, losses, routing } = w.forward();
      note(routing);
      const total = Object.values(losses).reduce((sum, loss) => sum.add(loss), output.mul(1e-6).sum());
      holds([...list(output), total.itemSync()].every(Number.isFinite), "an output or a loss is not finite");
      for (const g of gradients(total, [w.tokens, ...w.layer.parameters()]))
        holds(list(g).every(Number.isFinite), `a gradient [${g.shape.join()}] is not finite`);
    },
  },
  {
    name: "P87: a router that loads another's state routes alike",
    cases: cases(),
    runs: 6,
    meets: { drops: 0.1 },
    check(subject, c, note) {
      const here = world(subject, c);
      const routing = here.route();
      note(routing);
      const saved = new Map([...here.router.state()].map(([name, x]) => [name, tensor(x.dataSync(), { shape: x.shape, dtype: x.dtype })]));
      const other = subject.make(settingOf({ ...c, seed: c.seed + 1 }));
      other.load(saved);
      const again = world(subject, c, { router: other }).route();
      same(booksOf(again), booksOf(routing), "books of the loaded router");
      for (const [name, loss] of Object.entries(routing.losses)) near(again.losses[name].itemSync(), loss.itemSync(), `loss "${name}"`, 0);
    },
  },
];
