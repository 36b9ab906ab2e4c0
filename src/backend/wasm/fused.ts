/** Fused functions in float32; what they do not serve goes to the reference. R rows, D width, V classes. */
import { checkFilled, checkTargets } from "../indices.ts";
import { sizeOf } from "../shape.ts";
import type { Activation, AdamStep, ArrayType, Buffer, FusedKernel, FusedKernels, NDArray } from "../backend.ts";
import { attention } from "./attention.ts";
import { STATISTICS } from "./kernels/rowwise.ts";
import type { Launcher } from "./launcher.ts";
import { slotMatmul } from "./slots.ts";

export function fusedKernels(launcher: Launcher, reference: FusedKernels): FusedKernels {
  return {
    softmax: either(ofRow(launcher, "softmax"), reference.softmax),
    logSoftmax: either(ofRow(launcher, "logSoftmax"), reference.logSoftmax),
    crossEntropy: either(crossEntropy(launcher), reference.crossEntropy),
    layerNorm: either(norm(launcher, "layerNorm"), reference.layerNorm),
    rmsNorm: either(norm(launcher, "rmsNorm"), reference.rmsNorm),
    biasActivation: either(activation(launcher), reference.biasActivation),
    slotMatmul: either(slotMatmul(launcher), reference.slotMatmul),
    slotActivation: either(slotActivation(launcher), reference.slotActivation),
    attention: either(attention(launcher), reference.attention),
    adam: (step) => (step.parameters.every(({ dtype }) => dtype === "float32") ? adam(launcher, step) : reference.adam?.(step)),
  };
}

/** The assembled kernel for float32 with something in it, else the other, if there is one. */
function either<A>(fast: FusedKernel<A>, reference: FusedKernel<A> | undefined): FusedKernel<A> {
  const choose = (x: NDArray): FusedKernel<A> | undefined => (x.dtype === "float32" && sizeOf(x.shape) > 0 ? fast : reference);
  return {
    forward: (out, inputs, attributes) => choose(inputs[0])?.forward(out, inputs, attributes),
    backward: (g, out, saved, inputs, needed, attributes) =>
      choose(inputs[0])?.backward(g, out, saved, inputs, needed, attributes) ?? inputs.map(() => null),
  };
}

const widthOf = ({ shape }: ArrayType): number => shape[shape.length - 1];

function ofRow(launcher: Launcher, name: string): FusedKernel<null> {
  const size = (x: ArrayType): [number, number] => [sizeOf(x.shape) / widthOf(x), 10 * sizeOf(x.shape)];
  return {
    forward: (out, [x]) => ({
      out: launcher.contiguous([x], (from) => launcher.make(out, (to) => launcher.start(name, ...size(x), to, from, widthOf(x)))),
      saved: [],
    }),
    backward: (g, out, _saved, [x], [needed]) => {
      if (!needed) return [null];
      const kernel = `${name}Cotangent`;
      return [
        launcher.contiguous([g, out], (slope, y) => launcher.make(x, (to) => launcher.start(kernel, ...size(x), to, slope, y, widthOf(x)))),
      ];
    },
  };
}

function crossEntropy(launcher: Launcher): FusedKernel<{ ignoreIndex: number }> {
  return {
    forward: (out, [logits, target], { ignoreIndex }) =>
      launcher.contiguous([logits, target], (x, classes) => {
        const [rows, columns] = logits.shape;
        checkTargets(launcher.elements(target), columns, ignoreIndex);
        const kept = launcher.make({ shape: [rows, 2], dtype: "float32" }, () => {});
        const loss = launcher.make(out, (to) => {
          launcher.start("crossEntropy", rows, 8 * rows * columns, to, x, classes, launcher.addressOf(kept), ignoreIndex, columns);
        });
        return { out: loss, saved: [kept] };
      }),
    backward: (g, _out, [kept], [logits, target], [needed], { ignoreIndex }) => {
      if (!needed) return [null, null];
      const [rows, columns] = logits.shape;
      checkTargets(launcher.elements(target), columns, ignoreIndex);
      const slope = launcher.contiguous([g, logits, target], (slopes, x, classes) =>
        launcher.make(logits, (to) => {
          launcher.start(
            "crossEntropyCotangent",
            rows,
            8 * rows * columns,
            to,
            slopes,
            x,
            classes,
            launcher.addressOf(kept),
            ignoreIndex,
            columns,
          );
        }),
      );
      return [slope, null];
    },
  };
}

/** Layer norm with its bias, or RMS norm without. Saved: [R, 3], the statistics of each row. */
function norm(launcher: Launcher, name: string): FusedKernel<{ eps: number }> {
  return {
    forward: (out, [x, weight, bias], { eps }) =>
      launcher.contiguous([x, weight, bias ?? weight], (from, w, b) => {
        const [columns, n] = [widthOf(x), sizeOf(x.shape)];
        const saved = launcher.make({ shape: [n / columns, STATISTICS], dtype: "float32" }, () => {});
        const result = launcher.make(out, (to) =>
          launcher.start(name, n / columns, 2 * n, to, launcher.addressOf(saved), from, w, b, eps, columns),
        );
        return { out: result, saved: [saved] };
      }),
    backward: (g, _out, [saved], [x, weight, bias], needed) =>
      launcher.contiguous([g, x, weight], (slope, from, w) => {
        const [columns, n] = [widthOf(x), sizeOf(x.shape)];
        const kept = launcher.addressOf(saved);
        const dx = needed[0]
          ? launcher.make(x, (to) => launcher.start(`${name}Cotangent`, n / columns, 3 * n, to, slope, from, w, kept, columns))
          : null;
        if (!needed[1] && !needed[2]) return [dx, null, ...(bias ? [null] : [])];
        const dw = launcher.make(weight, () => {});
        const db = launcher.make(weight, () => {});
        const [toWeight, toBias] = [launcher.addressOf(dw), launcher.addressOf(db)];
        launcher.start(`${name}WeightCotangent`, Math.ceil(columns / 8), 2 * n, toWeight, toBias, slope, from, kept, n / columns, columns);
        const both = [dw, db].map((buffer, i) => launcher.keep(buffer, needed[i + 1]));
        return [dx, both[0], ...(bias ? [both[1]] : [])];
      }),
  };
}

/** Rough nanoseconds for a number on one thread. */
const cost: Record<Activation, number> = { relu: 0.5, gelu: 6, geluTanh: 4, silu: 4 };

/** Rows that count, for kernels of slots: the address of `filled` [E, G], and the slots of each expert and group. */
interface Slots {
  readonly filled: number;
  readonly capacity: number;
}

/** activation(x + bias), or with `g` its cotangent. */
function activated(launcher: Launcher, name: Activation, x: NDArray, bias?: NDArray, g?: NDArray, slots?: Slots): Buffer {
  const suffix = g ? "Cotangent" : "";
  const [columns, n] = [widthOf(x), sizeOf(x.shape)];
  const work = cost[name] * n;
  return launcher.contiguous([x, g ?? x, bias ?? x], (from, slope, biases) =>
    launcher.make(x, (to) => {
      if (!bias && !slots) return launcher.start(`${name}Activation${suffix}`, Math.ceil(n / 4), work, to, from, slope);
      const { filled, capacity } = slots ?? { filled: 0, capacity: 1 };
      const run = (at: number, group: number): void =>
        launcher.start(`${name}Rows${suffix}`, n / columns, work, to, from, at, slope, columns, group, filled, capacity);
      if (bias) return run(biases, n / sizeOf(bias.shape));
      launcher.scratch(4 * columns, (zeros) => {
        launcher.zero(zeros, columns);
        run(zeros, n / columns);
      });
    }),
  );
}

function activation(launcher: Launcher): FusedKernel<{ activation: Activation }> {
  return {
    forward: (_out, [x, bias], { activation: name }) => ({ out: activated(launcher, name, x, bias), saved: [] }),
    backward: (g, _out, _saved, [x, bias], needed, { activation: name }) => {
      const dx = activated(launcher, name, x, bias, g);
      const db = bias && needed[1] ? sumToBias(launcher, dx, x, bias) : null;
      return [launcher.keep(dx, needed[0]), ...(bias ? [db] : [])];
    },
  };
}

function slotActivation(launcher: Launcher): FusedKernel<{ activation: Activation }> {
  const onSlots = (name: Activation, x: NDArray, filled: NDArray, bias?: NDArray, g?: NDArray): Buffer => {
    const capacity = x.shape[1] / filled.shape[1];
    checkFilled("slotActivation", launcher.elements(filled), capacity);
    return launcher.contiguous([filled], (at) => activated(launcher, name, x, bias, g, { filled: at, capacity }));
  };
  return {
    forward: (_out, [x, filled, bias], { activation: name }) => ({ out: onSlots(name, x, filled, bias), saved: [] }),
    backward: (g, _out, _saved, [x, filled, bias], needed, { activation: name }) => {
      const dx = onSlots(name, x, filled, bias, g);
      const db = bias && needed[2] ? sumToBias(launcher, dx, x, bias) : null;
      return [launcher.keep(dx, needed[0]), null, ...(bias ? [db] : [])];
    },
  };
}

/** Sums the rows that share a bias. */
function sumToBias(launcher: Launcher, dx: Buffer, x: NDArray, bias: NDArray): Buffer {
  const columns = widthOf(x);
  const groups = sizeOf(bias.shape) / columns;
  const rows = sizeOf(x.shape) / columns / groups;
  return launcher.make(bias, (to) => {
    for (let e = 0; e < groups; e++) {
      const from = launcher.addressOf(dx) + 4 * e * rows * columns;
      launcher.start("sumColumns", Math.ceil(columns / 16), (rows * columns) / 2, to + 4 * e * columns, from, rows, columns);
    }
  });
}

/** All arrays are contiguous, and what is overwritten has no other reader. */
function adam(launcher: Launcher, step: AdamStep): void {
  const { lr, beta1, beta2, eps, correction1, correction2, gradScale } = step;
  const [scale] = gradScale ? launcher.elements(gradScale) : [1];
  for (const [i, parameter] of step.parameters.entries()) {
    const n = sizeOf(parameter.shape);
    const arrays = [parameter, step.gradients[i], step.first[i], step.second[i]].map((x) => launcher.address(x));
    launcher.start(
      "adam",
      Math.ceil(n / 4),
      2 * n,
      ...arrays,
      scale,
      lr,
      beta1,
      1 - beta1,
      beta2,
      1 - beta2,
      eps,
      step.weightDecay[i],
      correction1,
      correction2,
    );
  }
}
