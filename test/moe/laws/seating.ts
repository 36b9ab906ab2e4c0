/** Laws of seats: who is kept, who is dropped, and that nobody sits on another's lap. Properties P14 to P24, P31, P33 of the field. */
import { expect } from "chai";
import { cases, maskOf, world, booksOf, list } from "../cases.ts";
import { agreesByHand } from "../routers.ts";
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
    check(row, c, note) {
      const routing = world(row, c).route();
      note(routing);
      const { expert, slot } = booksOf(routing);
      const rows = routing.layout.lead.reduce((a, b) => a * b, 1);
      const offsets = routing.layout.offsets && list(routing.layout.offsets);
      const used = new Set<number>();
      expert.forEach((choices, t) => {
        const real = choices.filter((e) => e >= 0);
        expect(new Set(real).size, `token ${t} chose ${choices.join()}`).to.equal(real.length);
        choices.forEach((e, k) => {
          const s = slot[t][k];
          if (s < 0) return;
          expect(e, "a slot without a choice").to.be.within(0, c.experts - 1);
          expect(used.has(s), `slot ${s} twice`).to.equal(false);
          used.add(s);
          const owner = offsets ? offsets.findLastIndex((from) => from <= s && s < offsets[c.experts]) : Math.floor((s * c.experts) / rows);
          expect(s, "slot").to.be.lessThan(rows);
          if (!offsets) expect(owner, "whose slot").to.equal(e);
          else expect(s, "row within its expert's").to.be.within(offsets[e], offsets[e + 1] - 1);
        });
      });
    },
  },
  {
    name: "P16 P17 P22 P23 P24 P29: seats are those that loops over tokens give",
    cases: cases({ training: false }),
    of: (_, row) => row.seats !== undefined,
    runs: 25,
    meets: { drops: 0.15, padding: 0.3, emptyExperts: 0.2, tiedTokens: 0.3, tiedExperts: 0.2, oneExpert: 0.1, fewTokens: 0.05 },
    check(row, c, note) {
      const made = world(row, c);
      const routing = made.route();
      note(routing);
      const seats = row.seats?.(c, made);
      expect(
        seats && agreesByHand(seats, routing),
        JSON.stringify({ byHand: seats && { expert: seats.expert, slot: seats.slot }, books: booksOf(routing) }),
      ).to.equal(true);
    },
  },
  {
    name: "P16 P17: an expert keeps as many of each group as it has room for, in its first slots, in training too",
    cases: cases(),
    of: (traits) => traits.choosing === "tokens" && traits.capacity,
    meets: { drops: 0.15, padding: 0.3 },
    check(row, c, note) {
      const routing = world(row, c).route();
      note(routing);
      if (routing.kind !== "slots") return;
      const groups = c.group === "sequence" ? c.batch : 1;
      const size = (c.batch * c.length) / groups;
      const { expert, slot } = booksOf(routing);
      const capacity = capacityByHand(size, expert[0].length, c.experts, Number(c.factor));
      expect(routing.layout.lead).to.deep.equal([c.experts, groups * capacity]);
      for (let e = 0; e < c.experts; e++)
        for (let g = 0; g < groups; g++) {
          const wanted = expert.slice(g * size, (g + 1) * size).flat().filter((x) => x === e).length; // prettier-ignore
          const first = (e * groups + g) * capacity;
          const used = slot.flat().filter((s) => s >= first && s < first + capacity).sort((a, b) => a - b); // prettier-ignore
          const free = Array.from({ length: Math.min(wanted, capacity) }, (_, place) => first + place);
          expect(used, `expert ${e}, group ${g}, ${wanted} wishes`).to.deep.equal(free);
        }
    },
  },
  {
    name: "P31: every real token makes its choices, padding none",
    cases: cases(),
    of: (traits) => traits.choosing === "tokens",
    meets: { padding: 0.3, emptyExperts: 0.2 },
    check(row, c, note) {
      const routing = world(row, c).route();
      note(routing);
      const real = maskOf(c);
      booksOf(routing).expert.forEach((choices, t) =>
        expect(
          choices.every((e) => e >= 0 === (real[t] === 1)),
          `token ${t}: ${choices.join()}`,
        ).to.equal(true),
      );
    },
  },
  {
    name: "P21: more room drops nobody who was kept",
    cases: cases({ training: false }),
    of: (traits) => traits.choosing === "tokens",
    meets: { drops: 0.15 },
    check(row, c, note) {
      const before = world(row, c).route();
      note(before);
      const wider = typeof c.factor === "number" ? c.factor * 1.5 : c.factor;
      const after = booksOf(world(row, { ...c, factor: wider }).route());
      booksOf(before).slot.forEach((slots, t) =>
        slots.forEach((s, k) => s >= 0 && expect(after.slot[t][k], `token ${t} lost its slot`).to.be.at.least(0)),
      );
    },
  },
  {
    name: "P30 P75: with a group per sequence, sequences do not know of each other",
    cases: cases({ group: "sequence", training: false }),
    meets: { drops: 0.1, padding: 0.3 },
    check(row, c, note) {
      const all = world(row, c).forward();
      note(all.routing);
      const D = all.output.shape[2];
      for (let b = 0; b < c.batch; b++) {
        const one = { ...c, batch: 1, ids: c.ids.slice(b * c.length, (b + 1) * c.length), padding: [c.padding[b]] };
        const alone = world(row, one, { vectors: list(world(row, c).tokens).slice(b * c.length * D, (b + 1) * c.length * D) }).forward();
        const together = list(all.output.narrow(0, b, b + 1));
        list(alone.output).forEach((x, i) => expect(x, `sequence ${b}`).to.be.closeTo(together[i], 1e-9));
      }
    },
  },
];
