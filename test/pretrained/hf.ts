/** Cases that transformers computed, opened as if they had been downloaded: their names go through the tables of src/pretrained. */
import { readFileSync } from "node:fs";
import { cpuBackend, tensor } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { writeSafetensors } from "switchyard-moe/nn";
import { loadPretrained, memorySource } from "switchyard-moe/pretrained";
import type { LoadOptions, Pretrained } from "switchyard-moe/pretrained";
import { tableOf } from "../../src/pretrained/familyOf.ts";
import { moveRows } from "../../src/pretrained/table.ts";
import { ascii } from "./torchWriter.ts";

export interface HfTensor {
  readonly shape: number[];
  readonly data: number[];
}

export interface HfCase {
  readonly config: Record<string, unknown>;
  readonly inputs: Record<string, HfTensor>;
  readonly params: Record<string, HfTensor>;
  readonly expected: Record<string, HfTensor>;
  readonly grads: Record<string, HfTensor>;
}

export function hfCase(name: string): HfCase {
  return JSON.parse(readFileSync(new URL(`../fixtures/hf/${name}.json`, import.meta.url), "utf8")) as HfCase;
}

/** The fixtures say a sparse layer's step, config.json how many there are. */
export function configOf(family: string, { config }: HfCase): Record<string, unknown> {
  const count = (layers: unknown, step: unknown): number => Math.floor(Number(layers) / Number(step));
  return {
    model_type: family,
    ...config,
    ...(family === "switch_transformers" && {
      num_sparse_encoder_layers: count(config["num_layers"], config["encoder_sparse_step"]),
      num_sparse_decoder_layers: count(config["num_decoder_layers"], config["decoder_sparse_step"]),
    }),
  };
}

/** A checkpoint in memory. */
export async function checkpoint(config: object, params: ReadonlyMap<string, Tensor>): Promise<Map<string, Uint8Array>> {
  return new Map([
    ["config.json", ascii(JSON.stringify(config))],
    ["model.safetensors", await writeSafetensors(params, { format: "pt" })],
  ]);
}

export async function loadCase(family: string, hf: HfCase, options: LoadOptions = {}): Promise<Pretrained> {
  const params = Object.entries(hf.params).map(([name, { shape, data }]): [string, Tensor] => [
    name,
    tensor(data, { shape, dtype: "float64", backend: cpuBackend() }),
  ]);
  return loadPretrained(memorySource(await checkpoint(configOf(family, hf), new Map(params))), options);
}

/** What `value` makes of each parameter (its numbers, its gradient), by Hugging Face's names and in Hugging Face's layout. */
export async function byTheirNames(loaded: Pretrained, value: (parameter: Tensor) => Tensor): Promise<Map<string, number[]>> {
  const state = loaded.model.state();
  const found = new Map<string, number[]>();
  for (const { parameter, parts } of tableOf(loaded.config)) {
    const values = Float64Array.from(await value(state.get(parameter)!).data());
    for (const part of parts) {
      const width = part.shape[part.shape.length - 1];
      const out = new Float64Array(part.shape.reduce((a, b) => a * b, 1));
      moveRows(part, values, out, 0, out.length / width, "save");
      found.set(part.names[0], [...out]);
    }
  }
  return found;
}
