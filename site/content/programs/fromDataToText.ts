import { readFileSync, writeFileSync } from "node:fs";
import { key, scope, tensor, useBackend } from "switchyard-moe";
import type { Key } from "switchyard-moe";
import { FeedForwardExperts, MoE, SwitchRouter } from "switchyard-moe/moe";
import { AdamW, DecoderLanguageModel, crossEntropy, generate, readSafetensors, writeSafetensors } from "switchyard-moe/nn";

await useBackend("wasm");
const [file = "README.md", steps = "200"] = process.argv.slice(2);
const text = readFileSync(file);
const [width, context, batch, experts] = [64, 64, 16, 8];

function feedForward(_layer: number, { random }: { readonly random: Key }): MoE {
  const router = new SwitchRouter({ width, experts, random: random.at("router") });
  return new MoE({ router, experts: new FeedForwardExperts({ experts, width, hidden: 128, random: random.at("experts") }) });
}
const build = () => new DecoderLanguageModel({ vocabulary: 256, width, layers: 2, heads: 4, context, random: key(1), feedForward });

const model = build();
const optimizer = new AdamW(model, { lr: 3e-3 });
for (let step = 0; step < Number(steps); step++) {
  const at = key(2).at(step);
  const starts = Array.from({ length: batch }, (_, i) => Math.floor(at.number(i) * (text.length - context - 1)));
  const bytes = (shift: number) => Int32Array.from(starts.flatMap((s) => [...text.subarray(s + shift, s + shift + context)]));
  const shown = scope(() => {
    const shape = [batch, context];
    const { logits, losses } = model.forward(tensor(bytes(0), { shape }), {}, { training: true, random: at });
    const loss = crossEntropy(logits, tensor(bytes(1), { shape }));
    const total = Object.values(losses).reduce((sum, part) => sum.add(part), loss);
    total.backward();
    optimizer.step();
    optimizer.zeroGrad();
    return loss.detach();
  });
  if (step % 20 === 19) console.log(step + 1, ((await shown.item()) / Math.LN2).toFixed(2), "bits per byte");
}

writeFileSync("mine.safetensors", await writeSafetensors(model.state()));
const loaded = build();
loaded.load(readSafetensors(readFileSync("mine.safetensors")).tensors);
const written = [...Buffer.from("The ")];
for await (const byte of generate(loaded, [...written], { tokens: 120, context, random: key(3), temperature: 0.8 })) written.push(byte);
console.log(Buffer.from(written).toString());
