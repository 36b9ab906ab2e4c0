/** A trained column as the file that `npm start -- generate --from FILE` opens. */
import { writeSafetensors } from "switchyard-moe/nn";
import type { DecoderLanguageModel } from "switchyard-moe/nn";
import type { Trainer } from "../../examples/train/training.ts";
import { modelConfig, trainingConfig } from "./configs.ts";
import type { Side } from "./protocol.ts";
import type { Settings } from "./settings.ts";

export async function exportModel(
  { model, steps }: Trainer<DecoderLanguageModel>,
  settings: Settings,
  side: Side,
): Promise<Uint8Array<ArrayBuffer>> {
  const { backend, text } = settings.shared;
  const config = {
    model: modelConfig(settings, side),
    training: { ...trainingConfig(settings.shared), every: 100, seconds: 0 },
    goal: { kind: "text", text: { languages: text === "own" ? "scripts" : text } },
    backend: { name: backend, description: "a page" },
  };
  const file = await writeSafetensors(model.state(), { format: "2", config: JSON.stringify(config), step: String(steps), fingerprint: "" });
  return Uint8Array.from(file);
}
