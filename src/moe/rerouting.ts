/**
 * No-Token-Left-Behind: tokens whose expert is full try their next choices. Fedus et al. 2021, arXiv:2101.03961, appendix B.
 * G groups, S tokens of a group, E experts, A attempts, C capacity.
 */
import { where } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { Queue } from "./routing.ts";
import { queue } from "./routing.ts";
import { withoutPadding } from "./seating.ts";

/** How many choices a token may try, and what limits and orders them. */
interface Turns {
  /** A */
  readonly attempts: number;
  /** C */
  readonly capacity: number;
  /** [G, S]: 0 for padding. */
  readonly mask: Tensor | undefined;
  /** [G, S]: the token that is first, second, ...; undefined: by position. */
  readonly order: Tensor | undefined;
}

/** For each token the first of its preferred experts that has room, and its position there; -1 both where none has. [G, S, 1] */
export function choicesInTurns(logits: Tensor, first: Tensor, { attempts, capacity, mask, order }: Turns): Queue {
  const preferred = withoutPadding(preferences(logits, first, attempts), mask);
  return seatInTurns(preferred, logits.shape[2], capacity, order);
}

/** The experts of each token in the order in which it tries them, led by `first` (which may have been drawn). [G, S, A] */
function preferences(logits: Tensor, first: Tensor, attempts: number): Tensor {
  const chosen = first.squeeze(2).oneHot(logits.shape[2], logits.dtype);
  return where(chosen, Infinity, logits.detach()).topK(attempts).indices;
}

/** One round for each preference; positions of a round follow those of the rounds before. preferred [G, S, A] */
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
