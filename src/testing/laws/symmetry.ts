/** Laws of symmetry: what may be renamed, reordered, shifted or added without anything changing. P10 to P13, P38 to P40 of the field. */
import { key, tensor } from "../../index.ts";
import type { Tensor } from "../../index.ts";
import type { Routing } from "../../moe/index.ts";
import type { RouterCase, Subject } from "../cases.ts";
import { D, booksOf, cases, list, maskOf, normals, settingOf, vectors, without, world } from "../cases.ts";
import { close, holds, near, same } from "../check.ts";
import type { Law } from "./law.ts";

const numbers = (losses: Routing["losses"]): Record<string, number> =>
  Object.fromEntries(Object.entries(losses).map(([name, loss]) => [name, loss.itemSync()]));

function sameLosses(a: Routing, b: Routing, tolerance = 1e-9): void {
  const [x, y] = [numbers(a.losses), numbers(b.losses)];
  same(Object.keys(y), Object.keys(x), "names of losses");
  for (const name of Object.keys(x)) near(y[name], x[name], `loss "${name}"`, tolerance);
}

/** A permutation of 0 to n - 1 by sorting draws. */
function shuffled(n: number, seed: number): number[] {
  const draws = normals(n, key(seed).at("permutation"));
  return draws.map((_, i) => i).sort((a, b) => draws[a] - draws[b]);
}

const pick = <T>(from: readonly T[], order: readonly number[]): T[] => order.map((i) => from[i]);

/** Changes every parameter of the router whose last axis counts experts. */
function eachColumn(
  subject: Subject,
  c: RouterCase,
  change: (values: readonly number[], rows: number) => number[],
): ReturnType<Subject["make"]> {
  const router = subject.make(settingOf(c));
  const columns = [...router.state().values()].filter((x) => x.shape[x.shape.length - 1] === c.experts && x.dtype !== "int32");
  holds(columns.length > 0, `no parameter of the router has its ${c.experts} experts as last axis`);
  for (const parameter of columns) {
    const rows = parameter.size / c.experts;
    parameter.assign(tensor(Float64Array.from(change(list(parameter), rows)), { shape: parameter.shape, dtype: parameter.dtype }));
  }
  return router;
}

/** The rows of [B, T, D] by token. */
function tokenRows(x: Tensor): number[][] {
  const flat = list(x);
  return Array.from({ length: flat.length / D }, (_, t) => flat.slice(t * D, (t + 1) * D));
}

export const symmetry: readonly Law[] = [
  {
    name: "P10: renumbered experts are chosen alike",
    cases: cases({ ...without, training: false }),
    of: (traits) => traits.learns && traits.choosing !== "mixtures",
    meets: { drops: 0.1, padding: 0.3, emptyExperts: 0.2 },
    check(subject, c, note) {
      const order = shuffled(c.experts, c.seed); // new expert i is old expert order[i]
      const before = world(subject, c).route();
      note(before);
      const router = eachColumn(subject, c, (values, rows) =>
        Array.from({ length: rows }, (_, r) => pick(values.slice(r * c.experts, (r + 1) * c.experts), order)).flat(),
      );
      const after = world(subject, c, { router }).route();
      sameLosses(before, after);
      const [a, b] = [booksOf(before), booksOf(after)];
      const served = (books: typeof a, name: (e: number) => number) =>
        books.expert.map((choices, t) =>
          choices.flatMap((e, k) => (e < 0 ? [] : [[name(e), Number(books.slot[t][k] >= 0), books.gate[t][k].toFixed(9)].join()])).sort(),
        );
      same(served(b, (e) => order[e]), served(a, (e) => e), "expert, seated, gate of choices, by their old names"); // prettier-ignore
    },
  },
  {
    name: "P11: reordered tokens get the same outputs, while no choice is dropped",
    cases: cases({ ...without, training: false, batch: 1, group: "batch" }).map((c) => ({
      ...c,
      factor: c.factor === "dropless" ? c.factor : Infinity,
      padding: c.padding.map(() => 0),
    })),
    meets: { emptyExperts: 0.15 },
    check(subject, c, note) {
      const order = shuffled(c.batch * c.length, c.seed);
      const before = world(subject, c).forward();
      note(before.routing);
      const rows = Array.from({ length: order.length }, (_, t) => vectors(c).slice(t * D, (t + 1) * D));
      const after = world(subject, c, { vectors: pick(rows, order).flat(), ids: pick(c.ids, order) }).forward();
      close(tokenRows(after.output).flat(), pick(tokenRows(before.output), order).flat(), "output");
      sameLosses(before.routing, after.routing);
    },
  },
  {
    name: "P12: the same number added to all logits of a token changes no choice, no gate and no balance",
    cases: cases({ training: false, ...without }),
    of: (traits) => traits.learns && traits.choosing !== "mixtures" && traits.scores === "softmax",
    meets: { drops: 0.1 },
    check(subject, c, note) {
      const before = world(subject, c).route();
      note(before);
      const shift = normals(D, key(c.seed).at("shift")); // W + s 1^T adds x s to every logit of token x
      const router = eachColumn(subject, c, (values, rows) =>
        values.map((w, i) => (rows === D ? w + shift[Math.floor(i / c.experts)] : w)),
      );
      const after = world(subject, c, { router }).route();
      const [a, b] = [booksOf(before), booksOf(after)];
      same(b.expert, a.expert, "experts of choices");
      same(b.slot, a.slot, "slots of choices");
      close(b.gate.flat(), a.gate.flat(), "gate");
      const [x, y] = [numbers(before.losses), numbers(after.losses)];
      for (const name of Object.keys(x)) if (name !== "z") near(y[name], x[name], `loss "${name}"`);
      if ("z" in x && maskOf(c).includes(1)) holds(Math.abs(x["z"] - y["z"]) > 1e-9, "the z-loss did not change with the shift");
    },
  },
  {
    name: "P13: logits times a positive number lead to the same choices",
    cases: cases({ ...without, training: false }),
    of: (traits) => traits.learns && traits.choosing === "tokens" && traits.scores === "softmax",
    meets: { drops: 0.1, padding: 0.3 },
    check(subject, c, note) {
      const before = world(subject, c).route();
      note(before);
      const after = world(subject, c, { router: eachColumn(subject, c, (values) => values.map((w) => 3 * w)) }).route();
      same(booksOf(after).expert, booksOf(before).expert, "experts of choices");
    },
  },
  {
    name: "P38: losses do not depend on capacity",
    cases: cases(),
    of: (traits) => traits.capacity,
    meets: { drops: 0.1, padding: 0.3 },
    check(subject, c, note) {
      const some = world(subject, c).route();
      note(some);
      sameLosses(some, world(subject, { ...c, factor: "dropless" }).route(), 1e-12);
    },
  },
  {
    name: "P39: padding, whatever it holds, changes no loss, no slot of a token and no output",
    cases: cases({ training: false, batch: 1, group: "batch", repeats: false }),
    meets: { drops: 0.1, padding: 0.2 },
    check(subject, c, note) {
      const plain = world(subject, c).forward();
      note(plain.routing);
      const more = 3;
      const padded = {
        ...c,
        length: c.length + more,
        ids: [...c.ids, 0, 1, 2],
        padding: [c.padding[0] + more],
        factor: sameCapacity(subject, c, more),
      };
      const junk = new Array<number>(more * D).fill(NaN); // which a mask that multiplies lets through
      const after = world(subject, padded, { vectors: [...vectors(c), ...junk] }).forward();
      sameLosses(plain.routing, after.routing);
      close(tokenRows(after.output).slice(0, c.length).flat(), tokenRows(plain.output).flat(), "output");
      const [a, b] = [booksOf(plain.routing), booksOf(after.routing)];
      const seated = (slots: number[][]): boolean[][] => slots.slice(0, c.length).map((s) => s.map((x) => x >= 0));
      same(seated(b.slot), seated(a.slot), "choices that have a slot");
    },
  },
  {
    name: "P40: a batch repeated twice has the same losses",
    cases: cases({ training: false, batch: 1 }),
    of: (traits) => traits.choosing !== "mixtures",
    meets: { padding: 0.2, emptyExperts: 0.2 },
    check(subject, c, note) {
      const once = world(subject, c).route();
      note(once);
      const twice = { ...c, batch: 2, ids: [...c.ids, ...c.ids], padding: [c.padding[0], c.padding[0]] };
      sameLosses(once, world(subject, twice, { vectors: [...vectors(c), ...vectors(c)] }).route());
    },
  },
];

/** The factor under which `more` further tokens leave the number of slots as it is. */
function sameCapacity(subject: Subject, c: RouterCase, more: number): RouterCase["factor"] {
  if (typeof c.factor !== "number" || c.factor === Infinity) return c.factor;
  const choices = subject.make(settingOf(c)).traits.choices;
  const capacity = Math.min(c.length, Math.max(1, Math.ceil((c.length * choices * c.factor) / c.experts)));
  return ((capacity - 0.5) * c.experts) / ((c.length + more) * choices);
}
