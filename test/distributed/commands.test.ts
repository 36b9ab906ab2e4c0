/**
 * Any sequence of collectives, steps, saves, loads and failures on three ranks that come late at random, against one process that does the same
 * without them: same bits after each, and a failure loses nothing that was saved.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import fc from "fast-check";
import { scope } from "../../src/index.ts";
import type { Tensor } from "../../src/index.ts";
import { ThreadWorld, alone } from "../../src/distributed/index.ts";
import type { LayoutRun } from "../../src/testing/index.ts";
import { newRun } from "./commandProgram.ts";
import type { Order } from "./commandProgram.ts";

type Saved = { readonly state: ReturnType<LayoutRun["model"]["state"]>; readonly optimizer: ReturnType<LayoutRun["optimizer"]["state"]> };

/** The run of one process, and what it has saved. Torn: a step failed half-way, so nothing but a checkpoint is to be believed. */
interface Model {
  one: LayoutRun;
  saved: Saved | null;
  torn: boolean;
}

interface Real {
  readonly world: ThreadWorld;
  readonly folder: string;
}

type Sent = Order extends infer O ? (O extends Order ? Omit<O, "folder"> : never) : never;

const module = new URL("commandProgram.ts", import.meta.url).href;
const send = ({ world, folder }: Real, order: Sent): Promise<unknown[]> =>
  world.run({ module, export: "obey", data: { ...order, folder } }, { ordered: true, checkedCalls: Infinity });

const met = new Map<string, number>();

class Command implements fc.AsyncCommand<Model, Real, true> {
  readonly order: Sent;

  constructor(order: Sent) {
    this.order = order;
  }

  check({ saved, torn }: Readonly<Model>): Promise<boolean> {
    const { what } = this.order;
    return Promise.resolve(what === "load" ? saved !== null : !torn || what === "exchange" || what === "begin");
  }

  async run(model: Model, real: Real): Promise<void> {
    const { order } = this;
    const kind = order.what === "abort" ? `abort in ${order.in}, ${model.saved ? "something" : "nothing"} saved` : order.what;
    met.set(kind, (met.get(kind) ?? 0) + 1);
    if (order.what === "abort") return this.#fails(model, real);
    const answers = await send(real, order);
    if (order.what === "exchange") {
      answers.forEach((arrived, r) => expect(arrived).to.deep.equal(order.counts.flatMap((row, s) => new Array<number>(row[r]).fill(100 * s + r)))); // prettier-ignore
      return;
    }
    apply(model, order.what);
    model.torn = false;
    const { one } = model;
    for (const answer of answers) expect(answer).to.deep.equal({ ...one.held(), steps: one.optimizer.steps });
  }

  async #fails(model: Model, real: Real): Promise<void> {
    const { order } = this;
    if (order.what !== "abort") return;
    const message = await send(real, order).then(
      () => "nothing was thrown",
      (error: Error) => error.message,
    );
    expect(message).to.match(new RegExp(`^rank ${order.rank} of 3, .*: RangeError: told to fail in ${order.in}`));
    model.torn = order.in === "step";
  }

  toString(): string {
    return JSON.stringify(this.order);
  }
}

/** What a command does to the run of one process. */
function apply(model: Model, what: "begin" | "step" | "save" | "load"): void {
  if (what === "begin") model.one = newRun(alone({ ordered: true }));
  if (what === "step") scope(() => model.one.step(model.one.optimizer.steps));
  if (what === "save") model.saved = snapshot(model.one);
  if (what === "load" && model.saved) {
    model.one.model.load(model.saved.state);
    model.one.optimizer.load(model.saved.optimizer);
  }
}

function snapshot({ model, optimizer }: LayoutRun): Saved {
  const copied = (of: ReadonlyMap<string, Tensor>): Map<string, Tensor> =>
    new Map([...of].map(([name, tensor]) => [name, tensor.detach().mul(1).persist()]));
  const { step, tensors } = optimizer.state();
  return { state: copied(model.state()), optimizer: { step, tensors: copied(tensors) } };
}

const delays = fc.array(fc.nat(6), { minLength: 3, maxLength: 3 });
const counts = fc.array(fc.array(fc.nat(3), { minLength: 3, maxLength: 3 }), { minLength: 3, maxLength: 3 });
const commands = fc.commands<Model, Real, true>(
  [
    ...(["begin", "step", "save", "save", "load"] as const).map((what) => delays.map((late) => new Command({ what, delays: late }))),
    fc.record({ late: delays, counts }).map(({ late, counts: drawn }) => new Command({ what: "exchange", delays: late, counts: drawn })),
    ...(["step", "save", "save", "exchange"] as const).map((place) =>
      fc.record({ late: delays, rank: fc.nat(2) }).map(({ late, rank }) => new Command({ what: "abort", delays: late, rank, in: place })),
    ),
  ],
  { maxCommands: 16, size: "max" },
);

describe("commands to ranks that come late", function () {
  this.timeout(240_000);
  let world: ThreadWorld;
  before(async () => (world = await ThreadWorld.start(3)));
  after(() => world.close());

  it("do what they do in one process, and a failure loses nothing that was saved", async () => {
    await fc.assert(
      fc.asyncProperty(commands, async (drawn) => {
        const folder = mkdtempSync(join(tmpdir(), "switchyard-commands-"));
        try {
          const real = { world, folder };
          await send(real, { what: "begin", delays: [0, 0, 0] });
          const model: Model = { one: newRun(alone({ ordered: true })), saved: null, torn: false };
          await fc.asyncModelRun(() => ({ model, real }), drawn);
          const last = new Command({ what: "load", delays: [0, 0, 0] }); // whatever happened, what was saved is there
          if (await last.check(model)) await last.run(model, real);
        } finally {
          rmSync(folder, { recursive: true, force: true });
        }
      }),
      { seed: 2, numRuns: 20 },
    );
    for (const what of [
      "begin",
      "step",
      "save",
      "load",
      "exchange",
      "abort in step, something saved",
      "abort in save, something saved",
      "abort in exchange, something saved",
    ])
      expect(met.get(what) ?? 0, `${what}; ${JSON.stringify([...met])}`).to.be.at.least(3);
  });
});
