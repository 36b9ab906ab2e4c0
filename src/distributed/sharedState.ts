/**
 * Optimiser state spread over the ranks that hold the same parameters: each rank keeps the state of some of them, updates those, and sends them to
 * the others. Stage 1 of Rajbhandari et al. 2020, arXiv:1910.02054, but by whole parameters, so that an optimiser that needs all of a matrix
 * (Adafactor) works unchanged.
 */
import { check, checkOptions, instance } from "../autograd/arguments.ts";
import { noGrad } from "../autograd/context.ts";
import { concat } from "../autograd/operations.ts";
import { scope } from "../autograd/scope.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { stateKinds } from "../nn/optimizer.ts";
import type { OptimizerState } from "../nn/optimizer.ts";
import { assignFresh } from "../nn/module.ts";
import { broadcastFrom } from "./collectives.ts";
import type { Communicator } from "./communicator.ts";
import { Replicas } from "./replicas.ts";
import type { Held } from "./replicas.ts";

/**
 * Spreads the state of an optimiser over ranks: each replicated parameter has one rank that keeps its moments and updates it. The constructor throws
 * for anything but a `Replicas`.
 */
export class SharedState {
  readonly #replicas: Replicas;
  readonly #owners: ReadonlyMap<Held, number>;

  constructor(replicas: Replicas) {
    check("SharedState", "replicas", replicas, instance(Replicas, "a Replicas"));
    this.#replicas = replicas;
    this.#owners = ownersOf(replicas);
  }

  /** The parameters whose state this rank keeps, for its optimiser. */
  get own(): [string, Tensor][] {
    const { held, layout } = this.#replicas;
    return held
      .filter((one) => this.#owners.get(one) === groupOf(one, layout).rank)
      .map(({ name, parameter }): [string, Tensor] => [name, parameter]);
  }

  /** Sends every rank the parameters that others updated. Call it after each step of the optimiser. Collective. */
  share(): void {
    const { held, layout } = this.#replicas;
    for (const by of ["all", "experts"] as const) {
      const group = by === "all" ? layout.world : layout.replicas;
      for (let owner = 0; owner < group.size && group.size > 1; owner++)
        spread(
          held.filter((one) => one.by === by && this.#owners.get(one) === owner).map(({ parameter }) => parameter),
          group,
          owner,
        );
    }
  }
}

/** For each parameter the rank, within its group, that keeps its state and writes it to checkpoints: the one with the least numbers so far. */
export function ownersOf({ held, layout }: Replicas): Map<Held, number> {
  const loads = { all: new Array<number>(layout.world.size).fill(0), experts: new Array<number>(layout.replicas.size).fill(0) };
  return new Map(
    held.map((one) => {
      const load = loads[one.by];
      const owner = load.indexOf(Math.min(...load));
      load[owner] += one.parameter.size;
      return [one, owner];
    }),
  );
}

function groupOf({ by }: Held, layout: Replicas["layout"]): Communicator {
  return by === "all" ? layout.world : layout.replicas;
}

/** Parameters of one owner to all of the group, as one message for each dtype. */
function spread(parameters: readonly Tensor[], group: Communicator, owner: number): void {
  for (const dtype of new Set(parameters.map((parameter) => parameter.dtype))) {
    const some = parameters.filter((parameter) => parameter.dtype === dtype);
    noGrad(() =>
      scope(() => {
        const flat = broadcastFrom(concat(some.map((parameter) => parameter.detach().reshape([parameter.size]))), group, owner);
        let at = 0;
        for (const parameter of some) {
          if (group.rank !== owner) assignFresh(parameter, flat.narrow(0, at, at + parameter.size).reshape(parameter.shape));
          at += parameter.size;
        }
      }),
    );
  }
}

/** Bytes that an optimiser's state takes on this rank. Throws where `state` is none. */
export function stateBytes(state: OptimizerState): number {
  checkOptions("stateBytes", state, stateKinds);
  const { tensors } = state;
  return [...tensors.values()].reduce((sum, tensor) => sum + tensor.size * (tensor.dtype === "float64" ? 8 : 4), 0);
}
