/**
 * From dense to sparse and back: functions on whole models. They match tensors by name, so the two models must be built alike except for their
 * feed-forward layers. E experts, D width, F hidden width.
 */
import { formatShape, sameShape } from "../autograd/contract.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { DenseFeedForward } from "../nn/feedForward.ts";
import { Module } from "../nn/module.ts";
import { check, instance } from "./arguments.ts";
import { FeedForwardExperts } from "./experts.ts";
import { MoE } from "./moeLayer.ts";

const aModel = instance(Module, "a module");

/**
 * Copies every tensor of `from` to the tensor of `to` that has the same name, shape and dtype, and returns those names. The first step of distilling
 * a sparse teacher into a dense student, which then trains with `distillationLoss`. Fedus et al. 2021, arXiv:2101.03961, section 4.2.
 * Throws where either is no module.
 */
export function copyShared(from: Module, to: Module): string[] {
  check("copyShared", "from", from, aModel);
  check("copyShared", "to", to, aModel);
  const source = from.state();
  const shared = [...to.state()].flatMap(([name, tensor]): [string, Tensor, Tensor][] => {
    const given = source.get(name);
    return given && given.dtype === tensor.dtype && sameShape(given.shape, tensor.shape) ? [[name, tensor, given]] : [];
  });
  for (const [, tensor, given] of shared) tensor.assign(given);
  return shared.map(([name]) => name);
}

/**
 * Starts a sparse model from a trained dense one (sparse upcycling): every expert gets the weights of the dense layer at the same place, other
 * tensors are copied by name as `copyShared` does, and routers stay as they are. Everything is checked before anything is assigned. Throws where
 * the sparse model has no sparse layer, and where a layer does not fit. Komatsuzaki et al. 2022, arXiv:2212.05055.
 */
export function upcycle(dense: Module, sparse: Module): void {
  check("upcycle", "dense", dense, aModel);
  check("upcycle", "sparse", sparse, aModel);
  const places = new Map(dense.namedModules());
  const pairs = sparse.namedModules().flatMap(([path, layer]) => (layer instanceof MoE ? pairsOf(path, layer, places.get(path)) : []));
  if (pairs.length === 0) throw new RangeError("upcycle: sparse: want a model with a sparse layer (MoE)");
  copyShared(dense, sparse);
  for (const [expert, given] of pairs) expert.assign(given.unsqueeze(0).broadcastTo(expert.shape));
}

/** Each tensor of the experts with the dense one it starts from. */
function pairsOf(path: string, { experts }: MoE, dense: Module | undefined): [Tensor, Tensor][] {
  if (!(experts instanceof FeedForwardExperts)) throw new TypeError(`upcycle: "${path}" has experts that are not feed-forward networks`);
  if (!(dense instanceof DenseFeedForward)) throw new TypeError(`upcycle: the dense model has no feed-forward layer at "${path}"`);
  const parts: [string, Tensor | null, Tensor | null][] = [
    ["hidden", experts.hidden, dense.hidden.weight],
    ["hidden bias", experts.hiddenBias, dense.hidden.bias],
    ["factor", experts.factor, dense.factor?.weight ?? null],
    ["factor bias", experts.factorBias, dense.factor?.bias ?? null],
    ["output", experts.output, dense.output.weight],
    ["output bias", experts.outputBias, dense.output.bias],
  ];
  if (experts.kind !== dense.kind) throw new RangeError(`upcycle: "${path}" is ${experts.kind}, its dense layer ${dense.kind}`);
  return parts.flatMap(([name, expert, given]): [Tensor, Tensor][] => {
    if (!expert && !given) return [];
    const fits = expert && given && expert.dtype === given.dtype && sameShape(expert.shape.slice(1), given.shape);
    if (!fits) throw new RangeError(`upcycle: "${path}": ${name} is ${show(expert)} in the experts, ${show(given)} in the dense layer`);
    return [[expert, given]];
  });
}

function show(x: Tensor | null): string {
  return x ? `${x.dtype} ${formatShape(x.shape)}` : "missing";
}
