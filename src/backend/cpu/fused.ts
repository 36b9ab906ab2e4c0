/** The fused functions of the reference backend: which kernel runs forward, and which gives the cotangent of each input. */
import { stridesOf } from "../shape.ts";
import { reread } from "../views.ts";
import { biasActivation, biasActivationCotangent } from "./activation.ts";
import { adamStep } from "./adam.ts";
import { contiguous } from "./movement.ts";
import { reduce } from "./reduce.ts";
import * as rowwise from "./rowwise.ts";
import * as slots from "./slots.ts";
import type { Activation, AdamStep, ArrayType, Buffer, FusedKernel, FusedKernels, NDArray, TypedArray } from "../backend.ts";
import type { Strided } from "./strided.ts";

/** What fused functions ask of the backend. */
export interface Launcher {
  /** Runs a kernel into a new buffer. */
  launch(name: string, out: ArrayType, inputs: readonly NDArray[], kernel: (out: TypedArray, ...inputs: Strided[]) => void): Buffer;
  /** Runs a kernel that changes its inputs in place. */
  update(name: string, inputs: readonly NDArray[], kernel: (...inputs: Strided[]) => void): void;
  free(buffer: Buffer): void;
}

export function fusedKernels(device: Launcher): FusedKernels {
  return {
    softmax: ofRow(device, "softmax", rowwise.softmax, rowwise.softmaxCotangent),
    logSoftmax: ofRow(device, "logSoftmax", rowwise.logSoftmax, rowwise.logSoftmaxCotangent),
    crossEntropy: crossEntropy(device),
    layerNorm: norm(device, "layerNorm", true),
    rmsNorm: norm(device, "rmsNorm", false),
    biasActivation: activation(device),
    slotProduct: slotProduct(device),
    adam: (step) => adam(device, step),
  };
}

type RowKernel = (out: TypedArray, x: Strided) => void;
type RowCotangent = (out: TypedArray, g: Strided, result: Strided) => void;

function ofRow(device: Launcher, name: string, forward: RowKernel, cotangent: RowCotangent): FusedKernel<null> {
  return {
    forward: (out, [x]) => ({ out: device.launch(name, out, [x], forward), saved: [] }),
    backward: (g, out, _saved, _inputs, [needed]) => [needed ? device.launch(`${name} cotangent`, out, [g, out], cotangent) : null],
  };
}

function crossEntropy(device: Launcher): FusedKernel<{ ignoreIndex: number }> {
  return {
    forward: (out, inputs, { ignoreIndex }) => ({
      out: device.launch("crossEntropy", out, inputs, (o, logits, target) => rowwise.crossEntropy(o, logits, target, ignoreIndex)),
      saved: [],
    }),
    backward: (g, _out, _saved, [logits, target], [needed], { ignoreIndex }) => {
      const kernel = (o: TypedArray, gv: Strided, lv: Strided, tv: Strided) => rowwise.crossEntropyCotangent(o, gv, lv, tv, ignoreIndex);
      return [needed ? device.launch("crossEntropy cotangent", logits, [g, logits, target], kernel) : null, null];
    },
  };
}

/** Layer norm (centred, with a bias) or RMS norm. */
function norm(device: Launcher, name: string, centred: boolean): FusedKernel<{ eps: number }> {
  return {
    forward: (out, inputs, { eps }) => ({
      out: device.launch(name, out, inputs, (o, x, weight, bias) => rowwise.normalise(o, x, weight, centred ? bias : undefined, eps)),
      saved: [],
    }),
    backward: (g, _out, _saved, [x, weight, bias], needed, { eps }) => {
      const toInput = () =>
        device.launch(`${name} cotangent`, x, [g, x, weight], (o, gv, xv, wv) => rowwise.normaliseCotangent(o, gv, xv, wv, eps, centred));
      const toWeight = () =>
        device.launch(`${name} weight`, weight, [g, x], (o, gv, xv) => rowwise.normaliseWeightCotangent(o, gv, xv, eps, centred));
      const toBias = () => device.launch(`${name} bias`, bias, [g], (o, gv) => reduce("sum", o, gv, leadingAxes(gv)));
      return [toInput, toWeight, toBias].slice(0, needed.length).map((launch, i) => (needed[i] ? launch() : null));
    },
  };
}

const leadingAxes = (x: Strided): number[] => x.shape.slice(1).map((_, axis) => axis);

function activation(device: Launcher): FusedKernel<{ activation: Activation }> {
  return {
    forward: (out, inputs, attributes) => ({
      out: device.launch("biasActivation", out, inputs, (o, x, bias) => biasActivation(o, x, bias, attributes.activation)),
      saved: [],
    }),
    backward: (g, _out, _saved, inputs, needed, attributes) => {
      const kernel = (o: TypedArray, gv: Strided, x: Strided, bias?: Strided) =>
        biasActivationCotangent(o, gv, x, bias, attributes.activation);
      const toInput = device.launch("biasActivation cotangent", inputs[0], [g, ...inputs], kernel);
      const toBias = needed[1] ? sumTo(device, inputs[1], wholeOf(toInput, inputs[0])) : null;
      if (!needed[0]) device.free(toInput);
      return [needed[0] ? toInput : null, toBias].slice(0, inputs.length);
    },
  };
}

function slotProduct(device: Launcher): FusedKernel<{ activation: Activation | null }> {
  return {
    forward: (out, [x, weight, filled, ...bias], { activation: name }) => {
      const product = device.launch("slotProduct", out, [x, weight, filled], slots.slotMatmul);
      if (!name) return { out: product, saved: [] };
      const kernel = (o: TypedArray, z: Strided, f: Strided, b?: Strided) => slots.slotActivation(o, z, f, b, name);
      return { out: device.launch("slotProduct activation", out, [wholeOf(product, out), filled, ...bias], kernel), saved: [product] };
    },
    backward: (g, out, [product], [x, weight, filled, ...bias], needed, { activation: name }) => {
      const kernel = (o: TypedArray, gv: Strided, z: Strided, f: Strided, b?: Strided) =>
        name && slots.slotActivationCotangent(o, gv, z, f, b, name);
      const slope = name
        ? device.launch("slotProduct activation cotangent", out, [g, wholeOf(product, out), filled, ...bias], kernel)
        : null;
      const dz = slope ? wholeOf(slope, out) : g;
      const turned = reread(weight, [0, 2, 1].map((axis) => weight.shape[axis]), [0, 2, 1].map((axis) => weight.strides[axis])); // prettier-ignore
      const cotangents = [
        needed[0] ? device.launch("slotProduct", x, [dz, turned, filled], slots.slotMatmul) : null,
        needed[1] ? device.launch("slotProduct weight", weight, [x, dz, filled], slots.slotOuter) : null,
        null,
        needed[3] ? sumTo(device, bias[0], dz) : null,
      ];
      if (slope) device.free(slope);
      return cotangents.slice(0, 3 + bias.length);
    },
  };
}

const wholeOf = (buffer: Buffer, { shape, dtype }: ArrayType): NDArray => ({ shape, dtype, buffer, strides: stridesOf(shape), offset: 0 });

/** The sum of `x` over the axes along which `type` was stretched. */
function sumTo(device: Launcher, type: ArrayType, x: NDArray): Buffer {
  const lead = x.shape.length - type.shape.length;
  const axes = x.shape.map((_, axis) => axis).filter((axis) => axis < lead || type.shape[axis - lead] !== x.shape[axis]);
  return device.launch("sum", type, [x], (o, xv) => reduce("sum", o, xv, axes));
}

function adam(device: Launcher, step: AdamStep): void {
  step.parameters.forEach((parameter, i) => {
    const scale = step.gradScale ? [step.gradScale] : [];
    device.update("adam", [parameter, step.gradients[i], step.first[i], step.second[i], ...scale], (p, g, m, v, s?: Strided) => {
      const gradScale = s ? s.data[s.offset] : 1;
      adamStep(contiguous(p), contiguous(g), contiguous(m), contiguous(v), gradScale, step.weightDecay[i], step);
    });
  });
}
