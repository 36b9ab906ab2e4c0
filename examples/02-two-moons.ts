/**
 * Lesson 2: a perceptron on two moons. Two crescents of points that no straight line separates, a network with one hidden layer, and
 * gradient descent written out: a backward pass, a step, and a scope around both that frees the tensors of the step.
 *
 * Expect: an accuracy near 100 % after a second, and a map on which the border winds between the moons.
 */
import { concat, key, linspace, random, scope, stack, tensor } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";

// N points, H hidden units.
const [N, H] = [200, 16];
const steps = process.env.SWITCHYARD_SHORT ? 300 : 1500;
const seed = key(1);

/** Half circles, one upside down and moved, with noise: points [N, 2] and labels [N], 1 on the second moon. */
function twoMoons(): { points: Tensor; labels: Tensor } {
  const angle = linspace(0, Math.PI, N / 2);
  const upper = stack([angle.cos(), angle.sin()], 1);
  const lower = stack([angle.cos().neg().add(1), angle.sin().neg().add(0.5)], 1);
  const noise = random.normal([N, 2], seed.at("noise"), { std: 0.12 });
  const labels = tensor(Float32Array.from({ length: N }, (_, i) => Number(i >= N / 2)));
  return { points: concat([upper, lower]).add(noise), labels };
}

const weights = [
  random.normal([2, H], seed.at("hidden"), { requiresGrad: true, name: "hidden.weight" }),
  random.normal([H], seed.at("hidden bias"), { requiresGrad: true, name: "hidden.bias" }),
  random.normal([H], seed.at("output"), { std: 0.25, requiresGrad: true, name: "output.weight" }),
  tensor(0, { requiresGrad: true, name: "output.bias" }),
] as const;

/** points [N, 2] -> logits [N]: positive on the second moon. */
function network(points: Tensor): Tensor {
  const [hidden, hiddenBias, output, outputBias] = weights;
  return points.matmul(hidden).add(hiddenBias).tanh().matmul(output).add(outputBias);
}

/** Cross-entropy of logits and labels of 0 or 1: softplus(z) - label z, the mean over points. */
function lossOf(logits: Tensor, labels: Tensor): Tensor {
  return logits.softplus().sub(labels.mul(logits)).mean();
}

const { points, labels } = twoMoons();

for (let step = 0; step <= steps; step++) {
  const loss = scope(() => {
    const loss = lossOf(network(points), labels);
    loss.backward();
    for (const weight of weights) {
      if (weight.grad) weight.assign(weight.sub(weight.grad.mul(0.5)));
      weight.zeroGrad();
    }
    return loss.detach();
  });
  if (step % (steps / 5) === 0) console.log(`step ${String(step).padStart(4)}  loss ${(await loss.item()).toFixed(4)}`);
}

const right = await scope(() => network(points).greater(0).equal(labels).mean()).item();
console.log(`\naccuracy ${(100 * right).toFixed(1)} % of ${N} points\n`);

// The map: '.' and '+' are the network's two sides, 'o' and 'x' the points of the two moons.
const [columns, rows] = [64, 22];
const across = (column: number): number => -1.6 + (4.2 * column) / (columns - 1);
const down = (row: number): number => 1.5 - (2.6 * row) / (rows - 1);
const places = Array.from({ length: rows * columns }, (_, i) => [across(i % columns), down(Math.floor(i / columns))]);
const map: string[] = Array.from(await network(tensor(places)).data(), (z) => (z > 0 ? "+" : "."));

((await points.array()) as number[][]).forEach(([x, y], i) => {
  const column = Math.round(((x + 1.6) / 4.2) * (columns - 1));
  const row = Math.round(((1.5 - y) / 2.6) * (rows - 1));
  if (column >= 0 && column < columns && row >= 0 && row < rows) map[row * columns + column] = i < N / 2 ? "o" : "x";
});
for (let row = 0; row < rows; row++) console.log(map.slice(row * columns, (row + 1) * columns).join(""));
