/** The page: sends what is chosen to the worker, and draws what it reports. */
import type { BackendName, Report, Request } from "./protocol.ts";
import { backendNames } from "./protocol.ts";

function element<T extends Element>(selector: string): T {
  const found = document.querySelector<T>(selector);
  if (!found) throw new Error(`the page has no ${selector}`);
  return found;
}

const worker = new Worker("/worker.js", { type: "module" });
const send = (request: Request): void => worker.postMessage(request);
const menu = element<HTMLSelectElement>("#backend");
const status = element<HTMLElement>("#status");
const curve = element<SVGPolylineElement>("#loss polyline");
const load = element<HTMLElement>("#load");

menu.append(...backendNames.map((name) => new Option(name, name)));
menu.value = "wasm" satisfies BackendName; // the fastest that every browser has
menu.onchange = start;
element<HTMLButtonElement>("#start").onclick = start;
element<HTMLButtonElement>("#stop").onclick = () => send({ kind: "stop" });

/** Bits per byte of every step so far. */
let bits: number[] = [];

function start(): void {
  show("status", "starting");
  send({ kind: "train", backend: menu.value as BackendName, seed: 1 });
}

/** What is shown as text is also an attribute of the page: for people who style it, and programs that read it. */
function show(name: string, value: string | number): void {
  document.body.dataset[name] = String(value);
}

worker.onmessage = ({ data }: MessageEvent<Report>): void => {
  switch (data.kind) {
    case "started": // what came before may be of the run before
      bits = [];
      show("first", "");
      show("backend", data.backend);
      status.textContent = `${data.description}; ${data.parameters.toLocaleString("en")} parameters`;
      return show("status", "training");
    case "step":
      return drawStep(data);
    case "stopped":
      return show("status", "stopped");
    case "failed":
      status.textContent = data.message;
      return show("status", "failed");
  }
};

function drawStep({ step, steps, bits: now, layers, dropped, tokensPerSecond }: Report & { kind: "step" }): void {
  bits.push(now);
  if (bits.length === 1) show("first", now);
  show("step", step);
  show("bits", now);
  element("#numbers").textContent =
    `step ${step} of ${steps}: ${now.toFixed(3)} bits per byte, ${(100 * dropped).toFixed(1)} % dropped, ${Math.round(tokensPerSecond)} tokens per second`;
  curve.setAttribute("points", bits.map((b, i) => `${(600 * i) / Math.max(bits.length - 1, 50)},${200 - 20 * Math.min(b, 10)}`).join(" "));
  load.replaceChildren(...layers.map(barsOf));
}

/** One bar per expert; an even load fills half the height. */
function barsOf(counts: readonly number[], layer: number): HTMLElement {
  const fair = counts.reduce((sum, n) => sum + n, 0) / counts.length;
  const row = document.createElement("div");
  row.title = `sparse layer ${layer}`;
  for (const [expert, count] of counts.entries()) {
    const bar = document.createElement("span");
    bar.style.height = `${Math.min(100, (50 * count) / fair)}%`;
    bar.title = `expert ${expert}: ${count} tokens`;
    row.append(bar);
  }
  return row;
}
