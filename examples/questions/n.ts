/** Across processes: is the loss the same? A mean of balance losses of two halves is not the loss of the whole batch. */
import { concat, key, random } from "switchyard-moe";
import { loadBalance } from "switchyard-moe/moe";
import type { Tensor } from "switchyard-moe";

const experts = 4;
// Two ranks whose tokens prefer different experts.
const half = (rank: number): Tensor =>
  random
    .normal([1, 64, experts], key(rank))
    .mul(0.5)
    .add(random.normal([1, 1, experts], key(10 + rank)));
const loss = (logits: Tensor): number =>
  loadBalance({ expertOfChoice: logits.argmax(-1).unsqueeze(2), probs: logits.softmax(-1) }).itemSync();

const [a, b] = [half(1), half(2)];
console.log("rank 0:", loss(a).toFixed(4), " rank 1:", loss(b).toFixed(4), " mean of both:", ((loss(a) + loss(b)) / 2).toFixed(4));
console.log("the loss of the whole batch, with counts added up first:", loss(concat([a, b], 1)).toFixed(4));
