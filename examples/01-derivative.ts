/**
 * Lesson 1: a derivative. f(x) = x^2 sin x at x = 2: what the tape records, and its first three derivatives beside the ones from
 * paper.
 *
 * Expect: a tape of three lines, and two columns that agree to 15 digits. The derivative of a tape is computed by the same
 * operations that made it, so with `createGraph` it leaves a tape of its own, which can be walked again.
 */
import { Tape, tensor } from "switchyard-moe";

const x = tensor(2, { dtype: "float64", requiresGrad: true, name: "x" });
const y = x.square().mul(x.sin());

console.log("f(x) = x^2 sin x, recorded at x = 2:\n");
console.log(`${String(new Tape(y))}\n`);

const derivatives = [y];
for (let order = 1; order <= 3; order++) derivatives.push(derivatives[order - 1].gradients([x], { createGraph: true })[0]);

const [sin, cos] = [Math.sin(2), Math.cos(2)];
const onPaper = [
  { name: "x^2 sin x", value: 4 * sin },
  { name: "2x sin x + x^2 cos x", value: 4 * sin + 4 * cos },
  { name: "2 sin x + 4x cos x - x^2 sin x", value: 2 * sin + 8 * cos - 4 * sin },
  { name: "6 cos x - 6x sin x - x^2 cos x", value: 6 * cos - 12 * sin - 4 * cos },
];

console.log("order  walked                on paper              lines on its tape");
for (const [order, derivative] of derivatives.entries()) {
  const { name, value } = onPaper[order];
  const walked = await derivative.item();
  const cells = [String(order).padEnd(5), walked.toFixed(15).padStart(20), value.toFixed(15).padStart(20)];
  console.log(`${cells.join("  ")}  ${String(new Tape(derivative).lines.length).padStart(4)}   ${name}`);
}

// Without createGraph nothing is recorded: `backward` adds the first derivative into x.grad and is done.
y.backward();
console.log(`\ny.backward() leaves it in x.grad:\n${String(x.grad)}`);
