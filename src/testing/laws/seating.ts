/** Laws of slots: which choices are kept, which are dropped, and that no two share a slot. Properties P14 to P24, P31, P33, P90. */
import { booksOf, cases, list, maskOf, world } from "../cases.ts";
import { holds, near, same } from "../check.ts";
import { capacityByHand } from "../oracle.ts";
import type { Law } from "./law.ts";

const hard: Law["of"] = (traits) => traits.choosing !== "mixtures";

export const seating: readonly Law[] = [
  {
    name: "P2 P14 P15 P33: a choice has one slot, a slot one choice, a token each expert once",
    cases: cases(),
    of: hard,
    runs: 25,
    meets: { drops: 0.15, padding: 0.3, emptyExperts: 0.2, tiedExperts: 0.2, oneExpert: 0.1, fewTokens: 0.05, dropless: 0.1 },
    check(subject, c, note) {
      const routing = world(subject, c).route();
      note(routing);
      const { expert, slot } = booksOf(routing);
      const rows = routing.layout.lead.reduce((a, b) => a * b, 1);
      const offsets = routing.layout.offsets && list(routing.layout.offsets);
      const used = new Set<number>();
      expert.forEach((choices, t) => {
        const real = choices.filter((e) => e >= 0);
        holds(new Set(real).size === real.length, `token ${t} chose ${choices.join()}, wanted different experts`);
        choices.forEach((e, k) => {
          const s = slot[t][k];
          if (s < 0) return;
          holds(e >= 0 && e < c.experts, `token ${t} has slot ${s} for a choice of expert ${e}`);
          holds(!used.has(s), `slot ${s} is given twice, the second time to token ${t}`);
          used.add(s);
          const owner = offsets ? offsets.findLastIndex((from) => from <= s && s < offsets[c.experts]) : Math.floor((s * c.experts) / rows);
          holds(s < rows, `token ${t} has slot ${s} of ${rows}`);
          if (!offsets) same(owner, e, `the owner of slot ${s}`);
          else
            holds(offsets[e] <= s && s < offsets[e + 1], `row ${s} of expert ${e}, whose rows are ${offsets[e]} to ${offsets[e + 1] - 1}`);
        });
      });
    },
  },
  {
    name: "P16 P17 P22 P23 P24 P29: experts and slots are those that plain loops over tokens give",
    cases: cases({ training: false }),
    of: (_, subject) => subject.seats !== undefined,
    runs: 25,
    meets: { drops: 0.15, padding: 0.3, emptyExperts: 0.2, tiedTokens: 0.3, tiedExperts: 0.2, oneExpert: 0.1, fewTokens: 0.05 },
    check(subject, c, note) {
      const made = world(subject, c);
      const routing = made.route();
      note(routing);
      const seats = subject.seats?.(c, made);
      if (!seats) return;
      const { expert, slot } = booksOf(routing);
      const kept = (rows: readonly (readonly number[])[]): boolean[][] => rows.map((row) => row.map((s) => s >= 0));
      same(expert, seats.expert, "experts of choices");
      same(kept(slot), kept(seats.slot), "choices that have a slot");
    },
  },
  {
    name: "P16 P17: an expert keeps as many choices of each group as it has slots, in its first slots, in training too",
    cases: cases(),
    of: (traits) => traits.choosing === "tokens" && traits.capacity,
    meets: { drops: 0.15, padding: 0.3 },
    check(subject, c, note) {
      const routing = world(subject, c).route();
      note(routing);
      if (routing.kind !== "slots") return;
      const groups = c.group === "sequence" ? c.batch : 1;
      const size = (c.batch * c.length) / groups;
      const { expert, slot } = booksOf(routing);
      const capacity = capacityByHand(size, expert[0].length, c.experts, Number(c.factor));
      same(routing.layout.lead, [c.experts, groups * capacity], "[experts, slots of each]");
      for (let e = 0; e < c.experts; e++)
        for (let g = 0; g < groups; g++) {
          const wanted = expert.slice(g * size, (g + 1) * size).flat().filter((x) => x === e).length; // prettier-ignore
          const first = (e * groups + g) * capacity;
          const used = slot.flat().filter((s) => s >= first && s < first + capacity).sort((a, b) => a - b); // prettier-ignore
          const free = Array.from({ length: Math.min(wanted, capacity) }, (_, place) => first + place);
          same(used, free, `slots of expert ${e} in group ${g}, which ${wanted} chose`);
        }
    },
  },
  {
    name: "P90: the rows that hold a token are the first ones of their expert and group, as many as the layout counts",
    cases: cases(),
    of: hard,
    meets: { padding: 0.3, emptyExperts: 0.1 },
    check(subject, c, note) {
      const routing = world(subject, c).route();
      note(routing);
      const { filled, lead } = routing.layout;
      if (routing.kind !== "slots" || !filled) return;
      const [experts, groups] = filled.shape;
      const capacity = lead[1] / groups;
      const counts = list(filled);
      const slots = booksOf(routing).slot.flat();
      for (let e = 0; e < experts; e++)
        for (let g = 0; g < groups; g++) {
          const from = (e * groups + g) * capacity;
          const used = slots.filter((s) => s >= from && s < from + capacity).sort((a, b) => a - b);
          const first = Array.from({ length: counts[e * groups + g] }, (_, i) => from + i);
          same(used, first, `slots of expert ${e} in group ${g} that hold a token`);
        }
    },
  },
  {
    name: "P31: every real token makes its choices, padding none",
    cases: cases(),
    of: (traits) => traits.choosing === "tokens",
    meets: { padding: 0.3, emptyExperts: 0.2 },
    check(subject, c, note) {
      const routing = world(subject, c).route();
      note(routing);
      const real = maskOf(c);
      booksOf(routing).expert.forEach((choices, t) =>
        holds(
          choices.every((e) => e >= 0 === (real[t] === 1)),
          `token ${t}, which is ${real[t] ? "real" : "padding"}, chose ${choices.join()}`,
        ),
      );
    },
  },
  {
    name: "P21: a larger capacity keeps every choice that was kept",
    cases: cases({ training: false }),
    of: (traits) => traits.choosing === "tokens",
    meets: { drops: 0.15 },
    check(subject, c, note) {
      const before = world(subject, c).route();
      note(before);
      const wider = typeof c.factor === "number" ? c.factor * 1.5 : c.factor;
      const after = booksOf(world(subject, { ...c, factor: wider }).route());
      booksOf(before).slot.forEach((slots, t) =>
        slots.forEach((s, k) => s >= 0 && holds(after.slot[t][k] >= 0, `token ${t} lost its slot at factor ${wider}`)),
      );
    },
  },
  {
    name: "P30 P75: with a group per sequence, no sequence changes the output of another",
    cases: cases({ group: "sequence", training: false }),
    meets: { drops: 0.1, padding: 0.3 },
    check(subject, c, note) {
      const all = world(subject, c).forward();
      note(all.routing);
      const D = all.output.shape[2];
      for (let b = 0; b < c.batch; b++) {
        const one = { ...c, batch: 1, ids: c.ids.slice(b * c.length, (b + 1) * c.length), padding: [c.padding[b]] };
        const alone = world(subject, one, {
          vectors: list(world(subject, c).tokens).slice(b * c.length * D, (b + 1) * c.length * D),
        }).forward();
        const together = list(all.output.narrow(0, b, b + 1));
        list(alone.output).forEach((x, i) => near(together[i], x, `sequence ${b} among others, output ${i}`));
      }
    },
  },
];
