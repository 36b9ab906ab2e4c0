/**
 * gpu.js in Node and in headless Chromium, as a table; gpuFigures.ts says what is measured.
 *
 * Usage: node --import=tsx --conditions=source bench/gpu.ts [node-webasm] [node-webgpu] [page-webasm] [page-webgpu] [page-webgl2]
 */
import type { GpuMode } from "../src/backend/gpu/index.ts";
import { useSwiftShader } from "../test/backend/adapter.ts";
import { launch, program, serveBundle } from "../test/browser/chromium.ts";
import { figuresOf } from "./gpuFigures.ts";
import type { Figures, StepFigures } from "./gpuFigures.ts";

async function onPage(mode: GpuMode): Promise<Figures> {
  const [site, browser] = [await serveBundle("bench/gpuPage.ts"), await launch()];
  try {
    const page = await browser.newPage();
    await page.goto(site.address);
    await page.waitForFunction("globalThis.measure");
    return await page.evaluate((m) => globalThis.measure(m), mode);
  } finally {
    await browser.close();
    site.close();
  }
}

const ms = (x: number): string => x.toFixed(x < 100 ? 1 : 0);

/** Launches and milliseconds before and after fusion, the share of launching, and the CPU backend's milliseconds. */
function stepRow({ launches, unfusedLaunches, fused, unfused, cpu }: StepFigures, launch: number): string[] {
  const share = (launches * launch) / 1000 / fused;
  return [`${unfusedLaunches} → ${launches}`, `${ms(unfused)} → ${ms(fused)}`, `${(100 * share).toFixed(0)} %`, ms(cpu)];
}

function print(place: string, { description, launch: each, parity, tiny, matmul: { ours, readme } }: Figures): void {
  const product = `${ms(ours)} (${(readme / ours).toFixed(1)} ×)`;
  console.log(`| ${[place, each.toFixed(0), ...stepRow(parity, each), ...stepRow(tiny, each), product].join(" | ")} |`);
  console.error(description);
}

useSwiftShader();
const places =
  process.argv.length > 2 ? process.argv.slice(2) : ["node-webasm", "node-webgpu", "page-webasm", "page-webgpu", "page-webgl2"];
const head = ["launches", "ms", "launching", "CPU, ms"];
console.log(
  `| mode | µs per launch | ${[...head.map((h) => `parity: ${h}`), ...head.map((h) => `tiny: ${h}`)].join(" | ")} | matmul 512, ms |`,
);
console.log(`|${"---|".repeat(11)}`);
for (const place of places) {
  const [where, mode] = place.split("-") as ["node" | "page", GpuMode];
  if (where === "page" && !program) console.error(`${place}: no Chromium here`);
  else print(place, await (where === "page" ? onPage(mode) : figuresOf(mode)));
}
process.exit(0);
