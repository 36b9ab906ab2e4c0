/** Fused functions in float32; what they do not serve goes to the reference. R rows, D width, V classes. */
import { checkTargets } from "../indices.ts";
import { sizeOf } from "../shape.ts";
import type { AdamStep, ArrayType, FusedKernel, FusedKernels, NDArray } from "../backend.ts";
import { activation } from "./activation.ts";
import { attention } from "./attention.ts";
import { STATISTICS } from "./kernels/norms.ts";
import { linear } from "./linear.ts";
import type { Launcher } from "./launcher.ts";
import { slotProduct } from "./slots.ts";

export function fusedKernels(launcher: Launcher, reference: FusedKernels): FusedKernels {
  return {
    softmax: either(launcher, ofRow(launcher, "softmax"), reference.softmax),
    logSoftmax: either(launcher, ofRow(launcher, "logSoftmax"), reference.logSoftmax),
    linear: either(launcher, linear(launcher), reference.linear),
    crossEntropy: either(launcher, crossEntropy(launcher), reference.crossEntropy),
    layerNorm: either(launcher, norm(launcher, "layerNorm"), reference.layerNorm),
    rmsNorm: either(launcher, norm(launcher, "rmsNorm"), reference.rmsNorm),
    biasActivation: either(launcher, activation(launcher), reference.biasActivation),
    slotProduct: either(launcher, slotProduct(launcher), reference.slotProduct),
    attention: either(launcher, attention(launcher), reference.attention),
    adam: (step) => (step.parameters.every(({ dtype }) => dtype === "float32") ? adam(launcher, step) : reference.adam?.(step)),
  };
}

/** The assembled kernel for float32 arrays that are not empty; for others the reference's, if there is one. */
function either<A>(launcher: Launcher, fast: FusedKernel<A>, reference: FusedKernel<A> | undefined): FusedKernel<A> {
  const choose = (x: NDArray): FusedKernel<A> | undefined => (x.dtype === "float32" && sizeOf(x.shape) > 0 ? fast : reference);
  return {
    forward: (out, inputs, attributes) => launcher.undoing(() => choose(inputs[0])?.forward(out, inputs, attributes)),
    backward: (g, out, saved, inputs, needed, attributes, spare) =>
      launcher.undoing(() => choose(inputs[0])?.backward(g, out, saved, inputs, needed, attributes, spare)) ?? inputs.map(() => null),
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
