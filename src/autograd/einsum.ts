/** Einstein summation, parsed into permutations, one batched matmul per operand, and sums. */
import { formatShape } from "../backend/shape.ts";
import { widened } from "./apply.ts";
import { check, requireTensor, text } from "./arguments.ts";
import type { Tensor } from "./tensor.ts";

/**
 * Sums products over named axes (Einstein's convention): `einsum("bqhd,bkhd->bhqk", q, k)`. One letter per axis; a letter that the result lacks is summed over. Without "->" the
 * result has the letters that occur once, in alphabetical order. A letter may not repeat within an operand. "..." stands for all
 * axes without a letter, which broadcast against each other: `einsum("...ij,jk->...ik", x, w)`. Throws for an equation that does not fit
 * the shapes.
 */
export function einsum(equation: string, ...operands: Tensor[]): Tensor {
  check("einsum", "equation", equation, text);
  operands.forEach((operand, i) => requireTensor("einsum", operand, `operand ${i}`));
  const [spelled, stretched] = equation.includes("...") ? spellOut(equation, operands) : [equation, operands];
  const { inputs, output } = parse(spelled, stretched);
  return widened("einsum", stretched, (...tensors) => {
    let [letters, result] = [inputs[0], tensors[0]];
    for (let i = 1; i < tensors.length; i++) {
      const later = inputs.slice(i + 1).join("") + output;
      [letters, result] = contract(letters, result, inputs[i], tensors[i], later);
    }
    return arrange(...sumAway(letters, result, output), output);
  });
}

const alphabet = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"];

/** A letter of its own for each axis that "..." stands for, counted from the last one, and the operands stretched along them. */
function spellOut(equation: string, operands: readonly Tensor[]): [string, readonly Tensor[]] {
  const [left, ...right] = equation.replaceAll(" ", "").split("->");
  const inputs = left.split(",");
  const counts = inputs.map((letters, i) =>
    letters.includes("...") ? Math.max(0, (operands[i]?.shape.length ?? 0) - letters.length + 3) : 0,
  );
  const unused = alphabet.filter((letter) => !equation.includes(letter));
  const axes = unused
    .slice(
      0,
      counts.reduce((most, n) => Math.max(most, n), 0),
    )
    .join("");
  const spelled = inputs.map((letters, i) => letters.replace("...", axes.slice(axes.length - counts[i])));
  const output = right.length ? right.join("->").replace("...", axes) : axes + lettersThatOccurOnce(left);
  const sizes = (letter: string): number[] => spelled.map((letters, i) => operands[i]?.shape[letters.indexOf(letter)] ?? 1);
  const stretched = operands.map((x, i) =>
    x.broadcastTo(
      x.shape.map((n, axis) => (n === 1 && axes.includes(spelled[i]?.[axis]) ? (sizes(spelled[i][axis]).find((m) => m !== 1) ?? 1) : n)),
    ),
  );
  return [`${spelled.join(",")}->${output}`, stretched];
}

function lettersThatOccurOnce(left: string): string {
  return alphabet.filter((letter) => left.split(letter).length === 2).join("");
}

function parse(equation: string, operands: readonly Tensor[]): { inputs: string[]; output: string } {
  const fail = (why: string): never => {
    throw new RangeError(`einsum: "${equation}" with ${operands.map((x) => formatShape(x.shape)).join(", ") || "no operands"}: ${why}`);
  };
  const [left, right, ...more] = equation.replaceAll(" ", "").split("->");
  const inputs = left.split(",");
  if (more.length > 0) fail("it has more than one arrow");
  if (!/^[a-zA-Z,]*$/.test(left) || (right !== undefined && !/^[a-zA-Z]*$/.test(right))) fail("axes are single letters");
  if (inputs.length !== operands.length) fail(`it names ${inputs.length} operands`);
  const sizes = new Map<string, number>();
  inputs.forEach((letters, i) => {
    if (letters.length !== operands[i].shape.length) fail(`"${letters}" names ${letters.length} axes of ${formatShape(operands[i].shape)}`);
    if (new Set(letters).size !== letters.length) fail(`"${letters}" repeats a letter`);
    [...letters].forEach((letter, axis) => {
      const n = operands[i].shape[axis];
      if ((sizes.get(letter) ?? n) !== n) fail(`axis "${letter}" is ${sizes.get(letter)} and ${n}`);
      sizes.set(letter, n);
    });
  });
  const output = right ?? lettersThatOccurOnce(left);
  if (new Set(output).size !== output.length) fail(`the result "${output}" repeats a letter`);
  for (const letter of output) if (!sizes.has(letter)) fail(`the result's "${letter}" occurs in no operand`);
  return { inputs, output };
}

/** One product of two operands: shared letters that are needed later are a batch, the others are summed by the matmul. */
function contract(a: string, x: Tensor, b: string, y: Tensor, later: string): [string, Tensor] {
  [a, x] = sumAway(a, x, b + later);
  [b, y] = sumAway(b, y, a + later);
  const batch = [...a].filter((letter) => b.includes(letter) && later.includes(letter)).join("");
  const inner = [...a].filter((letter) => b.includes(letter) && !later.includes(letter)).join("");
  const rows = [...a].filter((letter) => !b.includes(letter)).join("");
  const columns = [...b].filter((letter) => !a.includes(letter)).join("");
  const size = (letters: string): number =>
    [...letters].reduce((n, letter) => n * (a.includes(letter) ? x.shape[a.indexOf(letter)] : y.shape[b.indexOf(letter)]), 1);
  const shape = [...batch, ...rows, ...columns].map(size);
  const left = arrange(a, x, batch + rows + inner).reshape([size(batch), size(rows), size(inner)]);
  const right = arrange(b, y, batch + inner + columns).reshape([size(batch), size(inner), size(columns)]);
  return [batch + rows + columns, left.matmul(right).reshape(shape)];
}

function sumAway(letters: string, x: Tensor, needed: string): [string, Tensor] {
  const axes = [...letters].flatMap((letter, axis) => (needed.includes(letter) ? [] : [axis]));
  return [[...letters].filter((letter) => needed.includes(letter)).join(""), axes.length ? x.sum(axes) : x];
}

function arrange(letters: string, x: Tensor, order: string): Tensor {
  return letters === order ? x : x.permute([...order].map((letter) => letters.indexOf(letter)));
}
