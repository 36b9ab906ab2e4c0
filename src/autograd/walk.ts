/**
 * Reverse mode: the tape is walked from its last line to its first, and each line sends the cotangent of its result to its inputs
 * (Linnainmaa 1970, Speelpenning 1980). Cotangents live in a map that belongs to one walk; only leaves own a `.grad`.
 *
 * Derivative rules are written in the differentiable operations themselves, so the lines of a recorded walk can be walked too: derivatives of
 * any order need no further rules.
 */
import { formatShape, sameShape } from "../backend/shape.ts";
import { aTensor, checkOptions, flag, optional, requireList, requireTensor } from "./arguments.ts";
import { fullLike, zerosLike } from "./constants.ts";
import { context, noGrad, within } from "./context.ts";
import { checkMade, locating } from "./debug.ts";
import { Scope, scope } from "./scope.ts";
import { Tape } from "./tape.ts";
import type { Line } from "./tape.ts";
import type { Tensor } from "./tensor.ts";

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
 * The gradients of `root` with respect to `xs`, which count as leaves: the operations that made them are passed over. null for an x that the root
 * does not depend on. Fused operations pull back through their composition with it, and recomputed functions through their second run.
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
  // In debug mode g is read again, by the check for numbers that are not finite.
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

/** Sums g to the shape of x: the adjoint of stretching an axis is summing along it. No derivative rule needs to do it. */
function sumTo(g: Tensor, x: Tensor): Tensor {
  if (sameShape(g.shape, x.shape)) return g;
  const lead = g.shape.length - x.shape.length;
  const stretched = g.shape.flatMap((n, axis) => (axis < lead || (x.shape[axis - lead] === 1 && n !== 1) ? [axis] : []));
  return g.sum(stretched, { keepDims: true }).reshape(x.shape);
}

/** Throws where a rule gave another shape or dtype than that of its input. */
function checked(line: Line, i: number, g: Tensor): Tensor {
  const x = line.inputs[i];
  if (g.dtype !== x.dtype || !sameShape(g.shape, x.shape))
    throw new TypeError(
      `${line.name}: its derivative rule for input ${i} gave ${g.dtype} ${formatShape(g.shape)}, the input is ${x.dtype} ${formatShape(x.shape)}`,
    );
  return g;
}

/** The cotangent from which a walk starts. Throws where there is nothing to walk, or the seed does not fit. */
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
