/** Einstein summation, parsed into permutations, one batched matmul per operand, and sums. */
import { formatShape } from "../backend/shape.ts";
import { requireTensor, widened } from "./primitive.ts";
import type { Tensor } from "./tensor.ts";

/**
 * `einsum("bqhd,bkhd->bhqk", q, k)`. One letter per axis; a letter that the result lacks is summed over. Without "->" the
 * result has the letters that occur once, in alphabetical order. A letter may not repeat within an operand.
 */
export function einsum(equation: string, ...operands: Tensor[]): Tensor {
  for (const operand of operands) requireTensor("einsum", operand);
  const { inputs, output } = parse(equation, operands);
  return widened("einsum", operands, (...tensors) => {
    let [letters, result] = [inputs[0], tensors[0]];
    for (let i = 1; i < tensors.length; i++) {
      const later = inputs.slice(i + 1).join("") + output;
      [letters, result] = contract(letters, result, inputs[i], tensors[i], later);
    }
    return arrange(...sumAway(letters, result, output), output);
  });
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
  const once = [...sizes.keys()].filter((letter) => left.split(letter).length === 2).sort();
  const output = right ?? once.join("");
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
