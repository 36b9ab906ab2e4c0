/**
 * Soft mixtures: every slot of an expert is a weighted mean of all tokens of a group, every token a weighted mean of the results of all slots.
 * Puigcerver et al. 2023, arXiv:2308.00951, section 2.1. T tokens of all groups, G groups, S tokens of a group, E experts, P slots of an
 * expert in a group, N = E P slots of a group, D width.
 */
import { arange } from "../autograd/create.ts";
import { where } from "../autograd/operations.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { check, checkOptions, count, having, optional, tensorOf } from "./arguments.ts";
import type { Books, Routing } from "./routing.ts";
import { evenLayout } from "./routing.ts";

/** What `choose` of a router returns where slots mix tokens. */
export interface Mixtures {
  /** [G, N, S]: slots mix the tokens of their group; rows add up to 1. */
  readonly dispatch: Tensor;
  /** [G, S, N]: tokens mix the slots' results; rows add up to 1. */
  readonly combine: Tensor;
  /** [G, S, N]: the scores before the two softmaxes. */
  readonly logits: Tensor;
  /** Losses of the router's own, multiplied by their coefficients. */
  readonly losses?: Readonly<Record<string, Tensor>>;
}

/** The routing of mixtures. Padding (mask [G, S] 0) goes into no slot and gets 0. */
export function mix({ dispatch, combine, logits, losses = {} }: Mixtures, experts: number, mask: Tensor | undefined): Routing {
  const open = mask?.unsqueeze(2); // [G, S, 1]
  const served = open ? where(open, combine, 0) : combine;
  return softRouting({ books: booksOf(logits, served, open, experts), losses }, experts, { dispatch, combine: served, open });
}

/** The two matrices of a soft routing. */
export interface Mixing {
  /** [G, N, S]: slots mix the tokens of their group. */
  readonly dispatch: Tensor;
  /** [G, S, N]: tokens mix the slots' results. */
  readonly combine: Tensor;
  /** [G, S, 1]: 0 where a token is padding, which is read as zeros: a weight of 0 would not keep its NaN out of a sum. */
  readonly open?: Tensor | undefined;
}

/**
 * The soft kind: slots read mixtures of the tokens, tokens read mixtures of the slots' results. Throws for other shapes, and where the
 * experts do not divide the slots. Puigcerver et al. 2023, arXiv:2308.00951, section 2.1.
 */
export function softRouting(base: Pick<Routing, "books" | "losses">, experts: number, mixing: Mixing): Routing {
  check("softRouting", "base", base, having("an object with books and losses", "books", "losses"));
  check("softRouting", "experts", experts, count);
  checkOptions<Mixing>("softRouting", mixing, {
    dispatch: tensorOf("G, N, S"),
    combine: tensorOf("G, S, N"),
    open: optional(tensorOf("G, S, 1")),
  });
  const { dispatch, combine, open } = mixing;
  const [groups, slots, size] = dispatch.shape;
  const each = slots / experts;
  if (!Number.isInteger(each))
    throw new RangeError(`softRouting: experts ${experts}: want a number that divides the ${slots} slots of dispatch`);
  return {
    ...base,
    kind: "soft",
    layout: evenLayout(experts, groups * each),
    tables: [dispatch, combine, ...(open ? [open] : [])],
    dispatch(x) {
      const width = x.shape[1];
      const tokens = x.reshape([groups, size, width]);
      return dispatch
        .cast(x.dtype)
        .matmul(open ? where(open.cast(x.dtype), tokens, 0) : tokens) // [G, N, D]
        .reshape([groups, experts, each, width])
        .transpose(0, 1)
        .reshape([experts, groups * each, width]);
    },
    combine(y) {
      const width = y.shape[2];
      const rows = y.reshape([experts, groups, each, width]).transpose(0, 1).reshape([groups, slots, width]);
      return combine
        .cast(y.dtype)
        .matmul(rows)
        .reshape([groups * size, width]);
    },
  };
}

/**
 * The books: every token has all experts; the gate of an expert is the sum of the weights of its slots, and its slot is given as the first
 * of them.
 */
function booksOf(logits: Tensor, combine: Tensor, open: Tensor | undefined, experts: number): Books {
  const [groups, size, slotsOfAll] = logits.shape;
  const slots = slotsOfAll / experts;
  const perExpert = (x: Tensor): Tensor => x.reshape([groups * size, experts, slots]);
  const gate = perExpert(combine).sum(2); // [G S, E]
  const int = { dtype: "int32", backend: logits.backend } as const;
  const all = arange(0, experts, 1, int);
  const group = arange(0, groups, 1, int).reshape([groups, 1, 1]).broadcastTo([groups, size, experts]);
  const first = all
    .mul(groups)
    .add(group)
    .mul(slots)
    .reshape([groups * size, experts]);
  const served = (x: Tensor): Tensor =>
    open ? where(open.cast("int32").reshape([groups * size, 1]), x, -1) : x.broadcastTo([groups * size, experts]).contiguous();
  return {
    real: open?.reshape([groups * size]) ?? null,
    expertOfChoice: served(all),
    slotOfChoice: served(first),
    gate,
    logits: perExpert(logits).logSumExp(2),
    probs: gate,
  };
}
