/**
 * Careless calls of ./moe and ./testing: each argument, option and member of an otherwise right call is replaced by what a caller without a type
 * checker may pass. The call must work or throw an error that names the function or class and the argument; nothing hangs and no error is JavaScript's
 * own.
 */
import { expect } from "chai";
import fc from "fast-check";
import { alone } from "../../src/distributed/index.ts";
import { key, scope, tensor } from "../../src/index.ts";
import * as moe from "../../src/moe/index.ts";
import { DenseFeedForward, Linear } from "../../src/nn/index.ts";
import * as testing from "../../src/testing/index.ts";
import { describe as described } from "../../src/backend/arguments.ts";
import { isClear } from "../repository/careless/clear.ts";
import { Contracts } from "../repository/careless/contracts.ts";

const init = { random: key(1), dtype: "float64" } as const;
const pass = { training: true, random: key(2) } as const;
const floats = (...shape: number[]) =>
  tensor(
    Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(i + 1)),
    { shape },
  );
const ints = (...shape: number[]) =>
  tensor(
    Int32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i % 2),
    { shape },
  );
const sizes = { width: 4, experts: 2, ...init };
const router = () => new moe.SwitchRouter({ ...sizes, group: "sequence" });
const experts = () => new moe.FeedForwardExperts({ ...sizes, hidden: 3 });
const layer = () =>
  new moe.MoE({ router: router(), experts: experts(), shared: new DenseFeedForward(4, 3, init), sharedGate: new Linear(4, 1, init) });
const request = { tokens: floats(1, 3, 4), ids: ints(1, 3), mask: floats(1, 3), capacityFactor: 1, expertCapacity: 1, causal: false, pass };
const routing = () => router().route(request);
const rows = () => ({ routing: routing(), rows: routing().dispatch(floats(3, 4)) });
const books = { tokens: 2, experts: 2, choices: 1, rows: 4, real: [1, 1], expertOfChoice: Int32Array.of(0, 1), slotOfChoice: Int32Array.of(0, -1), gate: Float64Array.of(1, 0.5) }; // prettier-ignore
const model = { forward: () => ({ routings: [routing()] }) };
const wholeMoE = { router: router(), experts: experts(), trainingCapacityFactor: 1, evaluationCapacityFactor: 1, dropped: "zero" } as const;
const seating = { group: "batch", priority: "position", queueBy: "choice" } as const;
const common = { ...sizes, bias: true, precision: "float32", initializer: (shape: number[]) => floats(...shape) } as const;
const losses = { balance: 0.1, balanceScope: "batch", zLoss: 0.1 } as const;

const makeExperts: testing.MakeExperts = ({ share, random, ...own }) =>
  new moe.FeedForwardExperts({ ...own, random, experts: share.count });
const layoutCase: testing.LayoutCase = { seed: 1, ranks: 1, expertsOver: 1, expertsEach: 2, router: "switch", factor: 1, shards: [1], padding: [0], balance: "rank", sharedState: false }; // prettier-ignore
/** A call that would write a checkpoint into this folder says what saving says instead. */
const withoutSaving: (...args: Parameters<typeof testing.layoutProgram>) => typeof args = (world, data) =>
  typeof (data as { save?: unknown } | null)?.save === "string" ? [world, { ...(data as object), save: null }] : [world, data];
const layoutRun = () => new testing.LayoutRun(layoutCase, alone(), "float64", makeExperts);

/** A right call: the name that errors begin with, the function, its arguments. */
type Call = readonly [string, (...args: never[]) => unknown, readonly unknown[]];
const make = (Class: new (...args: never[]) => unknown) => (...args: never[]): unknown => new Class(...args); // prettier-ignore
const calls: readonly Call[] = [
  ["MoE", make(moe.MoE), [wholeMoE]],
  ["MoE.forward", (...args: never[]) => layer().forward(...(args as unknown as Parameters<moe.MoE["forward"]>)), [floats(1, 3, 4), { ids: ints(1, 3) }, pass]],
  ["SwitchRouter.route", (...args: never[]) => router().route(...(args as unknown as [moe.RouteRequest])), [request]],
  ["FeedForwardExperts", make(moe.FeedForwardExperts), [{ ...sizes, hidden: 3, kind: "relu", bias: true, dropout: 0.1, initializer: common.initializer }]],
  ["FeedForwardExperts.forward", (...args: never[]) => experts().forward(...(args as unknown as Parameters<moe.Experts["forward"]>)), [rows().rows, rows().routing.layout, pass]],
  ["ModuleExperts", make(moe.ModuleExperts), [[new Linear(4, 4, init)]]],
  ["LinearExperts", make(moe.LinearExperts), [{ ...sizes, outputs: 3, initializer: common.initializer }]],
  ["SwitchAttention", make(moe.SwitchAttention), [4, { heads: 2, experts: 2, router: () => router(), ...init, trainingCapacityFactor: 1, evaluationCapacityFactor: 2, scale: 1 }]],
  ["Projection", make(moe.Projection), [common]],
  ["SwitchRouter", make(moe.SwitchRouter), [{ ...common, ...seating, ...losses, jitter: 0.1, inputDropout: 0.1, temperature: 1, attempts: 1 }]],
  ["DenseRouter", make(moe.DenseRouter), [{ ...common, ...losses }]],
  ["NoisyTopKRouter", make(moe.NoisyTopKRouter), [{ ...common, ...seating, choices: 1, importance: 0.1, load: 0.1, balanceScope: "batch" }]],
  ["TopKRouter", make(moe.TopKRouter), [{ ...common, ...seating, ...losses, choices: 1, scores: "softmax", normalise: "before", gateScale: 1, randomBeyondFirst: 0, gumbelBeyondFirst: true, balanceCounts: "all", biasRate: 0, expertGroups: { count: 2, keep: 1 } }]],
  ["BalancedRouter", make(moe.BalancedRouter), [{ ...common, ...seating, choices: 1, allowCausal: true, temperature: 1, rounds: 2 }]],
  ["ExpertChoiceRouter", make(moe.ExpertChoiceRouter), [{ ...common, average: 1, cap: 1, assignment: { rounds: 2 }, group: "batch", allowCausal: true }]],
  ["SoftRouter", make(moe.SoftRouter), [{ ...sizes, slots: 2, group: "sequence", allowCausal: true, initializer: common.initializer }]],
  ["HashRouter", make(moe.HashRouter), [{ experts: 2, table: [0, 1], ...seating }]],
  ["randomHash", moe.randomHash, [3, 2, key(1)]],
  ["balancedHash", moe.balancedHash, [[1, 2, 3], 2]],
  ["loadProbability", moe.loadProbability, [floats(1, 2, 3), floats(1, 2, 3), floats(1, 2, 3), 1]],
  ["capacityOf", moe.capacityOf, [8, 2, 1, 1]],
  ["queue", moe.queue, [ints(1, 3, 1), tensor(Int32Array.of(2, 0, 1), { shape: [1, 3] }), "choice"]],
  ["slotOfChoice", moe.slotOfChoice, [moe.queue(ints(1, 3, 1)), 2, 2]],
  ["slotRouting", moe.slotRouting, [{ books: routing().books, losses: {} }, 2, 2, 1]],
  ["sortedRouting", moe.sortedRouting, [{ books: routing().books, losses: {} }, 2]],
  ["softRouting", moe.softRouting, [{ books: routing().books, losses: {} }, 2, { dispatch: floats(1, 4, 3), combine: floats(1, 3, 4) }]],
  ["cappedAssignment", moe.cappedAssignment, [floats(1, 2, 3), 1, 1, floats(1, 1, 3), { temperature: 1, rounds: 2 }]],
  ["sinkhorn", moe.sinkhorn, [floats(1, 3, 2), floats(1, 3, 1), { temperature: 1, rounds: 2 }]],
  ["loadBalance", moe.loadBalance, [{ expertOfChoice: ints(1, 3, 1), probs: floats(1, 3, 2), mask: floats(1, 3) }]],
  ["zLoss", moe.zLoss, [floats(1, 3, 2), floats(1, 3)]],
  ["importanceLoss", moe.importanceLoss, [floats(1, 3, 2), floats(1, 3)]],
  ["loadLoss", moe.loadLoss, [floats(1, 3, 2), floats(1, 3)]],
  ["squaredVariation", moe.squaredVariation, [floats(3, 2)]],
  ["afterStep", moe.afterStep, [layer(), [routing()]]],
  ["readBooks", moe.readBooks, [routing()]],
  ["measure", moe.measure, [books, books]],
  ["droppedBy", moe.droppedBy, [books, [0, 1], 2]],
  ["expertsByClass", moe.expertsByClass, [books, [0, 1], 2]],
  ["entropy", moe.entropy, [[1, 2]]],
  ["loadEntropy", moe.loadEntropy, [[1, 2]]],
  ["maxViolation", moe.maxViolation, [[1, 2]]],
  ["trace", moe.trace, [model, ints(1, 3), pass]],
  ["formatTrace", moe.formatTrace, [[{ layer: 0, sequence: 0, position: 0, probs: [0.5], choices: [] }], () => "a"]],
  ["copyShared", moe.copyShared, [layer(), layer()]],
  ["upcycle", moe.upcycle, [layer(), layer()]],
  ["shapes", testing.shapes, [{ minAxes: 0, maxAxes: 2, minSize: 0, maxSize: 2 }]],
  ["numbers", testing.numbers, [{ min: 0, max: 1, shift: 0 }]],
  ["arrays", testing.arrays, [[2], fc.nat()]],
  ["distinctArrays", testing.distinctArrays, [[2]]],
  ["axisOf", testing.axisOf, [[2]]],
  ["axesOf", testing.axesOf, [[2]]],
  ["broadcastable", testing.broadcastable, [{ minAxes: 0, maxAxes: 2, minSize: 0, maxSize: 2 }]],
  ["toTensor", testing.toTensor, [{ shape: [2], data: [1, 2] }, { dtype: "float64" }]],
  ["routerLaws", testing.routerLaws, ["mine", () => router(), { seed: 1, runs: 1, except: {}, seats: () => null }]],
  ["seatByHand", testing.seatByHand, [{ choices: [[0], [1]], experts: 2, groupSize: 2, capacity: 1, priority: [1, 2], by: "choice" }]],
  ["capacityByHand", testing.capacityByHand, [8, 1, 2, 1]],
  ["largest", testing.largest, [[1, 2], 1]],
  ["layoutLaws", testing.layoutLaws, ["mine", { module: "./mine.js", export: "make", local: makeExperts }, { seed: 1, runs: 1, examples: [layoutCase], ranks: [1], variant: { module: "./mine.js", export: "Run" }, shrink: true, limit: 1, world: alone() }]],
  ["BrokenLayout", make(testing.BrokenLayout), ["what differs", layoutCase, new Error("why")]],
  ["LayoutCoverage.note", (...args: never[]) => new testing.LayoutCoverage().note(...(args as unknown as [testing.LayoutCase, number[]])), [layoutCase, [1, 0]]],
  ["LayoutCoverage.count", (...args: never[]) => new testing.LayoutCoverage().count(...(args as unknown as [testing.LayoutKind])), ["padding"]],
  ["LayoutRun", make(testing.LayoutRun), [layoutCase, alone(), "float64", makeExperts]],
  ["LayoutRun.step", (...args: never[]) => layoutRun().step(...(args as unknown as [number])), [0]],
  ["LayoutRun.run", (...args: never[]) => layoutRun().run(...(args as unknown as [number])), [1]],
  ["layoutProgram", (...args: never[]) => testing.layoutProgram(...withoutSaving(...(args as unknown as Parameters<typeof testing.layoutProgram>))), [alone(), { case: layoutCase, precision: "float64", backend: "cpu", steps: 1, make: null, variant: null, delays: [], save: null, load: null }]],
]; // prettier-ignore

/** Exports that are tried elsewhere or are no functions to call. */
const elsewhere = ["Experts", "Router", "BrokenLaw", "checkGradients"];
const wrong: readonly unknown[] = [undefined, null, NaN, -1, 0, 1.5, 1e15, Infinity, "x", "", true, {}, [], [null], () => undefined, 5n, Symbol("s"), floats(2), floats(1, 1, 1, 1), ints(0)]; // prettier-ignore

interface Careless {
  /** The place of the argument, with the option that was replaced. */
  readonly at: string;
  readonly value: string;
  readonly args: readonly unknown[];
}

/** The arguments with one of them, or one of its members, replaced; and with an option that there is not. */
function* careless(args: readonly unknown[]): Generator<Careless> {
  for (const [i, arg] of args.entries()) {
    const put = (at: string, value: unknown, whole = value): Careless => ({
      at: `${i + 1}${at}`,
      value: described(value),
      args: args.map((own, k) => (k === i ? whole : own)),
    });
    for (const value of wrong) yield put("", value);
    if (Object.getPrototypeOf(arg) !== Object.prototype) continue;
    const members = arg as Record<string, unknown>;
    for (const [name, right] of Object.entries(members))
      for (const value of wrong)
        if (typeof right !== "function" || typeof value !== "function") yield put(`.${name}`, value, { ...members, [name]: value });
    yield put(".jiter", 0.1, { ...members, jiter: 0.1 });
  }
  yield { at: "", value: "nothing", args: [] };
}

async function answer([, call]: Call, args: readonly unknown[]): Promise<Error | undefined> {
  try {
    await scope(() => ({ result: call(...(args as never[])) })).result;
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
  return undefined;
}

describe("careless calls", () => {
  const contracts = new Contracts();

  it("are tried of every function and class that is exported", () => {
    const known = new Set([...calls.map(([name]) => name.split(".")[0]), ...elsewhere]);
    const all = [...Object.entries(moe), ...Object.entries(testing)].filter(([, value]) => typeof value === "function");
    expect(all.map(([name]) => name).filter((name) => !known.has(name))).to.deep.equal([]);
  });

  for (const call of calls)
    it(call[0], async () => {
      expect(await answer(call, call[2]).then((error) => (call[0] === "upcycle" ? undefined : error)), "the right call").to.equal(
        undefined,
      );
      const obscure: string[] = [];
      let refused = 0;
      for (const { at, value, args } of careless(call[2])) {
        const error = await answer(call, args);
        contracts.note(`${call[0]}(${at})`, value, error?.message);
        if (!error) continue;
        refused++;
        if (!isClear(error) || !/^[\w.]+( "|: )/.test(error.message)) obscure.push(error.message);
      }
      expect(refused, "calls refused").to.be.greaterThan(5);
      expect([...new Set(obscure)]).to.deep.equal([]);
    });

  it("are refused and taken as written down", () => contracts.compare("test/repository/careless/contracts/moe.txt"));
});
