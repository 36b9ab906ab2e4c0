/** Bugs of capacity, priority and slots, switched on in training. G groups, S tokens of a group, T tokens, K choices, E experts, C capacity. */
import type { Tensor } from "../../../../src/index.ts";
import { arange, concat, key, tensor, where, zeros } from "../../../../src/index.ts";
import type { RouteRequest, Routing } from "../../../../src/moe/index.ts";
import { SwitchRouter, TopKRouter, queue } from "../../../../src/moe/index.ts";
import type { Pass } from "../../../../src/nn/index.ts";
import { gaveBroken } from "./gallery.ts";
import { ofSwitch, ofTopK, reseated, summed } from "./layer.ts";
import type { Look, Trained } from "./look.ts";
import { choicesOf, meanOver, numbers, sumOf, summedOver } from "./look.ts";

/** Every token is first in line, and 0 is below any capacity. */
class NeverEnforced extends SwitchRouter {
  protected override capacity(size: number, request: RouteRequest): number | "dropless" {
    const slots = super.capacity(size, request);
    return slots !== "dropless" && 0 < slots ? "dropless" : slots;
  }
}

/** Places begin at 1, and the comparison with the capacity is strict. */
class OneTooFew extends SwitchRouter {
  override route(request: RouteRequest): Routing {
    const routing = super.route(request);
    if (routing.kind !== "slots") return routing;
    const { slotOfChoice } = routing.books;
    const slots = routing.layout.lead[1] / groupsOf(request);
    const place = slotOfChoice.mod(slots).add(1);
    return reseated(routing, where(slotOfChoice.greaterEqual(0).mul(place.less(slots)), slotOfChoice.add(1), -1));
  }
}

/** Groups are sequences here. */
const groupsOf = ({ tokens }: RouteRequest): number => tokens.shape[0];

/** Places of a choice start behind those of the choice just before, not behind all before. */
class Overwritten extends TopKRouter {
  override route(request: RouteRequest): Routing {
    const routing = super.route(request);
    if (routing.kind !== "slots") return routing;
    const { expertOfChoice } = routing.books;
    const [experts, slots] = routing.layout.lead;
    const [T, K] = expertOfChoice.shape;
    const column = (k: number): Tensor => expertOfChoice.narrow(1, k, k + 1).reshape([1, T]);
    const places = Array.from({ length: K }, (_, k) => {
      const within = column(k).countEarlier();
      return k === 0
        ? within
        : within.add(
            column(k - 1)
              .bincount(experts)
              .takeAlong(column(k), 1),
          );
    });
    const place = concat(places.map((one) => one.reshape([T, 1])), 1); // prettier-ignore
    return summed(routing, where(place.less(slots), expertOfChoice.mul(slots).add(place), -1));
  }
}

/** Each expert takes its C best of logits that are 0 where a token did not choose it. */
class BeatenByZero extends SwitchRouter {
  override route(request: RouteRequest): Routing {
    const routing = super.route(request);
    if (routing.kind !== "slots") return routing;
    const { expertOfChoice, logits } = routing.books;
    const [experts, slots] = routing.layout.lead;
    const chosen = expertOfChoice.squeeze(1).oneHot(experts); // [T, E]
    const place = where(chosen, logits, 0).rank(0, { descending: true }).takeAlong(expertOfChoice, 1); // [T, 1]
    return reseated(routing, where(place.less(slots), expertOfChoice.mul(slots).add(place), -1));
  }
}

/** Places are counted in bfloat16, so all after the 256th are the same. */
class CountedInBfloat16 extends SwitchRouter {
  override route(request: RouteRequest): Routing {
    const routing = super.route(request);
    if (routing.kind !== "slots") return routing;
    const { expertOfChoice } = routing.books;
    const [, slots] = routing.layout.lead;
    const exact = queue(expertOfChoice.unsqueeze(0)).position.squeeze(0); // [T, 1]
    const counted = gaveBroken("Two hundred and fifty-six is a long queue", expertOfChoice.size); // [T]
    const place = tensor(Int32Array.from(numbers(exact), (p) => counted[p]), { shape: exact.shape }); // prettier-ignore
    return summed(routing, where(place.less(slots), expertOfChoice.mul(slots).add(place), -1));
  }
}

/** Each expert takes its C best tokens, where C is what the formula says, however few tokens there are. */
class MoreThanThereAre extends SwitchRouter {
  protected override capacity(size: number, { capacityFactor }: RouteRequest): number | "dropless" {
    if (capacityFactor === "dropless") return capacityFactor;
    return gaveBroken("More slots than tokens", size, this.experts, capacityFactor)[0];
  }

  override route(request: RouteRequest): Routing {
    const routing = super.route(request);
    if (routing.kind !== "slots") return routing;
    const { expertOfChoice, probs } = routing.books;
    const [experts, rows] = routing.layout.lead;
    const [groups, size] = request.tokens.shape;
    const slots = rows / groups;
    const wanted = where(expertOfChoice.squeeze(1).oneHot(experts), probs.detach(), -1).reshape([groups, size, experts]); // [G, S, E]
    const taken = wanted.transpose(1, 2).topK(slots).indices.invert(size); // [G, E, S]
    const place = taken
      .transpose(1, 2)
      .reshape([groups * size, experts])
      .takeAlong(expertOfChoice, 1); // [T, 1]
    const group = arange(0, groups, 1, { dtype: "int32" }).reshape([groups, 1]).broadcastTo([groups, size]).reshape([groups * size, 1]); // prettier-ignore
    return reseated(routing, where(place.less(0), -1, expertOfChoice.mul(rows).add(group.mul(slots)).add(place)), groups);
  }
}

/** A choice is sent where its weight, in half precision, is not 0. */
class SentIfLoud extends TopKRouter {
  override route(request: RouteRequest): Routing {
    const routing = super.route(request);
    if (routing.kind !== "slots") return routing;
    const { gate, slotOfChoice } = routing.books;
    return reseated(routing, where(gate.detach().greater(HALF_LEAST), slotOfChoice, -1));
  }
}

/** Numbers up to this one are 0 in float16. */
const HALF_LEAST = 2 ** -25;

/** Priorities, gates in thousandths, are sorted as text. */
class SortedAsText extends SwitchRouter {
  protected override order(gate: Tensor): Tensor {
    const priority = Array.from(numbers(gate), (p, t): [number, number] => [Math.round(1000 * p), t]);
    const order = priority.toSorted().toReversed(); // without a comparison, as text
    return tensor(Int32Array.from(order, ([, t]) => t), { shape: [1, order.length] }); // prettier-ignore
  }
}

// What betrays them

/** Slots without a token at experts that had no slot for a token, group by group. */
function emptyWhileTurnedAway({ seen, setting }: Look): number {
  const groups = setting.model.group === "sequence" ? setting.training.batch : 1;
  return seen.reduce((total, { routing }) => {
    const [, rows] = routing.layout.lead;
    const [used, turned] = [new Map<number, number>(), new Map<number, number>()];
    const tokens = routing.books.expertOfChoice.shape[0] / groups;
    for (const { token, expert, slot } of choicesOf(routing)) {
      const at = expert * groups + Math.floor(token / tokens);
      const table = slot < 0 ? turned : used;
      table.set(at, (table.get(at) ?? 0) + 1);
    }
    return total + sumOf([...turned.keys()].map((at) => rows / groups - (used.get(at) ?? 0)));
  }, 0);
}

function sharingASlot({ routing }: { readonly routing: Routing }): number {
  const slots = choicesOf(routing).flatMap(({ slot }) => (slot < 0 ? [] : [slot]));
  return slots.length - new Set(slots).size;
}

/** Tokens without a slot although their expert took a token with a smaller gate. */
function passedOver({ routing }: { readonly routing: Routing }): number {
  const choices = choicesOf(routing);
  const least = new Map<number, number>();
  for (const { expert, slot, gate } of choices) if (slot >= 0) least.set(expert, Math.min(least.get(expert) ?? Infinity, gate));
  return choices.filter(({ expert, slot, gate }) => slot < 0 && gate > (least.get(expert) ?? Infinity)).length;
}

/** Evaluation with a batch of one short sequence and slots; the capacity of each expert. */
function slotsForThree({ layers, setting }: Look): number {
  const [{ router }] = layers;
  const pass: Pass = { training: false, random: key(0) };
  const { layout } = router.route({ tokens: zeros([1, 3, setting.model.width]), capacityFactor: 1.25, causal: true, pass });
  return layout.lead[1];
}

/** Tokens that the expert with the most of them computes. */
function fullest(routing: Routing): number {
  const served = new Map<number, number>();
  for (const { expert, slot } of choicesOf(routing)) if (slot >= 0) served.set(expert, (served.get(expert) ?? 0) + 1);
  return Math.max(0, ...served.values());
}

/** Share of first choices without a slot. */
function firstLost(routing: Routing): number {
  const first = choicesOf(routing).filter(({ rank }) => rank === 0);
  return first.filter(({ slot }) => slot < 0).length / first.length;
}

export const seats: Readonly<Record<string, Trained>> = {
  "The capacity that was never enforced": {
    broken: ofSwitch((options) => new NeverEnforced(options)),
    watched: { name: "fullest", as: "count", look: (at) => Math.max(...at.seen.map(({ routing }) => fullest(routing))) },
  },
  "One slot too few": {
    setting: { group: "sequence" },
    broken: ofSwitch((options) => new OneTooFew(options)),
    watched: { name: "emptySlots", as: "count", look: emptyWhileTurnedAway },
  },
  "Third choices in the slots of second choices": {
    setting: { router: "top-k", experts: 4, batch: 8, variant: { choices: 3 } },
    broken: ofTopK((options) => new Overwritten(options)),
    watched: { name: "sharedSlots", as: "count", look: (at) => summedOver(at, sharingASlot) },
  },
  "Second choices that push in": {
    setting: { router: "top-k", capacityFactor: 0.75, variant: { choices: 2 } },
    broken: ofTopK((options) => new TopKRouter({ ...options, queueBy: "token" })),
    watched: { name: "firstLost", as: "percent", look: (at) => meanOver(at, ({ routing }) => firstLost(routing)) },
  },
  "Nothing beats a negative": {
    setting: { experts: 2, capacityFactor: 1, priority: "gate" },
    broken: ofSwitch((options) => new BeatenByZero(options)),
    watched: { name: "emptySlots", as: "count", look: emptyWhileTurnedAway },
  },
  "Two hundred and fifty-six is a long queue": {
    setting: { experts: 2, batch: 20, capacityFactor: 1.25 },
    broken: ofSwitch((options) => new CountedInBfloat16(options)),
    watched: { name: "sharedSlots", as: "count", look: (at) => summedOver(at, sharingASlot) },
  },
  "More slots than tokens": {
    setting: { group: "sequence", priority: "gate" },
    broken: ofSwitch((options) => new MoreThanThereAre(options)),
    watched: { name: "slotsForThree", as: "count", every: 20, look: slotsForThree },
  },
  "The token that was too quiet to be sent": {
    setting: { router: "top-k", capacityFactor: 4, variant: { choices: 2, routerDeviation: 2 } },
    broken: ofTopK((options) => new SentIfLoud(options)),
    watched: { name: "unsent", as: "count", look: (at) => summedOver(at, ({ routing }) => choicesOf(routing).filter(({ slot }) => slot < 0).length) }, // prettier-ignore
  },
  "Ten comes before nine": {
    setting: { priority: "gate", experts: 16, capacityFactor: 0.75 },
    broken: ofSwitch((options) => new SortedAsText(options)),
    watched: { name: "passedOver", as: "count", look: (at) => summedOver(at, passedOver) },
  },
};
