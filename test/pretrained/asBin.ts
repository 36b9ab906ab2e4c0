/** Tensors as torch.save writes them. */
import type { DType, Tensor } from "switchyard-moe";
import type { BinTensor } from "./torchWriter.ts";
import { joined, torchBin } from "./torchWriter.ts";

const storages: Partial<Record<DType, string>> = { float32: "FloatStorage", bfloat16: "BFloat16Storage", float64: "DoubleStorage" };

export async function asBin(tensors: ReadonlyMap<string, Tensor>): Promise<Uint8Array> {
  const made: BinTensor[] = [];
  for (const [name, tensor] of tensors) {
    const { dtype, shape, size } = tensor;
    const values = await tensor.data();
    const bits = dtype === "bfloat16" ? Uint16Array.from(new Uint32Array(values.buffer, 0, size), (word) => word >>> 16) : values;
    const bytes = new Uint8Array(bits.buffer, 0, bits.byteLength);
    made.push({ name, storage: storages[dtype] ?? "", shape, key: String(made.length), elements: size, bytes: () => [bytes] });
  }
  return joined(torchBin(made));
}
