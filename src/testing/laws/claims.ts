/**
 * Claims: what the traits of a router do not promise must fail in some case, else the traits are wrong and the router is held to too few
 * laws. Each claim looks for one case that shows it.
 */
import { booksOf, cases, without, world } from "../cases.ts";
import type { Claim } from "./law.ts";
import { futureReaches } from "./time.ts";

export const claims: readonly Claim[] = [
  {
    name: "P74: a later token changes an earlier output, as the traits say",
    cases: cases({ group: "sequence", batch: 1, padding: [0], ...without, experts: 3 }),
    of: (traits) => traits.time !== "causal",
    otherwise: 'time: call it "causal"',
    shows: (subject, c) => Array.from({ length: c.length - 1 }, (_, i) => i + 1).some((from) => futureReaches(subject, c, from)),
  },
  {
    name: "P19: gates of a token that lost no choice do not always add up to 1, as the traits say",
    cases: cases({ factor: Infinity }),
    of: (traits) => !traits.gatesSumToOne && traits.choosing === "tokens",
    otherwise: "gatesSumToOne: call it true, or leave the gates as the probabilities are",
    shows(subject, c) {
      const { expert, slot, gate } = booksOf(world(subject, c).route());
      const complete = expert.map((choices, t) => choices.every((e, k) => e >= 0 && slot[t][k] >= 0));
      return gate.some((gates, t) => complete[t] && Math.abs(gates.reduce((a, b) => a + b, 0) - 1) > 1e-6);
    },
  },
];
