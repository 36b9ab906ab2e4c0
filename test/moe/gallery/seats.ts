/** Bugs of capacity, priority and slots. T tokens, E experts, K choices, C capacity. */
import fc from "fast-check";
import { key, tensor } from "../../../src/index.ts";
import * as moe from "../../../src/moe/index.ts";
import { roundBfloat16 } from "./bfloat16.ts";
import type { Bug } from "./bug.ts";
import { bug, experts, ints, list, rows, sum, table } from "./bug.ts";
import { largest } from "../../../src/testing/oracle.ts";

type Seat = (expert: readonly number[], capacity: number) => boolean[];
const E = 3;
const capacity = fc.integer({ min: 1, max: 4 });

/** Who is kept, by our queue. */
const seat: Seat = (expert, slots) => list(moe.slotOfChoice(moe.queue(ints(expert.map((e) => [e]))), E, slots)).map((s) => s >= 0);

/** The places of choices [T][K] in their experts' queues. */
type Places = (choice: readonly (readonly number[])[]) => number[][];
const places: Places = (choice) => {
  const flat = list(moe.queue(ints(choice)).position);
  return choice.map((row, t) => row.map((_, k) => flat[t * row.length + k]));
};

const counted = (expert: readonly number[], kept: readonly boolean[], e: number): number =>
  expert.filter((x, t) => x === e && kept[t]).length;

/** [T][K] different experts for each token. */
const distinct = (k: number): fc.Arbitrary<number[][]> =>
  fc.array(fc.shuffledSubarray([0, 1, 2, 3], { minLength: k, maxLength: k }), { minLength: 1, maxLength: 6 });

export const seats: readonly Bug[] = [
  bug<Seat, [number[], number]>({
    title: "The capacity that was never enforced",
    seen: "huggingface/transformers#48293, fixed in #48421",
    wrong:
      "An extra axis of size 1 crept in before the one-hot of the chosen expert, so the running count that gives places in the queue ran over that axis: everybody was first in line.",
    unseen: "Nothing crashes and quality does not fall: too many tokens are computed, not too few. Only memory and time know.",
    law: "P14, P17: an expert keeps min(count, C) tokens",
    right: seat,
    broken: (expert, slots) => expert.map(() => 0 < slots),
    cases: [experts(E), capacity],
    holds: (variant, expert, slots) => [0, 1, 2].every((e) => counted(expert, variant(expert, slots), e) <= slots),
  }),
  bug<Seat, [number[], number]>({
    title: "One slot too few",
    seen: "the pseudo-code of arXiv:2101.03961, appendix F",
    wrong:
      "The running count includes the token itself, so places begin at 1; the comparison with the capacity stayed strict. Slot 0 of every expert is empty for ever.",
    unseen: "A share 1 / C of the slots is lost, which at hundreds of slots nobody measures.",
    law: "P16, P17: the used slots are the first ones, min(count, C) of them",
    right: seat,
    broken(expert, slots) {
      const seen = new Array<number>(E).fill(0);
      return expert.map((e) => ++seen[e] < slots);
    },
    cases: [experts(E), capacity],
    holds: (variant, expert, slots) =>
      [0, 1, 2].every((e) => counted(expert, variant(expert, slots), e) === Math.min(slots, expert.filter((x) => x === e).length)),
  }),
  bug<Places, [number[][]]>({
    title: "Third choices in the slots of second choices",
    seen: "lucidrains/st-moe-pytorch#13",
    wrong:
      "Places of later choices start behind the tokens of the choice just before, not behind those of all choices before: the counter is overwritten instead of added to.",
    unseen: "With two choices there is only one choice before, and two is the default.",
    law: "P15, P33: no two choices share a slot",
    right: places,
    broken(choice) {
      let offset = new Array<number>(4).fill(0);
      const out = choice.map((row) => row.map(() => 0));
      for (let k = 0; k < choice[0].length; k++) {
        const seen = new Array<number>(4).fill(0);
        choice.forEach((row, t) => (out[t][k] = offset[row[k]] + seen[row[k]]++));
        offset = seen;
      }
      return out;
    },
    cases: [distinct(3)],
    holds(variant, choice) {
      const taken = variant(choice).flatMap((row, t) => row.map((place, k) => `${choice[t][k]}:${place}`));
      return new Set(taken).size === taken.length;
    },
  }),
  bug<Places, [number[][]]>({
    title: "Second choices that push in",
    seen: "AviSoori1x/makeMoE (a loop over experts that takes any token that has the expert among its choices)",
    wrong:
      "Slots are given by token, whatever the rank of the choice, so an early token's second choice takes the slot of a later token's first.",
    unseen:
      "The papers' order, all first choices before all second ones, is a sentence in the text and a line in the code; with enough capacity they agree.",
    law: "P24: a first choice never waits behind a second one",
    right: places,
    broken(choice) {
      const seen = new Array<number>(4).fill(0);
      return choice.map((row) => row.map((e) => seen[e]++));
    },
    cases: [distinct(2)],
    holds(variant, choice) {
      const place = variant(choice);
      return choice.every((row, t) => choice.every((other, u) => other[1] !== row[0] || place[t][0] < place[u][1]));
    },
  }),
  bug<(logits: readonly (readonly number[])[], slots: number) => boolean[], [number[][], number]>({
    title: "Nothing beats a negative",
    seen: "microsoft/DeepSpeed#7986",
    wrong:
      "To drop the least probable tokens, each expert took its top C from raw logits in which tokens that had not chosen it stood as 0. Where logits are negative, those zeros win the slots, which then stay empty.",
    unseen: "Logits of a fresh router are half positive; the more negative they drift, the emptier the experts.",
    law: "P17: an expert keeps min(count, C) tokens, whatever the logits",
    right(logits, slots) {
      const router = new moe.SwitchRouter({
        width: E,
        experts: E,
        random: key(1),
        dtype: "float64",
        priority: "gate",
        jitter: 0,
        initializer: identity,
      });
      const [slot] = [
        router.route({ tokens: rows(logits), capacityFactor: (slots * E) / logits.length, pass: { training: false, random: key(0) } }).books
          .slotOfChoice,
      ];
      return list(slot).map((s) => s >= 0);
    },
    broken(logits, slots) {
      const chosen = logits.map((row) => largest(row, 1)[0]);
      return chosen.map((e, t) =>
        largest(
          logits.map((row, u) => (chosen[u] === e ? row[e] : 0)),
          slots,
        ).includes(t),
      );
    },
    cases: [table({ min: E, max: E }), fc.constantFrom(1, 2, 3)],
    holds(variant, logits, wished) {
      const slots = moe.capacityOf(logits.length, E, (wished * E) / logits.length);
      const kept = variant(logits, slots);
      const chosen = logits.map((row) => largest(row, 1)[0]);
      return [0, 1, 2].every((e) => counted(chosen, kept, e) === Math.min(slots, chosen.filter((x) => x === e).length));
    },
  }),
  bug<(tokens: number) => number[], [number]>({
    title: "Two hundred and fifty-six is a long queue",
    seen: "why arXiv:2101.03961, section 2.4, counts in float32",
    wrong:
      "Places were counted in bfloat16, whose 8 significant bits end at 256: 256 + 1 is 256 again, and from there on everybody has the same place.",
    unseen: "Tests have short sequences. In training it looks like a strange taste of experts for early tokens.",
    law: "P66: places are exact for a hundred thousand tokens",
    right: (tokens) => list(moe.queue(ints(Array.from({ length: tokens }, () => [0]))).position),
    broken(tokens) {
      let place = 0;
      return Array.from({ length: tokens }, () => {
        const mine = place;
        place = roundBfloat16(place + 1);
        return mine;
      });
    },
    cases: [fc.integer({ min: 1, max: 600 })],
    holds: (variant, tokens) => variant(tokens).every((place, t) => place === t),
  }),
  bug<(tokens: number, experts: number, factor: number) => number, [number, number, number]>({
    title: "More slots than tokens",
    seen: "microsoft/DeepSpeed#5353, #8155",
    wrong:
      "A large factor or a least capacity gives an expert more slots than the group has tokens; taking that many of the best tokens is an error of top-k.",
    unseen: "It needs few tokens and a generous factor: evaluation with a batch of one.",
    law: "P29: C is never above the number of tokens, and never 0 while there are any",
    right: (tokens, e, factor) => moe.capacityOf(tokens, e, factor),
    broken: (tokens, e, factor) => Math.max(4, Math.ceil((tokens * factor) / e)),
    cases: [fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 8 }), fc.constantFrom(0.5, 1, 1.25, 2, 8)],
    holds: (variant, tokens, e, factor) => variant(tokens, e, factor) <= tokens && variant(tokens, e, factor) >= 1,
  }),
  bug<(gates: readonly (readonly number[])[]) => number, [number[][]]>({
    title: "The token that was too quiet to be sent",
    seen: "tensorflow/mesh, lingvo, DeepSpeed, st-moe-pytorch and nanoMoE: the dispatch mask is the combine weights cast to bool",
    wrong:
      "Whether a token goes to its expert is read from whether its weight differs from 0. A gate that underflows keeps its slot, but the slot stays empty, and its expert learns nothing from the token.",
    unseen: "In float32 a gate of exactly 0 is rare; in half precision, or with confident routers, it is not.",
    law: "P67: a choice with a slot is dispatched, whatever its gate",
    right(logits) {
      const k = logits[0].length;
      const router = new moe.TopKRouter({ width: k, experts: k, choices: k, random: key(1), dtype: "float64", initializer: identity });
      const routing = router.route({ tokens: rows(logits), capacityFactor: "dropless", pass: { training: false, random: key(0) } });
      const ones = tensor(new Float64Array(logits.length).fill(1), { shape: [logits.length, 1] });
      return sum(list(routing.dispatch(ones)));
    },
    broken: (logits) => sum(logits.map((row) => list(rows([row]).softmax(-1)).filter((p) => Math.fround(p) !== 0 && p > 1e-45).length)),
    cases: [table({ min: 2, max: 3 }, { min: 1, max: 3 }, { min: -9000, max: 9000 })],
    holds: (variant, logits) => variant(logits) === logits.length * logits[0].length,
  }),
  bug<(places: readonly number[]) => number[], [number[]]>({
    title: "Ten comes before nine",
    seen: "what every JavaScript port meets: Array.prototype.sort without a comparison",
    wrong: "Without a comparison, sort compares as text, so that the tokens' priorities 9, 10, 2 become 10, 2, 9.",
    unseen: "Below ten, and with as many digits behind the point, text and numbers agree.",
    law: "P23: a larger priority is seated first",
    right: (priority) => list(tensor(Float64Array.from(priority)).sort().values),
    broken: (priority) => [...priority].sort(),
    cases: [fc.array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 5 })],
    holds: (variant, priority) => variant(priority).every((x, i, sorted) => i === 0 || sorted[i - 1] <= x),
  }),
];

/** Logits are the tokens themselves. */
function identity(shape: readonly number[], _: unknown, options = {}): ReturnType<typeof tensor> {
  const [n] = shape;
  return tensor(
    Float64Array.from({ length: n * n }, (__, i) => Number(i % (n + 1) === 0)),
    { ...options, shape },
  );
}
