/**
 * What a tensor is, said with plain arrays: a list of places in a store of numbers. No strides, no counts of owners, no kernels: a store
 * lives while something living stands on it. The model that test/autograd/lives.test.ts holds tensors against.
 */

/** Numbers that several tensors may read. */
export class Store {
  readonly numbers: readonly number[];

  constructor(numbers: readonly number[]) {
    this.numbers = numbers;
  }
}

/** A device keeps its constants for good: they count for nobody. */
const [zero, one] = [new Store([0]), new Store([1])];

/** The stores that living tensors stand on. */
export function storesOf(tensors: readonly Plain[]): Set<Store> {
  const stores = tensors.flatMap(({ alive, store, decision, grad }) => [...(alive ? [store, decision] : []), grad?.store]);
  return new Set(stores.flatMap((store) => (store && store !== zero && store !== one ? [store] : [])));
}

interface PlainLine {
  readonly name: string;
  readonly inputs: readonly Plain[];
  readonly output: Plain;
  readonly versions: readonly number[];
  readonly time: number;
  readonly pull: (g: Plain, needed: readonly boolean[]) => readonly (Plain | null)[];
}

/** What steps may ask of a tensor and of its model alike. */
export interface Steps<T> {
  readonly shape: readonly number[];
  readonly grad: T | null;
  add(y: T): T;
  sub(y: T): T;
  mul(y: T): T;
  sum(): T;
  reshape(shape: readonly number[]): T;
  narrow(axis: number, start: number, end: number): T;
  transpose(): T;
  contiguous(): T;
  detach(): T;
  assign(value: T): unknown;
  requireGrad(): unknown;
  persist(): unknown;
  zeroGrad(): void;
  dispose(): void;
  backward(options: { seed?: T | undefined; release?: boolean }): void;
  gradients(xs: readonly T[], options?: { seed?: T | undefined; createGraph?: boolean }): readonly T[];
}

let clock = 0;
let recording = true;
const open: Plain[][] = [];

/** The scope that is open now, or null. */
const innermost = (): Plain[] | null => open.at(-1) ?? null;

export class Plain implements Steps<Plain> {
  readonly shape: readonly number[];
  store: Store;
  /** Where in the store each element stands, in row-major order. */
  places: readonly number[];
  line: PlainLine | null = null;
  grad: Plain | null = null;
  /** A store that dies with it: what a recomputed function decided. */
  decision: Store | null = null;
  alive = true;
  leaf = false;
  version = 0;
  owner: Plain[] | null = null;
  /** No element of it, nor of any partial sum of it, is larger: numbers stay whole in float32. */
  bound: number;
  degree = 1;

  constructor(shape: readonly number[], store: Store, places: readonly number[] = store.numbers.map((_, i) => i), bound = 2) {
    [this.shape, this.store, this.places, this.bound] = [shape, store, places, bound];
    this.adopt(innermost());
  }

  get tracked(): boolean {
    return this.leaf || this.line !== null;
  }

  /** The elements. Throws what a freed tensor throws. */
  read(): number[] {
    if (!this.alive) throw new ReferenceError("was freed");
    return this.places.map((place) => this.store.numbers[place]);
  }

  add(y: Plain): Plain {
    return this.#with("add", y, (a, b) => a + b, this.bound + y.bound, (g) => [g, g]); // prettier-ignore
  }
  sub(y: Plain): Plain {
    return this.#with("sub", y, (a, b) => a - b, this.bound + y.bound, (g, needed) => [g, needed[1] ? g.#negative() : null]); // prettier-ignore
  }
  mul(y: Plain): Plain {
    const out = this.#with(
      "mul",
      y,
      (a, b) => a * b,
      this.bound * y.bound,
      (g, needed) => [needed[0] ? g.mul(y) : null, needed[1] ? g.mul(this) : null],
    );
    out.degree = this.degree + y.degree;
    return out;
  }
  sum(): Plain {
    const total = this.read().reduce((a, b) => a + b, 0);
    const out = new Plain([], new Store([total]), [0], this.bound * this.places.length);
    return out.#from("sum", [this], (g) => [g.#spread(this.shape)]);
  }
  reshape(shape: readonly number[]): Plain {
    const numbers = this.read();
    const out = isEven(this.places, shape) ? this.#view(shape, this.places) : new Plain(shape, new Store(numbers), undefined, this.bound);
    return out.#from("reshape", [this], (g) => [g.reshape(this.shape)]);
  }
  narrow(axis: number, start: number, end: number): Plain {
    const grid = indices(this.shape);
    const inside = grid.flatMap((at, i) => (at[axis] >= start && at[axis] < end ? [i] : []));
    const shape = this.shape.with(axis, end - start);
    const out = this.#view(shape, inside.map((i) => this.places[i])); // prettier-ignore
    return out.#from("slice", [this], (g) => [g.#putBack(this.shape, inside)]);
  }
  transpose(): Plain {
    const [rows, columns] = this.shape;
    const places = Array.from({ length: rows * columns }, (_, i) => this.places[(i % rows) * columns + Math.floor(i / rows)]);
    return this.#view([columns, rows], places).#from("permute", [this], (g) => [g.transpose()]);
  }
  contiguous(): Plain {
    if (isInOrder(this.places)) return this;
    return this.#copy().#from("contiguous", [this], (g) => [g]);
  }
  detach(): Plain {
    return this.#view(this.shape, this.places);
  }
  /** x times its own whole part, of which the whole part is decided in the first run and has no gradient. */
  decided(): Plain {
    const decision = this.detach();
    const out = noRecord(() => this.mul(decision));
    if (!this.tracked) return out;
    out.decision = new Store(decision.read());
    const [kept, factor] = [out.decision, decision.bound];
    return out.#from("recompute", [this], (g) => (out.read(), this.read(), [g.mul(new Plain(this.shape, kept, undefined, factor))]));
  }

  assign(value: Plain): void {
    if (this.line) throw new TypeError("only leaves can be assigned");
    if (String(value.shape) !== String(this.shape)) throw new RangeError("does not fit");
    (this.read(), value.read());
    const source = isInOrder(value.places) ? value : value.#copy();
    [this.store, this.places, this.bound, this.degree] = [source.store, source.places, value.bound, value.degree];
    this.version++;
  }
  requireGrad(): void {
    if (this.line) throw new TypeError("already carries its gradient");
    this.leaf = true;
    this.persist();
  }
  persist(): void {
    this.adopt(null);
  }
  zeroGrad(): void {
    this.grad = null;
  }
  dispose(): void {
    this.alive = false;
  }
  adopt(scope: Plain[] | null): void {
    this.owner = scope;
    scope?.push(this);
  }

  backward({ seed, release = false }: { seed?: Plain | undefined; release?: boolean }): void {
    noRecord(() => {
      const start = this.#seed(seed);
      const lines = linesOf(this);
      const leaves = new Set([...(this.line ? [] : [this]), ...lines.flatMap(({ inputs }) => inputs.filter((x) => !x.line && x.leaf))]);
      for (const [leaf, g] of walk(this, lines, start, leaves, release)) {
        const sum = leaf.grad ? leaf.grad.add(g) : g.contiguous();
        leaf.grad = sum.detach();
        leaf.grad.persist();
      }
    });
  }
  gradients(
    xs: readonly Plain[],
    { seed, createGraph = false }: { seed?: Plain | undefined; createGraph?: boolean } = {},
  ): readonly Plain[] {
    const run = (): Plain[] => {
      const start = this.#seed(seed);
      if (xs.some((x) => !x.tracked)) throw new ReferenceError("was not tracked");
      const found = walk(this, linesOf(this), start, new Set(xs), false);
      return xs.map((x) => found.get(x) ?? x.#zeros());
    };
    return createGraph ? run() : noRecord(run);
  }

  #zeros(): Plain {
    const places = this.read().map(() => 0);
    return new Plain(this.shape, zero, places, 1);
  }
  #seed(seed: Plain | undefined): Plain {
    if (!this.tracked) throw new ReferenceError("has no history");
    if (seed && String(seed.shape) !== String(this.shape)) throw new RangeError("the seed is");
    if (!seed && this.places.length !== 1) throw new RangeError("give { seed }");
    if (seed) return (seed.read(), seed);
    this.read();
    return new Plain(this.shape, one, [0], 1);
  }
  #with(name: string, y: Plain, f: (a: number, b: number) => number, bound: number, pull: PlainLine["pull"]): Plain {
    const [a, b] = [this.read(), y.read()];
    const out = new Plain(this.shape, new Store(a.map((value, i) => f(value, b[i]))), undefined, bound);
    out.degree = Math.max(this.degree, y.degree);
    return out.#from(name, [this, y], pull);
  }
  #from(name: string, inputs: readonly Plain[], pull: PlainLine["pull"]): Plain {
    if (inputs.length === 1 && name !== "recompute") this.degree = inputs[0].degree;
    if (!recording || !inputs.some((input) => input.tracked)) return this;
    this.line = { name, inputs, output: this, pull, time: clock++, versions: inputs.map(({ version }) => version) };
    return this;
  }
  #view(shape: readonly number[], places: readonly number[]): Plain {
    this.read();
    const out = new Plain(shape, this.store, places, this.bound);
    out.degree = this.degree;
    return out;
  }
  #copy(): Plain {
    return new Plain(this.shape, new Store(this.read()), undefined, this.bound);
  }
  #negative(): Plain {
    const out = new Plain(this.shape, new Store(this.read().map((x) => -x)), undefined, this.bound);
    return out.#from("neg", [this], (g) => [g.#negative()]);
  }
  #spread(shape: readonly number[]): Plain {
    const size = shape.reduce((a, b) => a * b, 1);
    const places = Array.from({ length: size }, () => this.places[0]);
    return this.#view(shape, places).#from("broadcastTo", [this], (g) => [g.sum()]);
  }
  #putBack(shape: readonly number[], to: readonly number[]): Plain {
    const numbers = this.read();
    const full = indices(shape).map((_, i) => (to.includes(i) ? numbers[to.indexOf(i)] : 0));
    const out = new Plain(shape, new Store(full), undefined, this.bound);
    return out.#from("pad", [this], (g) => [g.#view(this.shape, to.map((i) => g.places[i])).#from("slice", [g], (h) => [h.#putBack(shape, to)])]); // prettier-ignore
  }
}

/** Opens a scope; the answer closes it and frees what was made since, but `kept`. */
export function openScope(): (kept: readonly Plain[]) => void {
  const mine: Plain[] = [];
  open.push(mine);
  return (kept) => {
    open.pop();
    for (const plain of mine) {
      if (plain.owner !== mine) continue;
      if (kept.includes(plain)) plain.adopt(innermost());
      else plain.dispose();
    }
  };
}

function noRecord<R>(fn: () => R): R {
  const before = recording;
  recording = false;
  try {
    return fn();
  } finally {
    recording = before;
  }
}

/** The lines behind a tensor, the oldest first. */
function linesOf(root: Plain, found = new Set<PlainLine>()): PlainLine[] {
  if (root.line && !found.has(root.line)) {
    found.add(root.line);
    for (const input of root.line.inputs) linesOf(input, found);
  }
  return [...found].sort((a, b) => a.time - b.time);
}

function walk(root: Plain, lines: readonly PlainLine[], seed: Plain, targets: ReadonlySet<Plain>, release: boolean): Map<Plain, Plain> {
  const wanted = new Set(targets);
  for (const { inputs, output } of lines) if (inputs.some((input) => wanted.has(input))) wanted.add(output);
  const sums = new Map<Plain, Plain>(wanted.has(root) ? [[root, recording ? seed : seed.detach()]] : []);
  for (const line of lines.toReversed()) {
    const g = sums.get(line.output);
    if (g) sendBack(line, g, wanted, sums);
    if (release && line.output !== root) line.output.dispose();
  }
  return new Map([...sums].filter(([x]) => targets.has(x)));
}

function sendBack({ name, inputs, versions, pull }: PlainLine, g: Plain, wanted: ReadonlySet<Plain>, sums: Map<Plain, Plain>): void {
  if (inputs.some(({ version }, i) => version !== versions[i])) throw new ReferenceError(`was assigned after ${name} used it`);
  const needed = inputs.map((input) => wanted.has(input));
  if (!needed.includes(true)) return;
  const parts = pull(g, needed);
  inputs.forEach((input, i) => {
    const part = parts[i];
    if (!needed[i] || !part) return;
    const before = sums.get(input);
    sums.set(input, before ? before.add(part) : recording ? part : part.detach());
  });
}

/** Every index of a shape, in row-major order. */
function indices(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>((rows, n) => rows.flatMap((row) => Array.from({ length: n }, (_, i) => [...row, i])), [[]]);
}

/** Whether steps of one size along each axis reach all places. */
function isEven(places: readonly number[], shape: readonly number[]): boolean {
  const grid = indices(shape);
  const steps = shape.map((n, axis) => {
    const next = grid.findIndex((at) => at.every((index, i) => index === (i === axis ? 1 : 0)));
    return n > 1 ? places[next] - places[0] : 0;
  });
  return grid.every((at, i) => places[i] === places[0] + at.reduce((sum, index, axis) => sum + index * steps[axis], 0));
}

/** Whether the elements stand one after the other. */
function isInOrder(places: readonly number[]): boolean {
  return places.every((place, i) => place === places[0] + i);
}
