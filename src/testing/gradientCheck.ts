/**
 * The gradient check. Along a random direction v the derivative of a scalar function is one number, whatever the number of
 * inputs, so a handful of evaluations tests every rule at once. The derivative that the tape finds is itself a function, and the
 * same check applied to it is the check of the next order.
 */
import { aKey, aTensor, callable, check, checkOptions, listOf, optional, positive, whole } from "../autograd/arguments.ts";
import type { Kinds } from "../autograd/arguments.ts";
import { formatShape } from "../autograd/contract.ts";
import { zerosLike } from "../autograd/constants.ts";
import { stack } from "../autograd/operations.ts";
import type { Key } from "../autograd/random.ts";
import { key, uniform } from "../autograd/random.ts";
import { scope } from "../autograd/scope.ts";
import type { Tensor } from "../autograd/tensor.ts";

/** How far derivatives are checked, by which steps, and how near they must be. */
export interface GradientCheckOptions {
  /** The highest derivative that is checked, 1 to 8; 2 unless said otherwise. */
  readonly order?: number;
  /** Leaves that `f` reads without being given them (the weights of a layer), checked together with its inputs. */
  readonly parameters?: readonly Tensor[];
  /** Decides the cotangent and the directions. */
  readonly key?: Key;
  /** Each input moves by at most twice this; `f` must be smooth so far. */
  readonly step?: number;
  /** The largest difference, relative to the size of the terms. */
  readonly tolerance?: number;
}

const kinds: Kinds<GradientCheckOptions> = {
  order: optional(whole(1, 8)),
  parameters: optional(listOf(aTensor)),
  key: optional(aKey),
  step: optional(positive),
  tolerance: optional(positive),
};

type Scalar = () => Tensor;

/** The step balances rounding against the fifth derivative, which is what the differences leave out. */
const settings = { float64: { step: 1e-3, tolerance: 1e-6 }, float32: { step: 1 / 64, tolerance: 5e-3 } };

/**
 * Compares the derivatives of `f` with finite differences, up to the second order unless said otherwise, and throws an error with
 * the numbers where they differ. `f` takes the inputs and answers with one tensor or several, of any shape; int32 inputs are
 * handed on as they are. Use float64 inputs where the device has them: the differences then agree to about 1e-9.
 */
export async function checkGradients(
  f: (...inputs: Tensor[]) => Tensor | readonly Tensor[],
  inputs: readonly Tensor[],
  options: GradientCheckOptions = {},
): Promise<void> {
  check("checkGradients", "f", f, callable);
  check("checkGradients", "inputs", inputs, listOf(aTensor));
  checkOptions("checkGradients", options, kinds);
  const { order = 2, parameters = [], key: root = key("checkGradients"), ...numbers } = options;
  const own = inputs.map((x) => (x.dtype === "int32" ? x : x.detach().requireGrad()));
  const leaves = [...own.filter((x) => x.dtype !== "int32"), ...parameters];
  const { step, tolerance } = { ...settings[precisionOf(leaves)], ...numbers };
  let scalar: Scalar = () => weigh(f(...own), root.at("cotangent"));
  try {
    for (let n = 1; n <= order; n++) {
      const direction = leaves.map((x, i) => sample(x, root.at("order", n, i)));
      await compare(n, scalar, leaves, direction, step, tolerance);
      scalar = along(scalar, leaves, direction);
    }
  } finally {
    for (const x of own) if (!inputs.includes(x)) x.dispose();
  }
}

function precisionOf(leaves: readonly Tensor[]): "float32" | "float64" {
  if (leaves.length === 0) throw new RangeError("checkGradients: there is no float input and no parameter to differentiate by");
  const odd = leaves.find((x) => x.dtype !== "float32" && x.dtype !== "float64");
  if (odd) throw new TypeError(`checkGradients: ${odd.label}: differences need float64 or float32`);
  return leaves.every((x) => x.dtype === "float64") ? "float64" : "float32";
}

/** Bounded, so that no input moves further than the step says. */
function sample(like: Tensor, at: Key): Tensor {
  return uniform(like.shape, at, { low: -1, high: 1, dtype: like.dtype, backend: like.backend });
}

/**
 * Outputs of any shape become one number under a random cotangent. It depends on the outputs a little, because a constant one would
 * not notice a recorded walk that loses the history of its cotangents.
 */
function weigh(outputs: Tensor | readonly Tensor[], at: Key): Tensor {
  const all = Array.isArray(outputs) ? (outputs as readonly Tensor[]) : [outputs as Tensor];
  check("checkGradients", "the result of f", all, { ...listOf(aTensor), wanted: "a tensor, or an array of tensors" });
  const list = all.filter((y) => y.dtype !== "int32");
  if (list.length === 0) throw new RangeError("checkGradients: the result of f holds no float tensor to differentiate");
  return total(
    list.map((y, i) =>
      y
        .mul(0.1)
        .add(sample(y, at.at(i)))
        .mul(y),
    ),
  );
}

function total(parts: readonly Tensor[]): Tensor {
  return parts.map((part) => part.sum().cast(parts[0].dtype)).reduce((sum, part) => sum.add(part));
}

/** The directional derivative of a scalar, recorded, as a new scalar. */
function along(scalar: Scalar, leaves: readonly Tensor[], direction: readonly Tensor[]): Scalar {
  return () => {
    const y = scalar();
    if (!y.requiresGrad) return zerosLike(y);
    const gradients = y.gradients(leaves, { createGraph: true });
    return total(gradients.map((g, i) => g.mul(direction[i])));
  };
}

interface Finding {
  readonly tape: number;
  readonly differences: number;
  readonly allowed: number;
}

async function compare(
  order: number,
  scalar: Scalar,
  leaves: readonly Tensor[],
  direction: readonly Tensor[],
  step: number,
  tolerance: number,
): Promise<void> {
  const found = await measure(scalar, leaves, direction, step, tolerance);
  if (agrees(found)) return;
  const lines: string[] = [];
  for (const [i, leaf] of leaves.entries()) {
    const alone = direction.map((v, j) => (i === j ? v : zerosLike(v)));
    const part = await measure(scalar, leaves, alone, step, tolerance);
    lines.push(`  input ${i} (${leaf.name ?? leaf.dtype} ${formatShape(leaf.shape)}): ${describe(part)}${agrees(part) ? "" : "  <- here"}`);
  }
  throw new Error(
    `checkGradients: derivative of order ${order} along a random direction: ${describe(found)}; step ${step}; alone,\n${lines.join("\n")}`,
  );
}

function agrees({ tape, differences, allowed }: Finding): boolean {
  return Math.abs(tape - differences) <= allowed;
}

function describe({ tape, differences, allowed }: Finding): string {
  return `the tape says ${tape}, finite differences say ${differences} (apart ${Math.abs(tape - differences)}, allowed ${allowed})`;
}

/** The five-point rule: (8 (s(h) - s(-h)) - (s(2h) - s(-2h))) / 12h is the derivative up to h^4. */
async function measure(
  scalar: Scalar,
  leaves: readonly Tensor[],
  direction: readonly Tensor[],
  step: number,
  tolerance: number,
): Promise<Finding> {
  const probe = scope(() => {
    const terms = slope(scalar, leaves, direction);
    const at = evaluate(scalar, leaves, direction, [step, -step, 2 * step, -2 * step]);
    return stack([total(terms), total(terms.map((term) => term.abs())), ...at.map((value) => value.cast(terms[0].dtype))]);
  });
  const [tape, terms, ...at] = await probe.data();
  probe.dispose();
  const differences = (8 * (at[0] - at[1]) - (at[2] - at[3])) / (12 * step);
  return { tape, differences, allowed: tolerance * (terms + Math.max(...at.map(Math.abs)) + 1e-3) };
}

/** The tape's derivative, one term per element moved. */
function slope(scalar: Scalar, leaves: readonly Tensor[], direction: readonly Tensor[]): Tensor[] {
  const y = scalar();
  if (!y.requiresGrad) return [zerosLike(y)];
  return y.gradients(leaves).map((g, i) => g.mul(direction[i]));
}

function evaluate(scalar: Scalar, leaves: readonly Tensor[], direction: readonly Tensor[], distances: readonly number[]): Tensor[] {
  const base = leaves.map((x) => x.detach());
  try {
    return distances.map((t) => {
      leaves.forEach((x, i) => x.assign(base[i].add(direction[i].mul(t))));
      return scalar().detach();
    });
  } finally {
    leaves.forEach((x, i) => x.assign(base[i]));
  }
}
