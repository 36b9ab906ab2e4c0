/** What thread ranks run for the commands of commands.test.ts: one training that lives on between them. */
import { scope } from "../../src/index.ts";
import type { Communicator } from "../../src/distributed/index.ts";
import { LayoutRun } from "../../src/testing/index.ts";
import type { LayoutCase } from "../../src/testing/index.ts";
import { feedForwardExperts } from "../../src/testing/layouts/cases.ts";

export const trained: LayoutCase = { seed: 4, ranks: 3, expertsOver: 3, expertsEach: 1, router: "loss-free", factor: 1.25, shards: [2, 0, 1], padding: [1, 0, 0], balance: "rank", sharedState: true }; // prettier-ignore

/** A command as it is sent to the ranks. `delays`: milliseconds that each sleeps before it begins. */
export type Order = { readonly delays: readonly number[]; readonly folder: string } & (
  | { readonly what: "begin" | "step" | "save" | "load" }
  | { readonly what: "exchange"; readonly counts: readonly (readonly number[])[] }
  | { readonly what: "abort"; readonly rank: number; readonly in: "step" | "save" | "exchange" }
);

let run: LayoutRun | undefined;

export function newRun(world: Communicator): LayoutRun {
  return new LayoutRun(trained, world, "float32", feedForwardExperts);
}

/** Does what it is told; answers with what it holds, or with what arrived. */
export async function obey(world: Communicator, data: unknown): Promise<unknown> {
  const order = data as Order;
  const milliseconds = order.delays[world.rank] ?? 0;
  if (milliseconds > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
  if (order.what === "exchange") return exchange(world, order.counts);
  // A communicator lives as long as the program that it was made for: the training is taken up from its numbers.
  const own = scope(() => takenUp(world, order.what === "begin" ? undefined : run));
  if (order.what === "step") scope(() => own.step(own.optimizer.steps));
  if (order.what === "save") await own.save(order.folder);
  if (order.what === "load") own.load(order.folder);
  if (order.what === "abort") await fail(own, order);
  run = own;
  return { ...own.held(), steps: own.optimizer.steps };
}

/** The same numbers on the communicator of this program. */
function takenUp(world: Communicator, before: LayoutRun | undefined): LayoutRun {
  const now = newRun(world);
  if (before) {
    now.model.load(before.model.state());
    now.optimizer.load(before.optimizer.state());
  }
  return now;
}

/** One rank throws while the others do what they were told. */
async function fail(own: LayoutRun, order: Extract<Order, { what: "abort" }>): Promise<void> {
  const { world } = own.layout;
  if (world.rank === order.rank) throw new RangeError(`told to fail in ${order.in}`);
  if (order.in === "step") own.step(own.optimizer.steps);
  if (order.in === "save") await own.save(order.folder);
  if (order.in === "exchange") for (;;) world.barrier();
  throw new Error("it went on without a rank");
}

/** counts[r][s] numbers from r to s: 100 r + s. */
function exchange(world: Communicator, counts: readonly (readonly number[])[]): number[] {
  const send = counts[world.rank].flatMap((n, s) => new Array<number>(n).fill(100 * world.rank + s));
  return Array.from(world.allToAllV(Int32Array.from(send), counts[world.rank], counts.map((row) => row[world.rank]))); // prettier-ignore
}
