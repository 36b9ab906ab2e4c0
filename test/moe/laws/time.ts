/** Laws of time and chance: what later tokens, other sequences and random numbers may touch. P60, P64, P68, P74, P87 of the field. */
import { expect } from "chai";
import { gradients, tensor } from "../../../src/index.ts";
import type { Case } from "../cases.ts";
import { D, booksOf, cases, list, normals, passOf, vectors, without, world } from "../cases.ts";
import { key } from "../../../src/index.ts";
import type { RouterRow } from "../routers.ts";
import type { Law } from "./law.ts";

/** Replaces the tokens from `from` on in every sequence, and says whether an earlier output changed. */
export function futureReaches(row: RouterRow, c: Case, from: number): boolean {
  const before = list(world(row, c).forward().output);
  const later = normals(c.ids.length * D, key(c.seed).at("another future"));
  const changed = vectors(c).map((x, i) => (Math.floor(i / D) % c.length < from ? x : later[i]));
  const ids = c.ids.map((id, i) => (i % c.length < from ? id : (id + 1) % 5));
  const after = list(world(row, c, { vectors: changed, ids }).forward().output);
  return before.some((x, i) => Math.floor(i / D) % c.length < from && Math.abs(x - after[i]) > 1e-9);
}

const sequences = cases({ group: "sequence", training: false, ...without }).map((c) => ({ ...c, padding: c.padding.map(() => 0) }));

export const time: readonly Law[] = [
  {
    name: "P74: what is later changes nothing earlier",
    cases: sequences,
    of: (traits) => traits.time === "causal",
    meets: { drops: 0.2 },
    check(row, c, note) {
      note(world(row, c).route());
      for (let from = 1; from < c.length; from++) expect(futureReaches(row, c, from), `tokens before ${from}`).to.equal(false);
    },
  },
  {
    name: "P74: without drops, what is later changes nothing earlier",
    cases: sequences.map((c) => ({ ...c, factor: c.factor === "dropless" ? c.factor : Infinity })),
    of: (traits) => traits.time === "dropless",
    check(row, c, note) {
      note(world(row, c).route());
      for (let from = 1; from < c.length; from++) expect(futureReaches(row, c, from), `tokens before ${from}`).to.equal(false);
    },
  },
  {
    name: "P60: evaluation draws nothing",
    cases: cases({ training: false }),
    meets: { drops: 0.1, padding: 0.3 },
    check(row, c, note) {
      const [a, b] = [1, 2].map((draw) => world(row, c, { pass: passOf(false, draw) }).forward());
      note(a.routing);
      expect(list(a.output)).to.deep.equal(list(b.output));
      expect(booksOf(a.routing)).to.deep.equal(booksOf(b.routing));
    },
  },
  {
    name: "P64: the same key, the same routing",
    cases: cases({ training: true }),
    meets: { drops: 0.1 },
    check(row, c, note) {
      const [a, b] = [world(row, c).route(), world(row, c).route()];
      note(a);
      expect(booksOf(a)).to.deep.equal(booksOf(b));
    },
  },
  {
    name: "P61: what the router does to its input, the experts do not see",
    cases: cases({ training: true }),
    of: (traits) => traits.choosing !== "mixtures",
    meets: { drops: 0.1, padding: 0.2 },
    check(row, c, note) {
      const w = world(row, c);
      const routing = w.route();
      note(routing);
      const rows = list(routing.dispatch(w.tokens.reshape([c.batch * c.length, D])));
      const x = vectors(c);
      booksOf(routing).slot.forEach((slots, t) =>
        slots.forEach((s) => s >= 0 && expect(rows.slice(s * D, (s + 1) * D)).to.deep.equal(x.slice(t * D, (t + 1) * D))),
      );
      expect(list(w.tokens), "the caller's tokens").to.deep.equal(x);
    },
  },
  {
    name: "P68: logits of ten thousand stay finite, forward and backward",
    cases: cases({ training: false }),
    meets: { drops: 0.1, padding: 0.3 },
    check(row, c, note) {
      const w = world(row, c, { vectors: vectors(c).map((x) => Math.sign(x) * 1e4 * (1 + Math.abs(x))) });
      const { output, losses, routing } = w.forward();
      note(routing);
      const total = Object.values(losses).reduce((sum, loss) => sum.add(loss), output.mul(1e-6).sum());
      expect(list(output).every(Number.isFinite) && Number.isFinite(total.itemSync()), "values").to.equal(true);
      for (const g of gradients(total, [w.tokens, ...w.layer.parameters()]))
        expect(list(g).every(Number.isFinite), "gradients").to.equal(true);
    },
  },
  {
    name: "P87: a router that loads another's state routes alike",
    cases: cases(),
    runs: 6,
    meets: { drops: 0.1 },
    check(row, c, note) {
      const here = world(row, c);
      const routing = here.route();
      note(routing);
      const saved = new Map([...here.router.state()].map(([name, x]) => [name, tensor(x.dataSync(), { shape: x.shape, dtype: x.dtype })]));
      const other = row.make({ ...c, seed: c.seed + 1, twins: false });
      other.load(saved);
      const again = world(row, c, { router: other }).route();
      expect(booksOf(again)).to.deep.equal(booksOf(routing));
      for (const [name, loss] of Object.entries(routing.losses)) expect(again.losses[name].itemSync(), name).to.equal(loss.itemSync());
    },
  },
];
