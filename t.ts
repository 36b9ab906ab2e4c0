import fc from "fast-check";
import { alone } from "./src/distributed/index.ts";
import { layoutCases, feedForwardExperts } from "./src/testing/layouts/cases.ts";
import { LayoutRun, oneProcess } from "./src/testing/layouts/run.ts";
const t0 = performance.now();
let worst = 0;
for (const c of fc.sample(layoutCases(), { seed: 1, numRuns: 40 })) {
  try {
  const a = oneProcess(c, "float64", feedForwardExperts);
  const b = new LayoutRun(c, alone(), "float64", feedForwardExperts).run();
  for (const part of ["outputs", "gradients", "parameters"] as const) for (const [k, v] of Object.entries(a[part])) {
    const w = b[part][k]; if (!w) { console.log("missing", part, k); continue; }
    const d = Math.max(0, ...v.map((x, i) => Math.abs(x - w[i])));
    if (!(d < 1e-11)) console.log(JSON.stringify(c), part, k, d);
  }
  } catch (e) { console.log(JSON.stringify(c), (e as Error).stack!.split("\n").slice(0, 6).join("\n")); }
}
console.log(performance.now() - t0);
