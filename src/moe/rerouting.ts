/**
 * No-Token-Left-Behind: tokens whose expert is full try their next choices. Fedus et al. 2021, arXiv:2101.03961, appendix B.
 * B sequences, T tokens of each, G groups, S tokens of a group, E experts, C capacity.
 */
import { where } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { capacityOf } from "./capacity.ts";
import type { RouteRequest } from "./router.ts";
import { grouped, groupsOf } from "./router.ts";
import type { Queue, Routing } from "./routing.ts";
import { queue } from "./routing.ts";
import type { SeatingOptions, RouterChoices } from "./tokenChoice.ts";
import { booked, orderOf, seated, withoutPadding } from "./tokenChoice.ts";

/** Seats each token once, in the first of `attempts` choices that has room; its gate is the probability of the expert that took it. */
export function seatNobodyLeftBehind(
  { logits, probs, losses }: Pick<RouterChoices, "logits" | "probs" | "losses">,
  first: Tensor, // [B, T, 1]
  attempts: number,
  request: RouteRequest,
  { group = "batch", priority = "position" }: SeatingOptions,
): Routing {
  const factor = Number(request.capacityFactor);
  const experts = probs.shape[2];
  const groups = groupsOf(request.tokens, group);
  const capacity = capacityOf(groups[1], experts, factor);
  const order = orderOf(priority, grouped(probs.takeAlong(first, 2), groups), request);
  const preferred = withoutPadding(preferences(logits, first, attempts), request.mask);
  const line = seatInTurns(grouped(preferred, groups), experts, capacity, order);
  const choice = line.expert.reshape(first.shape);
  const gate = probs.takeAlong(choice.maximum(0), 2);
  return seated(booked({ experts, expertOfChoice: choice, gate, logits, probs, losses }, choice, request.mask), line, experts, factor);
}

/** The experts of each token in the order it would try them, led by `first` (which may have been drawn). [B, T, attempts] */
function preferences(logits: Tensor, first: Tensor, attempts: number): Tensor {
  const chosen = first.squeeze(2).oneHot(logits.shape[2], logits.dtype);
  return where(chosen, Infinity, logits.detach()).topK(attempts).indices;
}

/** One round for each preference; positions of a round follow those of the rounds before. preferred [G, S, K] */
function seatInTurns(preferred: Tensor, experts: number, capacity: number, order?: Tensor): Queue {
  const [groups, size, attempts] = preferred.shape;
  let expert = preferred.narrow(2, 0, 1); // [G, S, 1]
  let position = expert.mul(0).sub(1);
  let used = expert.reshape([groups, size]).bincount(experts).mul(0); // [G, E]
  for (let round = 0; round < attempts; round++) {
    const asked = where(position.less(0), preferred.narrow(2, round, round + 1), -1);
    const among = queue(asked, order).position;
    const before = used.takeAlong(asked.reshape([groups, size]).maximum(0), 1).unsqueeze(2);
    const tried = where(among.less(0), -1, among.add(before));
    const taken = tried.greaterEqual(0).mul(tried.less(capacity));
    expert = where(taken, asked, expert);
    position = where(taken, tried, position);
    used = used.add(where(taken, asked, -1).reshape([groups, size]).bincount(experts));
  }
  return { expert, position };
}
