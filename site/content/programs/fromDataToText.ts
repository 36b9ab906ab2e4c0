import { readFileSync, writeFileSync } from "node:fs";
import { key, scope, tensor, useBackend } from "switchyard-moe";
import { FeedForwardExperts, MoE, SwitchRouter } from "switchyard-moe/moe";
import { AdamW, DecoderLanguageModel, crossEntropy, generate, readSafetensors, writeSafetensors } from "switchyard-moe/nn";

await useBackend("wasm");
const [file = "README.md", steps = "200"] = process.argv.slice(2);
const text = readFileSync(file);
const [width, length, batch, experts] = [64, 64, 16, 8];

function build(): DecoderLanguageModel {
  return new DecoderLanguageModel({
    vocabulary: 256,
    width,
    layers: 2,
    heads: 4,
    context: length,
    random: key(1),
    feedForward: (_layer, { random }) =>
      new MoE({
        router: new SwitchRouter({ width, experts, random: random.at("router") }),
        experts: new FeedForwardExperts({ experts, width, hidden: 128, random: random.at("experts") }),
      }),
  });
}

const model = build();
const optimizer = new AdamW(model, { lr: 3e-3 });
for (let step = 0; step < Number(steps); step++) {
  const at = key(2).at(step);
  const starts = Array.from({ length: batch }, (_, i) => Math.floor(at.number(i) * (text.length - length - 1)));
  const cut = (shift: number) =>
    tensor(Int32Array.from(starts.flatMap((s) => [...text.subarray(s + shift, s + shift + length)])), { shape: [batch, length] });
  const shown = scope(() => {
    const { logits, losses } = model.forward(cut(0), {}, { training: true, random: at });
    const loss = crossEntropy(logits, cut(1));
    Object.values(losses)
      .reduce((sum, part) => sum.add(part), loss)
      .backward();
    optimizer.step();
    optimizer.zeroGrad();
    return loss.detach();
  });
  if (step % 20 === 19) console.log(step + 1, ((await shown.item()) / Math.LN2).toFixed(2), "bits per byte");
}

writeFileSync("mine.safetensors", await writeSafetensors(model.state()));
const loaded = build();
loaded.load(readSafetensors(readFileSync("mine.safetensors")).tensors);

const written: number[] = [];
for await (const byte of generate(loaded, [...Buffer.from("The ")], { tokens: 120, context: length, random: key(3), temperature: 0.8 }))
  written.push(byte);
console.log("The " + Buffer.from(written).toString());
