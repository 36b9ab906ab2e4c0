/**
 * The lives of tensors, found by random programs: what is made, viewed, assigned, kept by scopes, walked, released and freed, beside a model
 * that says it with plain arrays (plainTensor.ts). After every step each living tensor reads as the model says, each freed one throws, and the
 * device holds the buffers that the model counts: no more, no fewer.
 */
import { expect } from "chai";
import * as fc from "fast-check";
import type { Backend, Tensor } from "switchyard-moe";
import { recompute, scope, tensor } from "switchyard-moe";
import { wasm } from "switchyard-moe/backend/wasm";
import type { WasmBackend } from "switchyard-moe/backend/wasm";
import { CpuBackend } from "../../src/backend/index.ts";
import { AsyncBackend } from "../backend/asyncBackend.ts";
import { same } from "./helpers.ts";
import { openScope, Plain, Store, storesOf } from "./plainTensor.ts";
import type { Steps } from "./plainTensor.ts";

/** Whole numbers stay exact in float32, gradients of second order included. */
const [mostBound, mostDegree] = [2 ** 10, 6];
/** A device keeps 0 and 1 for good once a walk has used them. */
const constants = 2;

/** A tensor lives on its device and, at the same index, in the model. */
interface Model {
  readonly plains: Plain[];
}
interface Real {
  readonly backend: Backend;
  readonly tensors: Tensor[];
  /** Waits for numbers in an order of its own choice, while steps go on; null: reads at once. */
  readonly later: ((numbers: Promise<ArrayLike<number>>) => Promise<ArrayLike<number>>) | null;
  readonly reads: Promise<void>[];
}

/** What a step does, to tensors and to their models in the same words; it answers what it made. */
type Does = <T extends Steps<T>>(...picked: T[]) => readonly T[];
interface Step {
  readonly name: string;
  readonly does: Does;
  /** Whether its result is small enough to be exact, and its operands alike enough to be of use. */
  readonly fits?: (...picked: Plain[]) => boolean;
}

const alike = (x: Plain, y: Plain): boolean => String(x.shape) === String(y.shape);
const small = (bound: number, degree = 1): boolean => bound <= mostBound && degree <= mostDegree;
const nothing = (): readonly never[] => [];

const steps: readonly Step[] = [
  { name: "add", does: (x, y) => [x.add(y)], fits: (x, y) => alike(x, y) && small(x.bound + y.bound) },
  { name: "sub", does: (x, y) => [x.sub(y)], fits: (x, y) => alike(x, y) && small(x.bound + y.bound) },
  { name: "mul", does: (x, y) => [x.mul(y)], fits: (x, y) => alike(x, y) && small(x.bound * y.bound, x.degree + y.degree) },
  { name: "square", does: (x) => [x.mul(x)], fits: (x) => small(x.bound ** 2, 2 * x.degree) },
  { name: "sum", does: (x) => [x.sum()], fits: (x) => x.shape.length > 0 && small(x.bound * 6) },
  { name: "flat", does: (x) => [x.reshape([x.shape.reduce((a, b) => a * b, 1)])] },
  { name: "pairs", does: (x) => [x.reshape([3, 2])], fits: (x) => x.places.length === 6 },
  { name: "first", does: (x) => [x.narrow(0, 0, 1)], fits: (x) => x.shape.length > 0 },
  { name: "rest", does: (x) => [x.narrow(0, 1, x.shape[0])], fits: (x) => x.shape[0] > 1 },
  { name: "column", does: (x) => [x.narrow(1, 1, 2)], fits: (x) => x.shape[1] > 1 },
  { name: "transpose", does: (x) => [x.transpose()], fits: (x) => x.shape.length === 2 },
  { name: "contiguous", does: (x) => [x.contiguous()] },
  { name: "detach", does: (x) => [x.detach()] },
  { name: "requireGrad", does: (x) => (x.requireGrad(), nothing()) },
  { name: "persist", does: (x) => (x.persist(), nothing()) },
  { name: "zeroGrad", does: (x) => (x.zeroGrad(), nothing()) },
  { name: "dispose", does: (x) => (x.dispose(), nothing()) },
  { name: "assign", does: (x, y) => (x.assign(y), nothing()), fits: alike },
  { name: "backward", does: (x) => (x.backward({}), nothing()) },
  { name: "release", does: (x) => (x.backward({ release: true }), nothing()) },
  { name: "seeded", does: (x, y) => (x.backward({ seed: y }), nothing()), fits: (x, y) => alike(x, y) && y.bound <= 16 },
  { name: "seeded release", does: (x, y) => (x.backward({ seed: y, release: true }), nothing()), fits: (x, y) => alike(x, y) && y.bound <= 16 }, // prettier-ignore
  { name: "gradients", does: (x, y, z) => x.gradients([y, z]) },
];

/** A program's step. `picks` choose tensors among those alive, now and then among all. */
class Command implements fc.Command<Model, Real> {
  readonly step: Step;
  readonly picks: readonly number[];

  constructor(step: Step, picks: readonly number[]) {
    [this.step, this.picks] = [step, picks];
  }
  check = ({ plains }: Readonly<Model>): boolean =>
    plains.length > 0 && (this.step.fits?.(...this.picks.map((pick) => plains[chosen(plains, pick)])) ?? true);
  run(model: Model, real: Real): void {
    const at = this.picks.map((pick) => chosen(model.plains, pick));
    both(model, real, [() => this.step.does(...at.map((i) => model.plains[i])), () => this.step.does(...at.map((i) => real.tensors[i]))]);
  }
  toString = (): string => `${this.step.name}(${this.picks.join(", ")})`;
}

/** A new tensor of whole numbers, a leaf or not. */
class Make implements fc.Command<Model, Real> {
  readonly numbers: readonly number[];
  readonly shape: readonly number[];
  readonly leaf: boolean;

  constructor(numbers: readonly number[], shape: readonly number[], leaf: boolean) {
    const size = shape.reduce((a, b) => a * b, 1);
    [this.numbers, this.shape, this.leaf] = [numbers.slice(0, size), shape, leaf];
  }
  check = (): boolean => true;
  run(model: Model, real: Real): void {
    const made = <T extends Steps<T>>(x: T): T[] => (this.leaf && x.requireGrad(), [x]);
    const { shape, numbers } = this;
    both(model, real, [
      () => made(new Plain(shape, new Store(numbers))),
      () => made<Tensor>(tensor(numbers, { shape, dtype: "float32", backend: real.backend })),
    ]);
  }
  toString = (): string => `make([${this.numbers.join(", ")}], [${this.shape.join(", ")}]${this.leaf ? ", leaf" : ""})`;
}

/** Forgets all but its result and what was decided. */
class Recompute extends Command {
  constructor(picks: readonly number[]) {
    super({ name: "recompute", does: nothing, fits: (x) => small(x.bound ** 2, 2 * x.degree) }, picks);
  }
  override run(model: Model, real: Real): void {
    const at = chosen(model.plains, this.picks[0]);
    const x = real.tensors[at];
    both(model, real, [() => [model.plains[at].decided()], () => [recompute(() => x.mul(x.cast("int32").cast("float32")))]]);
  }
}

/** A gradient that can be differentiated again, and its gradient, from a scope that keeps both. */
class Curvature extends Command {
  constructor(picks: readonly number[]) {
    super({ name: "curvature", does: nothing }, picks);
  }
  override run(model: Model, real: Real): void {
    const [at, to] = this.picks.map((pick) => chosen(model.plains, pick));
    const twice = <T extends Steps<T>>(y: T, x: T): T[] => {
      const [g] = y.gradients([x], { createGraph: true });
      return [g, ...g.sum().gradients([x])];
    };
    both(model, real, [
      () => scoped(() => twice(model.plains[at], model.plains[to])),
      () => scope(() => twice<Tensor>(real.tensors[at], real.tensors[to])),
    ]);
  }
}

/** Steps inside a scope, which keeps some of what lives at its end, or throws. */
class Scoped implements fc.Command<Model, Real> {
  readonly inner: readonly fc.Command<Model, Real>[];
  readonly keeps: readonly number[];
  readonly throws: boolean;

  constructor(inner: readonly fc.Command<Model, Real>[], keeps: readonly number[], throws: boolean) {
    [this.inner, this.keeps, this.throws] = [inner, keeps, throws];
  }
  check = (): boolean => true;
  run(model: Model, real: Real): void {
    const close = openScope();
    let kept: number[] = [];
    const program = (): unknown => {
      for (const command of this.inner) if (command.check(model)) command.run(model, real);
      if (this.throws) throw new EvalError("out of the scope");
      kept = model.plains.length > 0 ? this.keeps.map((pick) => chosen(model.plains, pick)) : [];
      return { kept: kept.map((at) => [real.tensors[at]]) };
    };
    try {
      scope(program);
    } catch (error) {
      if (!(error instanceof EvalError)) throw error;
    } finally {
      close(kept.map((at) => model.plains[at]));
    }
    agree(model, real);
  }
  toString = (): string => `scope(${this.inner.map(String).join("; ")}; ${this.throws ? "throw" : `keep ${this.keeps.join(", ")}`})`;
}

/** A step as one turn of several that a scheduler puts in order. */
class Turn implements fc.AsyncCommand<Model, Real> {
  readonly command: fc.Command<Model, Real>;

  constructor(command: fc.Command<Model, Real>) {
    this.command = command;
  }
  check = (model: Readonly<Model>): boolean => this.command.check(model);
  run = async (model: Model, real: Real): Promise<void> => this.command.run(model, real);
  toString = (): string => String(this.command);
}

function chosen(plains: readonly Plain[], pick: number): number {
  const alive = plains.flatMap(({ alive }, i) => (alive ? [i] : []));
  return pick % 7 === 0 || alive.length === 0 ? pick % plains.length : alive[pick % alive.length];
}

/** The same of both: new tensors, or an error of the same words. */
function both(model: Model, real: Real, [expected, given]: readonly [() => readonly Plain[], () => readonly Tensor[]]): void {
  let wanted: readonly Plain[] | Error;
  try {
    wanted = expected();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    wanted = error;
  }
  if (wanted instanceof Error) expect(() => void given()).to.throw(wanted.message);
  else {
    const got = given();
    expect(got.length).to.equal(wanted.length);
    (model.plains.push(...wanted), real.tensors.push(...got));
  }
  agree(model, real);
}

function scoped(fn: () => readonly Plain[]): readonly Plain[] {
  const close = openScope();
  let kept: readonly Plain[] = [];
  try {
    return (kept = fn());
  } finally {
    close(kept);
  }
}

/** What holds after every step. */
function agree({ plains }: Model, real: Real): void {
  plains.forEach((plain, i) => {
    const x = real.tensors[i];
    expect(x.disposed, `tensor ${i} is freed`).to.equal(!plain.alive);
    if (plain.alive) readsAs(x, plain, real);
    else expect(() => x.buffer).to.throw(ReferenceError, "was freed: its scope has closed, or backward({ release: true }) has passed it");
    expect(x.grad !== null, `tensor ${i} has a gradient`).to.equal(plain.grad !== null);
    if (x.grad && plain.grad) readsAs(x.grad, plain.grad, real);
  });
  const held = real.backend.stats().liveBuffers - constants;
  // On a device with a queue, what waits to be freed or read is still held.
  if (real.later) expect(held).to.be.at.least(storesOf(plains).size);
  else expect(held, "buffers alive").to.equal(storesOf(plains).size);
}

function readsAs(x: Tensor, plain: Plain, { later, reads }: Real): void {
  const wanted = plain.read();
  expect(x.shape).to.deep.equal(plain.shape);
  const compare = (numbers: ArrayLike<number>): void => same(Array.from(numbers), wanted);
  if (later) reads.push(later(x.data()).then(compare));
  else compare(x.dataSync());
}

const picks = (count: number): fc.Arbitrary<number[]> => fc.array(fc.nat(99), { minLength: count, maxLength: count });
const shapes = fc.constantFrom<number[][]>([2, 3], [3, 2], [6], [2, 1], [3], []);
const numbers = fc.array(fc.integer({ min: -2, max: 2 }), { minLength: 6, maxLength: 6 });
const simple: readonly fc.Arbitrary<fc.Command<Model, Real>>[] = [
  fc.tuple(numbers, shapes, fc.boolean()).map((made) => new Make(...made)),
  fc.tuple(numbers, fc.constant([2, 3]), fc.boolean()).map((made) => new Make(...made)),
  ...steps.map((step) => picks(3).map((picked) => new Command(step, picked))),
  picks(1).map((picked) => new Recompute(picked)),
  picks(2).map((picked) => new Curvature(picked)),
];
const inScope = (inside: fc.Arbitrary<fc.Command<Model, Real>>): fc.Arbitrary<fc.Command<Model, Real>> =>
  fc.tuple(fc.array(inside, { maxLength: 8 }), picks(2), fc.nat(3)).map(([inner, keeps, n]) => new Scoped(inner, keeps, n === 0));
const nested = inScope(fc.oneof(...simple, inScope(fc.oneof(...simple))));
const all = [...simple, nested, nested, nested];
const size = { maxCommands: 40, size: "+1" } as const;
const programs = fc.commands(all, size);
const programsInTurns = fc.commands<Model, Real, false>(all.map((command) => command.map((one) => new Turn(one))), size); // prettier-ignore

/** A device that holds its constants and nothing else. */
function opened(backend: Backend, later: Real["later"] = null): { model: Model; real: Real } {
  scope(() => {
    const [x, y] = [1, 2].map((n) => tensor([n], { backend, dtype: "float32", requiresGrad: true }));
    for (const g of [...x.sum().gradients([x, y]), x, y]) g.dispose();
  });
  return { model: { plains: [] }, real: { backend, tensors: [], later, reads: [] } };
}

function freeAll({ tensors }: Real): void {
  for (const x of tensors) (x.zeroGrad(), x.dispose());
}

function lives(name: string, device: () => Backend): void {
  it(`each reads what was put there, until it is freed, and then its memory is back (${name})`, () => {
    fc.assert(
      fc.property(programs, (commands) => {
        const { model, real } = opened(device());
        try {
          fc.modelRun(() => ({ model, real }), commands);
        } finally {
          freeAll(real);
        }
        expect(real.backend.stats().liveBuffers).to.equal(constants);
      }),
      { numRuns: 100 },
    );
  });
}

describe("lives of tensors", function () {
  this.timeout(120_000);
  let plain: WasmBackend;
  let guarded: WasmBackend;
  before(async () => {
    plain = await wasm({ threads: 1 });
    guarded = await wasm({ threads: 1, guarded: true });
  });
  after(() => (plain.close(), guarded.close()));

  lives("cpu", () => new CpuBackend());
  lives("wasm", () => plain);
  lives("wasm on a guarded heap", () => guarded);

  it("on a device that takes its time, a read gives what stood there when it was asked for, in whatever order answers come", () =>
    fc.assert(
      fc.asyncProperty(fc.scheduler(), programsInTurns, async (turns, commands) => {
        const { model, real } = opened(new AsyncBackend(), (numbers) => turns.schedule(numbers, "read"));
        try {
          await fc.scheduledModelRun(turns, () => ({ model, real }), commands);
          await turns.waitIdle();
          await Promise.all(real.reads);
        } finally {
          freeAll(real);
        }
        await returned(real);
      }),
      { numRuns: 50 },
    ));
});

/** Waits until the queue of the device has given back everything. */
async function returned({ backend }: Real): Promise<void> {
  for (let turn = 0; turn < 1000 && backend.stats().liveBuffers > constants; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(backend.stats().liveBuffers).to.equal(constants);
}
