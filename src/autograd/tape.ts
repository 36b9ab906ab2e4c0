/**
 * The tape. Each recorded operation is a line that hangs from its result; `new Tape(root)` is the Wengert list of one tensor:
 * its reachable lines sorted by time. Reverse mode walks it from the last line to the first (Linnainmaa 1970, Speelpenning 1980).
 *
 * Derivative rules are written in the differentiable operations themselves, so a walk that records can be walked again:
 * derivatives of any order are a consequence, not a feature.
 */
import { formatShape, sameShape } from "../backend/shape.ts";
import { context, noGrad, within } from "./context.ts";
import { checkMade, locating } from "./debug.ts";
import { aTensor, check, checkOptions, flag, having, optional, requireList, requireTensor } from "./arguments.ts";
import type { Kind } from "./arguments.ts";
import { fullLike, zerosLike } from "./constants.ts";
import { Scope, scope } from "./scope.ts";
import type { Storage } from "./storage.ts";
import type { Tensor } from "./tensor.ts";

/**
 * How a line sends a cotangent back: one for each input, null where `needed` is false or there is no gradient. `spare`: nobody reads g afterwards,
 * so that its memory may be written to.
 */
export type Pull = (g: Tensor, line: Line, needed: readonly boolean[], spare: boolean) => readonly (Tensor | null)[];

/** One recorded operation of the tape: its name, its inputs and its output, which have any shape. */
export class Line {
  /** The operation: "mul", "softmax". */
  readonly name: string;
  readonly inputs: readonly Tensor[];
  readonly output: Tensor;
  /** Its derivative rules. */
  readonly pull: Pull;
  /** What a fused operation kept from its forward run. */
  readonly saved: readonly Storage[];
  /** Creation order, which is a topological order. */
  readonly time: number;
  /** Versions of the inputs at the time: `assign` must not come between use and walk. */
  readonly versions: readonly number[];

  constructor(name: string, inputs: readonly Tensor[], output: Tensor, pull: Pull, saved: readonly Storage[] = []) {
    this.name = name;
    this.inputs = inputs;
    this.output = output;
    this.pull = pull;
    this.saved = saved;
    this.time = clock++;
    this.versions = inputs.map((input) => input.version);
  }

  /** Throws where an input was assigned since. */
  checkVersions(): void {
    this.inputs.forEach((input, i) => {
      if (input.version !== this.versions[i])
        throw new ReferenceError(
          `backward: ${input.label} was assigned after ${this.name} used it (version ${this.versions[i]}, now ${input.version}); walk the tape before assign, or compute again`,
        );
    });
  }
}

let clock = 0;

/**
 * The recorded operations behind one tensor, in the order they ran (its Wengert list): `String(new Tape(y))` prints them one on a
 * line, `lines` holds them. `root` is a tensor of any shape. Throws where it is no tensor, or `stops` no Set of tensors.
 */
export class Tape {
  /** The tensor that the lines lead to. */
  readonly root: Tensor;
  /** Lines in the order they were recorded. */
  readonly lines: readonly Line[];

  /** `stops` are treated as leaves: the walk does not look behind them. */
  constructor(root: Tensor, stops: ReadonlySet<Tensor> = new Set()) {
    requireTensor("Tape", root, "root");
    check("Tape", "stops", stops, aSet);
    this.root = root;
    const found = new Set<Line>();
    const open: Tensor[] = [root];
    for (let tensor = open.pop(); tensor; tensor = open.pop()) {
      const line = tensor.line;
      if (!line || found.has(line) || stops.has(tensor)) continue;
      found.add(line);
      for (const input of line.inputs) open.push(input);
    }
    this.lines = [...found].sort((a, b) => a.time - b.time);
  }

  /** One line per operation: `%3 = mul(%1, $x) : float32 [2, 3]`; leaves are `$name`, numbers are themselves. */
  toString(): string {
    const names = new Map<Tensor, string>();
    const leaves: string[] = [];
    const nameOf = (tensor: Tensor): string => {
      let name = names.get(tensor);
      if (name === undefined && isNumber(tensor)) name = tensor.name;
      if (name === undefined) {
        name = `$${tensor.name ?? leaves.length}`;
        leaves.push(`${name} : ${tensor.dtype} ${formatShape(tensor.shape)}${tensor.requiresGrad ? "" : " (constant)"}`);
        names.set(tensor, name);
      }
      return name;
    };
    const steps = this.lines.map((line, i) => {
      const inputs = line.inputs.map(nameOf).join(", ");
      names.set(line.output, `%${i}`);
      return `%${i} = ${line.name}(${inputs}) : ${line.output.dtype} ${formatShape(line.output.shape)}`;
    });
    return [...leaves, ...steps].join("\n");
  }
}

/** Whether it stands for a number of the program. */
function isNumber(tensor: Tensor): boolean {
  return !tensor.requiresGrad && tensor.shape.length === 0 && tensor.name !== undefined && String(Number(tensor.name)) === tensor.name;
}

const aSet: Kind = having("a Set of tensors", "has", "size");

/** How the tape is walked: from which cotangent, recorded or not, freeing or not. */
export interface WalkOptions {
  /** Cotangent of the root, of its shape and dtype; 1 for a scalar. */
  readonly seed?: Tensor | undefined;
  /** Record the walk, so that it can be walked again. */
  readonly createGraph?: boolean | undefined;
  /** Free each result as the walk passes it: the tape cannot be walked again. */
  readonly release?: boolean | undefined;
}

/**
 * Adds the gradient of `root` into `.grad` of every leaf that requires it. The walk is not recorded; for derivatives of higher order
 * use `gradients`. Throws for a root without history, and for one of several elements without `seed`.
 */
export function backward(root: Tensor, options: Omit<WalkOptions, "createGraph"> = {}): void {
  requireTensor("backward", root, "root");
  checkOptions("backward", options, { seed: optional(aTensor), release: optional(flag) });
  const { seed, release = false } = options;
  noGrad(() =>
    scope(() => {
      const start = seedOf(root, seed, "backward");
      const tape = new Tape(root);
      const leaves = new Set<Tensor>(root.line ? [] : [root]);
      for (const line of tape.lines) for (const input of line.inputs) if (!input.line && input.requiresGrad) leaves.add(input);
      pullback(tape, start, leaves, { release }).forEach((g, leaf) =>
        locating({ operation: "backward", phase: "backward", parameter: leaf.name }, () => leaf.accumulateGrad(g)),
      );
    }),
  );
}

/** One gradient for each tensor of a list, in its order: a tuple for a tuple. */
export type Gradients<T extends readonly Tensor[]> = { -readonly [K in keyof T]: Tensor };

/**
 * The gradients of `root` with respect to `xs`, leaves or not, each in the shape of its x; zeros for those it does not depend on. With
 * `createGraph` they can be differentiated again. Throws for an x that was not tracked, and for a root of several elements without `seed`.
 */
export function gradients<const T extends readonly Tensor[]>(root: Tensor, xs: T, options?: Omit<WalkOptions, "release">): Gradients<T>;
export function gradients(root: Tensor, xs: readonly Tensor[], options: Omit<WalkOptions, "release"> = {}): Tensor[] {
  requireTensor("gradients", root, "root");
  requireList("gradients", xs, "xs");
  xs.forEach((x, i) => requireTensor("gradients", x, `xs[${i}]`));
  checkOptions("gradients", options, { seed: optional(aTensor), createGraph: optional(flag) });
  const { seed, createGraph = false } = options;
  const walk = (): Tensor[] => {
    const start = seedOf(root, seed, "gradients");
    for (const x of xs)
      if (!x.requiresGrad)
        throw new ReferenceError(
          `gradients: ${x.label} was not tracked, so not every use of it is on the tape; requireGrad() it before it is used`,
        );
    const found = pullback(new Tape(root), start, new Set(xs), { createGraph });
    return xs.map((x) => found.get(x) ?? zerosLike(x));
  };
  return createGraph ? walk() : noGrad(() => scope(walk));
}

/**
 * The same with `xs` as leaves: what lies behind them is not looked at. Fused operations pull back through their composition with it, and
 * recomputed functions through their second run.
 */
export function localGradients(
  root: Tensor,
  xs: readonly Tensor[],
  seed: Tensor,
  options: Omit<WalkOptions, "seed"> = { createGraph: true },
): (Tensor | null)[] {
  const stops = new Set(xs);
  const found = pullback(new Tape(root, stops), seed, stops, options);
  // An input that stands at two places has one cotangent, which must not be counted twice.
  return xs.map((x, i) => (xs.indexOf(x) === i ? (found.get(x) ?? null) : null));
}

/** Walks the tape from its last line to its first; the result holds the cotangents of `targets`. */
function pullback(
  tape: Tape,
  seed: Tensor,
  targets: ReadonlySet<Tensor>,
  { createGraph = false, release = false }: WalkOptions,
): Map<Tensor, Tensor> {
  const wanted = reaching(tape, targets);
  const cotangents = new Map<Tensor, Tensor>();
  const walk = (): void => {
    if (wanted.has(tape.root)) cotangents.set(tape.root, createGraph ? seed : seed.alias());
    for (let i = tape.lines.length - 1; i >= 0; i--) {
      const line = tape.lines[i];
      const g = cotangents.get(line.output);
      const passing = !createGraph && !targets.has(line.output);
      if (g) pullLine(line, g, wanted, cotangents, createGraph, passing && g.isSoleOwner);
      if (g && passing) g.dispose();
      if (release && line.output !== tape.root) line.output.dispose();
    }
  };
  within({ recording: createGraph }, walk);
  return new Map([...targets].flatMap((target) => pair(target, cotangents.get(target))));
}

function pair(target: Tensor, g: Tensor | undefined): [Tensor, Tensor][] {
  return g ? [[target, g]] : [];
}

/** Every tensor through which the root depends on a target. */
function reaching(tape: Tape, targets: ReadonlySet<Tensor>): Set<Tensor> {
  const wanted = new Set(targets);
  for (const line of tape.lines) if (line.inputs.some((input) => wanted.has(input))) wanted.add(line.output);
  return wanted;
}

/** Sends `g` through one line. Without recording, the temporaries of the rules are freed before the next line. */
function pullLine(
  line: Line,
  g: Tensor,
  wanted: ReadonlySet<Tensor>,
  cotangents: Map<Tensor, Tensor>,
  createGraph: boolean,
  spare: boolean,
): void {
  line.checkVersions();
  const needed = line.inputs.map((input) => wanted.has(input));
  if (!needed.includes(true)) return;
  if (createGraph) return distribute(line, g, needed, cotangents, null, new Set(), false);
  const inner = new Scope(context().scope);
  const kept = new Set<Tensor>();
  try {
    within({ scope: inner }, () => distribute(line, g, needed, cotangents, inner, kept, spare));
  } finally {
    inner.close(kept);
  }
}

/** Adds what the line's rules make of `g` to the cotangents of its inputs. `inner` owns the temporaries; null: the walk is recorded. */
function distribute(
  line: Line,
  g: Tensor,
  needed: readonly boolean[],
  cotangents: Map<Tensor, Tensor>,
  inner: Scope | null,
  kept: Set<Tensor>,
  spare: boolean,
): void {
  const place = { operation: line.name, phase: "backward" } as const;
  // What checks a cotangent for numbers that are not finite reads g again.
  const pulled = locating(place, () => line.pull(g, line, needed, spare && !context().debug));
  line.inputs.forEach((input, i) => {
    const cotangent = pulled[i];
    if (!needed[i] || !cotangent) return;
    const before = cotangents.get(input);
    const here = { ...place, parameter: input.name };
    checkMade(here, cotangent, [g, line.output, ...line.inputs]);
    const part = locating(here, () => checked(line, i, sumTo(cotangent, input)));
    const own = !inner || (part.owner === inner && !kept.has(part)); // an alias has no history, and a recorded walk needs it
    const sum = before ? locating(here, () => before.add(part)) : own ? part : part.alias();
    if (before && inner) (kept.delete(before), before.dispose());
    cotangents.set(input, sum);
    kept.add(sum);
  });
}

/** Broadcasting is folded once, here: the adjoint of stretching an axis is summing along it. */
function sumTo(g: Tensor, x: Tensor): Tensor {
  if (sameShape(g.shape, x.shape)) return g;
  const lead = g.shape.length - x.shape.length;
  const stretched = g.shape.flatMap((n, axis) => (axis < lead || (x.shape[axis - lead] === 1 && n !== 1) ? [axis] : []));
  return g.sum(stretched, { keepDims: true }).reshape(x.shape);
}

function checked(line: Line, i: number, g: Tensor): Tensor {
  const x = line.inputs[i];
  if (g.dtype !== x.dtype || !sameShape(g.shape, x.shape))
    throw new TypeError(
      `${line.name}: its derivative rule for input ${i} gave ${g.dtype} ${formatShape(g.shape)}, the input is ${x.dtype} ${formatShape(x.shape)}`,
    );
  return g;
}

function seedOf(root: Tensor, seed: Tensor | undefined, operation: string): Tensor {
  if (!root.requiresGrad)
    throw new ReferenceError(`${operation}: ${root.label} has no history: nothing it was computed from requires a gradient`);
  if (seed && (!sameShape(seed.shape, root.shape) || seed.dtype !== root.dtype))
    throw new RangeError(
      `${operation}: the seed is ${seed.dtype} ${formatShape(seed.shape)}, the root ${root.dtype} ${formatShape(root.shape)}`,
    );
  if (!seed && root.size !== 1)
    throw new RangeError(
      `${operation}: the root has shape ${formatShape(root.shape)}; give { seed } of that shape, or reduce it to a scalar`,
    );
  return seed ?? fullLike(root, 1);
}
