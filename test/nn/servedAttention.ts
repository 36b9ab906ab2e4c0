/** A device that has a kernel for attention: the reference device, whose kernel is the composition run behind the tape's back. */
import type { FusedKernel, FusedKernels, NDArray } from "../../src/backend/backend.ts";
import { CpuBackend } from "../../src/backend/cpu/cpuBackend.ts";
import { within } from "../../src/autograd/context.ts";
import type { FusedAttributes } from "../../src/autograd/fused.ts";
import { scope } from "../../src/autograd/scope.ts";
import { Storage } from "../../src/autograd/storage.ts";
import { Tensor } from "../../src/autograd/tensor.ts";
import { attentionFused } from "../../src/nn/attention.ts";

export class ServingBackend extends CpuBackend {
  override readonly name = "serving";
  /** How often its kernel ran. */
  readonly calls = { forward: 0, backward: 0 };
  override readonly fused: FusedKernels = { attention: attentionOf(this) };
}

function attentionOf(device: ServingBackend): FusedKernel<FusedAttributes<"attention">> {
  // Retained once more than it has owners: what is opened here never frees what belongs to the caller.
  const open = (x: NDArray): Tensor => new Tensor(x, new Storage(device, x.buffer).retain(), x.strides, x.offset);
  return {
    forward(out, inputs, attributes) {
      device.calls.forward++;
      const run = () => ({ out: device.copy(out, attentionFused.compose(attributes, ...inputs.map(open))), saved: [] });
      return within({ recording: false }, () => scope(run));
    },
    backward(g, _out, _saved, inputs, needed, attributes) {
      device.calls.backward++;
      const run = () => {
        const leaves = inputs.map((x) => open(x).requireGrad());
        const gradients = attentionFused.compose(attributes, ...leaves).gradients(leaves, { seed: open(g) });
        for (const leaf of leaves) leaf.dispose();
        return gradients.map((gradient, i) => (needed[i] ? device.copy(gradient, gradient) : null));
      };
      return within({ recording: true }, () => scope(run));
    },
  };
}
