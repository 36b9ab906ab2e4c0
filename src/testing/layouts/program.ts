/** What each thread rank runs for a law of layouts: three steps of a case, and what came of them. */
import { cpuBackend, withBackend } from "../../index.ts";
import type { Backend } from "../../index.ts";
import type { Communicator } from "../../distributed/index.ts";
import { check, checkOptions, either, finite, having, listOf, nothing, oneOf, text, whole } from "../../autograd/arguments.ts";
import type { Kind, Kinds } from "../../autograd/arguments.ts";
import { aCommunicator } from "../../distributed/communicator.ts";
import { checkCase, feedForwardExperts } from "./cases.ts";
import type { LayoutCase, MakeExperts } from "./cases.ts";
import { LayoutRun, STEPS } from "./run.ts";
import type { LayoutResult, Precision } from "./run.ts";

/** A function of a module. */
export interface Exported {
  readonly module: string;
  readonly export: string;
}

export interface LayoutOrder {
  readonly case: LayoutCase;
  readonly precision: Precision;
  readonly backend: "cpu" | "wasm";
  readonly steps: number;
  /** Makes experts of your own; null: `FeedForwardExperts`. */
  readonly make: Exported | null;
  /** A class below LayoutRun, to be held to the laws instead of it. */
  readonly variant: Exported | null;
  /** Milliseconds that each rank sleeps before its parts of a step. */
  readonly delays: readonly number[];
  /** Where a checkpoint is written after the steps, or read before them. */
  readonly save: string | null;
  readonly load: string | null;
}

export interface LayoutReport extends LayoutResult {
  /** Calls of each collective. */
  readonly calls: Readonly<Record<string, number>>;
}

export const usualOrder = { precision: "float64", backend: "cpu", steps: STEPS, make: null, variant: null, delays: [], save: null, load: null } as const; // prettier-ignore

const anExport: Kind = {
  wanted: "an object with module and export, both strings",
  accepts: (value) =>
    typeof value === "object" &&
    value !== null &&
    ["module", "export"].every((name) => text.accepts((value as Record<string, unknown>)[name])),
};
const aPath = either(text, nothing);
const orderKinds: Kinds<LayoutOrder> = {
  case: having("a case of layouts"),
  precision: oneOf("float32", "float64"),
  backend: oneOf("cpu", "wasm"),
  steps: whole(0, 1000),
  make: either(anExport, nothing),
  variant: either(anExport, nothing),
  delays: listOf(finite(0)),
  save: aPath,
  load: aPath,
};

/** The program of a rank. Ranks that the case does not need return null. Throws for an order that is none. */
export async function layoutProgram(world: Communicator, data: unknown): Promise<LayoutReport | null> {
  check("layoutProgram", "world", world, aCommunicator);
  checkOptions<LayoutOrder>("layoutProgram", data, orderKinds);
  const order = data as LayoutOrder;
  checkCase("layoutProgram", order.case);
  return takePart(world, order);
}

/** Finds what an order names. */
export type Load = (of: Exported) => Promise<unknown>;

/** The same without checks. In a page no module is loaded by its address, so `load` is another. */
export async function takePart(world: Communicator, order: LayoutOrder, load?: Load): Promise<LayoutReport | null> {
  const takesPart = world.rank < order.case.ranks;
  const group = world.split(takesPart ? 0 : 1);
  return takesPart ? runOrder(group, order, load) : null;
}

/** The same on a world of just the right size. */
export async function runOrder(world: Communicator, order: LayoutOrder, load: Load = exported): Promise<LayoutReport> {
  world.traffic.clear(); // processes of mpirun count on from case to case
  const make = order.make ? ((await load(order.make)) as MakeExperts) : feedForwardExperts;
  const Run = order.variant ? ((await load(order.variant)) as typeof LayoutRun) : LayoutRun;
  const backend = await backendOf(order.backend);
  const run = withBackend(backend, () => new Run(order.case, world, order.precision, make));
  run.delays = order.delays;
  if (order.load !== null) withBackend(backend, () => run.load(order.load ?? ""));
  const result = withBackend(backend, () => run.run(order.steps));
  if (order.save !== null) await run.save(order.save);
  const calls = Object.fromEntries([...world.traffic.byCollective].map(([name, { calls: count }]) => [name, count]));
  return { ...result, calls };
}

let wasm: Promise<Backend> | undefined;

/** One backend of each kind in a thread, of one thread: ranks share the cores. */
async function backendOf(name: "cpu" | "wasm"): Promise<Backend> {
  if (name === "cpu") return cpuBackend();
  return (wasm ??= import("../../backend/wasm/index.ts").then((module) => module.wasm({ threads: 1 })));
}

async function exported({ module, export: name }: Exported): Promise<unknown> {
  const exports = (await import(module)) as Record<string, unknown>;
  if (!(name in exports)) throw new RangeError(`layoutLaws: ${module} exports no ${name}`);
  return exports[name];
}
