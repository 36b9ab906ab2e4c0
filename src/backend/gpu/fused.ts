/** The fused functions of the backend, as few launches each: those of rows and attention from the files beside this one. */
import { sizeOf } from "../shape.ts";
import { attention } from "./attention.ts";
import { sumTo } from "./reductions.ts";
import * as rowwise from "./rowwise.ts";
import * as source from "./source/fused.ts";
import { sumOfSquares } from "./squares.ts";
import { whole } from "./views.ts";
import type { Activation, AdamStep, FusedKernel, FusedKernels, NDArray } from "../backend.ts";
import type { Launcher } from "./launcher.ts";

export function fusedKernels(launcher: Launcher): FusedKernels {
  return {
    softmax: rowwise.ofRow(launcher, "softmax", rowwise.softmax),
    logSoftmax: rowwise.ofRow(launcher, "logSoftmax", rowwise.logSoftmax),
    logSumExp: rowwise.logSumExp(launcher),
    crossEntropy: rowwise.crossEntropy(launcher),
    layerNorm: rowwise.norm(launcher, rowwise.layerNorm),
    rmsNorm: rowwise.norm(launcher, rowwise.rmsNorm),
    biasActivation: biasActivation(launcher),
    attention: attention(launcher),
    sumOfSquares: (xs) => sumOfSquares(launcher, xs),
    adam: (step) => adam(launcher, step),
  };
}

function biasActivation(launcher: Launcher): FusedKernel<{ activation: Activation }> {
  const declare = (bias: NDArray | undefined): string => (bias ? "const x = y + bias;" : "const x = y;");
  const inputsOf = (y: NDArray, bias: NDArray | undefined): Record<string, NDArray> => (bias ? { y, bias } : { y });
  return {
    forward: (out, [y, bias], { activation }) => {
      const statements = `${declare(bias)} ${source.activationStatements(activation)}`;
      return { out: rowwise.each(launcher, "biasActivation", out, inputsOf(y, bias), statements, activation), saved: [] };
    },
    backward: (g, out, _saved, inputs, needed, { activation }) => {
      const [y, bias] = inputs;
      const statements = `${declare(bias)} ${source.slopeStatements(activation)}`;
      const type = { shape: y.shape, dtype: out.dtype };
      const slope = rowwise.each(launcher, "biasActivation cotangent", type, { dy: g, ...inputsOf(y, bias) }, statements, activation);
      const toBias = needed[1] ? sumTo(launcher, bias, whole(slope, type)) : null;
      if (!needed[0]) launcher.free(slope);
      return [needed[0] ? slope : null, toBias].slice(0, inputs.length);
    },
  };
}

/** One launch for each parameter: its result is the new parameter and both moments, side by side. Three where that is too large. */
function adam(launcher: Launcher, step: AdamStep): void {
  const { lr, beta1, beta2, eps, correction1, correction2, gradScale } = step;
  step.parameters.forEach((parameter, i) => {
    const n = sizeOf(parameter.shape);
    if (n === 0) return;
    const state = { p: parameter, m: step.first[i], v: step.second[i] };
    const scalars = [lr, beta1, 1 - beta1, beta2, 1 - beta2, eps, step.weightDecay[i], correction1, correction2];
    const inputs = [...Object.values(state), step.gradients[i], ...(gradScale ? [gradScale] : [])];
    const groups: source.AdamResult[][] = 3 * n <= launcher.device.limits.together ? [["p", "m", "v"]] : [["p"], ["m"], ["v"]];
    const made = groups.map((results) => {
      const program = () => source.adam(n, inputs, results, launcher.device.limits);
      const out = { shape: [results.length, n], dtype: parameter.dtype };
      return launcher.launch({ name: "adam", out, inputs, variant: results.join(), scalars, program });
    });
    groups.forEach((results, k) => launcher.replace(results.map((name) => state[name].buffer), made[k])); // prettier-ignore
  });
}
