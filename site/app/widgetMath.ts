/** What the guide's instruments compute, with the library, on the plain CPU backend. E experts, T tokens. */
import { key, random, tensor } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { ExpertChoiceRouter, SwitchRouter, TopKRouter, loadBalance } from "switchyard-moe/moe";
import type { Routing } from "switchyard-moe/moe";
import type { initializers } from "switchyard-moe/nn";

const pass = { training: false, random: key(0) };
const list = (x: Tensor): number[] => Array.from(x.dataSync());

/** The logits are the tokens themselves: a router whose weight is the identity. */
const identity: initializers.Initializer = ([rows, columns], _at, options) =>
  tensor(
    Float32Array.from({ length: rows * columns }, (_, i) => (i % columns === Math.floor(i / columns) ? 1 : 0)),
    {
      ...options,
      shape: [rows, columns],
    },
  );

/** Probabilities over all experts, and the gates of KeepTopK: 0 for who is not among the k largest. */
export function gatesOf(logits: readonly number[], choices: number): { readonly all: number[]; readonly kept: number[] } {
  const experts = logits.length;
  const router = new TopKRouter({ width: experts, experts, choices, normalise: "after", random: key(1), initializer: identity });
  const { books } = router.route({ tokens: tensor([[[...logits]]]), capacityFactor: "dropless", pass });
  const kept = new Array<number>(experts).fill(0);
  const gates = list(books.gate);
  list(books.expertOfChoice).forEach((expert, k) => (kept[expert] = gates[k]));
  return { all: list(books.probs), kept };
}

/** The deviation softplus(raw), and how often the second of two experts wins whose logits are `gap` apart, each with that noise. */
export function deviationOf(gap: number, raw: number): { readonly deviation: number; readonly second: number } {
  const deviation = tensor(raw).softplus().itemSync();
  return {
    deviation,
    second: tensor(-gap / (deviation * Math.SQRT2))
      .normalCdf()
      .itemSync(),
  };
}

const TOKENS = 24;
const EXPERTS = 4;

export interface Seats {
  readonly expert: number[];
  readonly slot: number[];
  readonly capacity: number;
  readonly experts: number;
  readonly dropped: number;
}

/** Tokens that prefer the first expert the more, the larger `skew` is, seated at a capacity factor. */
export function seatsOf({ factor, skew, priority }: { factor: number; skew: number; priority: "position" | "gate" | "random" }): Seats {
  const lean = tensor(Array.from({ length: EXPERTS }, (_, e) => skew * (1 - e / (EXPERTS - 1))));
  const tokens = random.normal([1, TOKENS, EXPERTS], key(3)).add(lean);
  const router = new SwitchRouter({ width: EXPERTS, experts: EXPERTS, random: key(1), jitter: 0, priority, initializer: identity });
  const routing = router.route({ tokens, capacityFactor: factor, pass: { training: priority === "random", random: key(5) } });
  const slot = list(routing.books.slotOfChoice);
  return {
    expert: list(routing.books.expertOfChoice),
    slot,
    capacity: routing.layout.lead[1],
    experts: EXPERTS,
    dropped: slot.filter((s) => s < 0).length,
  };
}

/** The two tables of dispatch and combine for tokens that choose one of two experts with C slots each: -1 for a token without a slot, and for an empty slot. */
export function tablesOf(expert: readonly number[], C: number): { readonly slotOfToken: number[]; readonly tokenOfSlot: number[] } {
  const tokens = tensor([expert.map((chosen) => [0, 1].map((e) => (e === chosen ? 1 : 0)))]);
  const router = new SwitchRouter({ width: 2, experts: 2, random: key(1), jitter: 0, initializer: identity });
  const { books } = router.route({ tokens, capacityFactor: (2 * C) / expert.length, pass });
  const slots = books.slotOfChoice.reshape([expert.length]);
  return { slotOfToken: list(slots), tokenOfSlot: list(slots.invert(2 * C)) };
}

/** E sum f P of two experts, from a hundred tokens of which a share chose the first with that mean probability. */
export function balanceOf(share: number, probability: number): number {
  const expertOfChoice = tensor([Array.from({ length: 100 }, (_, t) => [t < 100 * share - 1e-9 ? 0 : 1])], { dtype: "int32" });
  const probs = tensor([Array.from({ length: 100 }, () => [probability, 1 - probability])]);
  return loadBalance({ expertOfChoice, probs }).itemSync();
}

/** Of 400 tokens, how many choose another of 8 experts once their logits are rounded to bfloat16. */
export function roundedFlips(scale: number, offset: number): { readonly flips: number; readonly tokens: number } {
  const logits = random.normal([400, 8], key(7)).mul(scale).add(offset);
  const rounded = logits.cast("bfloat16").cast("float32");
  return { flips: logits.argmax(-1).notEqual(rounded.argmax(-1)).cast("float32").sum().itemSync(), tokens: 400 };
}

/** Which of 2 experts take each of 8 tokens under Expert Choice, for the last token as it falls. */
export function takenBy(heads: boolean): number[][] {
  const scores = [2, 0.4, -1, 0.3, 0.1, -0.4, 0.2].map((s, t) => [s, t % 3 === 0 ? 0.9 - s : -s]);
  const tokens = tensor([[...scores, heads ? [3, -3] : [-3, 3]]]);
  const router = new ExpertChoiceRouter({ width: 2, experts: 2, average: 0.5, random: key(1), initializer: identity });
  const { books }: Routing = router.route({ tokens, capacityFactor: 1, pass });
  const [expert, slot] = [list(books.expertOfChoice), list(books.slotOfChoice)];
  const choices = books.expertOfChoice.shape[1];
  return Array.from({ length: tokens.shape[1] }, (_, t) => Array.from({ length: choices }, (_, k) => t * choices + k).filter((at) => slot[at] >= 0).map((at) => expert[at])); // prettier-ignore
}
