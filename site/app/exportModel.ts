/** A trained column as the file that `npm start -- generate --from FILE` opens. */
import { encodeCheckpoint } from "../../examples/train/checkpointFormat.ts";
import type { Trainer } from "../../examples/train/training.ts";
import { modelConfig, trainingConfig } from "./configs.ts";
import type { Side } from "./protocol.ts";
import type { Settings } from "./settings.ts";

export async function exportModel({ model, steps }: Trainer, settings: Settings, side: Side): Promise<Uint8Array<ArrayBuffer>> {
  const { backend, seed, text } = settings.shared;
  return encodeCheckpoint({
    config: {
      model: modelConfig(settings, side),
      training: { ...trainingConfig(settings.shared), seed },
      text: { languages: text === "own" ? "scripts" : text },
      backend,
    },
    step: steps,
    weights: model.state(),
    optimizer: null,
    bits: null,
  });
}
