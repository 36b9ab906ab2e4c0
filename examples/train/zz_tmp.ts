import { key, useBackend } from "switchyard-moe";
import { baselines } from "./baselines.ts";
import { evaluateModel } from "./evaluation.ts";
import { buildModel } from "./model.ts";
import { validationWindows } from "./sequences.ts";
import { loadDeclaration } from "./text.ts";
import { Trainer } from "./training.ts";
import { specialisation } from "./information.ts";
async function main() {
const [backendName, steps, batch, length, router, lr, init] = process.argv.slice(2);
const backend = await useBackend(backendName as "cpu");
const corpus = loadDeclaration("scripts");
console.log(baselines(corpus).map((b) => `${b.name} ${b.bits.toFixed(3)}`).join("  "));
const model = buildModel({ router: router as "switch", width: 64, layers: 2, heads: 4, hidden: 256, experts: 8, sparse: "every", length: Number(length), capacityFactor: 1.25, alpha: 0.01, zLoss: 0, jitter: 0.01, group: "batch", balanceScope: "batch", expertDropout: 0, initScale: Number(init ?? 1) }, key(1).at("init"));
const trainer = new Trainer(model, corpus, { steps: Number(steps), batch: Number(batch), length: Number(length), lr: Number(lr ?? 3e-3), warmup: 10, accumulate: 1, clip: 1, weightDecay: 0.01, seed: 1 });
const t0 = performance.now();
for (let s = 1; s <= Number(steps); s++) { const read = trainer.step(); if (s % 20 === 0 || s == 1) { const r = await read(); console.log(s, (r.loss / Math.LN2).toFixed(3), r.dropped.toFixed(3), r.load.join(","), ((performance.now() - t0) / s).toFixed(0), "ms/step", JSON.stringify(backend.stats())); } }
console.log("seconds", (performance.now() - t0) / 1000);
const windows = validationWindows(corpus, { length: Number(length) });
const e = await evaluateModel(model, windows, { batch: 32, languages: 8 });
console.log("bits", e.bits, "dropped", e.dropped, "windows", windows.length, (performance.now() - t0) / 1000);
for (const o of e.observed) console.log(specialisation(o, (i) => key(5).number(i)));
}
main();
