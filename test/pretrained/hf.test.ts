/** Models of transformers, opened by their names: outputs, and the gradient of every tensor by its name. */
import { expect } from "chai";
import { cpuBackend, key, tensor } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { crossEntropy, shiftRight } from "switchyard-moe/nn";
import type { Pretrained } from "switchyard-moe/pretrained";
import { byTheirNames, hfCase, loadCase } from "./hf.ts";
import type { HfCase, HfTensor } from "./hf.ts";

const pass = { training: false, random: key(0) };
const ids = ({ shape, data }: HfTensor): Tensor => tensor(data, { shape, dtype: "int32", backend: cpuBackend() });

function near(name: string, got: ArrayLike<number>, wanted: ArrayLike<number>, tolerance = 1e-9): void {
  expect(got.length, name).to.equal(wanted.length);
  for (let i = 0; i < wanted.length; i++)
    if (!(Math.abs(got[i] - wanted[i]) <= tolerance * (1 + Math.abs(wanted[i]))))
      expect.fail(`${name}[${i}]: ${got[i]}, want ${wanted[i]}`);
}

/** Logits [B, U, V] and losses of a case. */
function forward({ model, family }: Pretrained, { inputs }: HfCase): { logits: Tensor; losses: Record<string, Tensor> } {
  const mask = ids(inputs["attention_mask"]).cast("float64");
  if (family === "t5" || family === "switch_transformers")
    return model.forward({ ids: ids(inputs["input_ids"]), mask, decoderIds: shiftRight(ids(inputs["labels"])) }, pass);
  return model.forward(ids(inputs["input_ids"]), { mask }, pass);
}

/** The logits of tokens: those at the padding of a decoder say nothing (transformers routes it, this library does not). */
function scored(logits: ArrayLike<number>, family: string, { inputs, expected }: HfCase): number[] {
  const mask = inputs["attention_mask"].data;
  const vocabulary = expected["logits"].shape[2];
  return Array.from(logits).filter((_, i) => family !== "mixtral" || mask[Math.floor(i / vocabulary)] === 1);
}

const cases = { t5: "t5_gated_gelu_untied", switch_transformers: "model_tied", mixtral: "mixtral_causal_lm" } as const;

describe("models of transformers, by their names", () => {
  for (const [family, name] of Object.entries(cases)) {
    const hf = hfCase(name);

    it(`${family}: logits to 1e-9 in float64, and to 1e-4 in float32`, async () => {
      for (const [dtype, tolerance] of [["stored", 1e-9], ["float32", 1e-4]] as const) {
        const loaded = await loadCase(family, hf, { backend: cpuBackend(), dtype });
        const got = await forward(loaded, hf).logits.data();
        near("logits", scored(got, family, hf), scored(hf.expected["logits"].data, family, hf), tolerance);
      }
    }); // prettier-ignore

    it(`${family}: gives back every number it was given, by name`, async () => {
      const loaded = await loadCase(family, hf, { backend: cpuBackend() });
      const values = await byTheirNames(loaded, (parameter) => parameter);
      expect([...values.keys()].toSorted()).to.deep.equal(Object.keys(hf.params).toSorted());
      for (const [parameter, { data }] of Object.entries(hf.params)) expect(values.get(parameter), parameter).to.deep.equal(data);
    });
  }

  it("t5: the gradient of every tensor", async () => {
    const hf = hfCase("t5_gated_gelu_untied");
    const loaded = await loadCase("t5", hf, { backend: cpuBackend() });
    const { logits } = forward(loaded, hf);
    const flat = logits.reshape([logits.shape[0] * logits.shape[1], logits.shape[2]]);
    crossEntropy(flat, ids(hf.inputs["labels"]).reshape([flat.shape[0]])).backward();
    const grads = await byTheirNames(loaded, (parameter) => parameter.grad!);
    for (const [parameter, { data }] of Object.entries(hf.grads)) near(parameter, grads.get(parameter) ?? [], data);
  });
});
