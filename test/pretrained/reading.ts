/** What the tests of readers share: numbers of stored tensors, and errors. */
import { expect } from "chai";
import { memorySource } from "../../src/pretrained/source.ts";
import type { FloatDType, StoredTensor } from "../../src/pretrained/stored.ts";
import { decode, isFloat } from "../../src/pretrained/stored.ts";
import { weightsOf } from "../../src/pretrained/weights.ts";
import { joined } from "./torchWriter.ts";

/** All bytes of a tensor. */
export async function bytesOfTensor(tensor: StoredTensor): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let end = 0;
  for await (const { at, bytes } of tensor.pieces()) {
    expect(at).to.equal(end);
    parts.push(bytes.slice());
    end += bytes.length;
  }
  return joined(parts);
}

/** Its numbers in a wider dtype. */
export async function numbersOf(tensor: StoredTensor, dtype: FloatDType = "float64"): Promise<number[]> {
  const bytes = await bytesOfTensor(tensor);
  if (tensor.dtype === "int64") return [...new BigInt64Array(bytes.buffer)].map(Number);
  if (!isFloat(tensor.dtype)) throw new Error(`${tensor.dtype} is not read here`);
  return [...decode(bytes, tensor.dtype, dtype)];
}

/** The tensors of one file in memory. */
export function opened(file: string, bytes: Uint8Array): Promise<Map<string, StoredTensor>> {
  return weightsOf(memorySource(new Map([[file, bytes]])));
}

/** The message of the RangeError that `run` must reject with. */
export async function refusal(run: () => Promise<unknown>): Promise<string> {
  try {
    await run();
  } catch (error) {
    expect(error, String(error)).to.be.instanceOf(RangeError);
    return error instanceof Error ? error.message : "";
  }
  throw new Error("it was not refused");
}
