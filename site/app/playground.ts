/** The page of the playground: settings, controls, and what two models in training show. */
import { curve } from "../../examples/train/svg/curve.ts";
import { download, find, h } from "./dom.ts";
import { SettingsForm } from "./form.ts";
import { ownTextOf, textOfFile } from "./ownText.ts";
import type { Observation, Report, Request, Side, StepNumbers, TextPart } from "./protocol.ts";
import { sides } from "./protocol.ts";
import type { Settings } from "./settings.ts";
import { fromHash, presets, toHash } from "./settings.ts";
import { filled } from "./strings.ts";
import type { ScriptStrings } from "./strings.ts";
import { Frames } from "./frames.ts";
import { PassageView } from "./passageView.ts";
import { LoadHistory, byteTable, flowSvg, languageTable, writtenView } from "./views.ts";
import { Silence } from "./silence.ts";
import { isolated } from "./isolation.ts";
import { offerPictures } from "./pictures.ts";

// In the page, so that nobody loads the words of the other language.
const strings: ScriptStrings = JSON.parse(find("#strings").textContent ?? "");
const base = find<HTMLMetaElement>('meta[name="base"]').content;

/** A turn in which the browser may draw and hear the reader: no task of the page is to last 50 ms. */
function breath(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

type State = "ready" | "preparing" | "training" | "paused" | "finished" | "failed";

/** All that belongs to one run; a new one begins with nothing of the old. */
interface Shown {
  readonly settings: Settings;
  readonly numbers: Record<Side, StepNumbers[]>;
  readonly loads: Record<Side, LoadHistory[]>;
  readonly observed: Partial<Record<Side, Observation>>;
  baselines: readonly { readonly name: string; readonly bits: number }[];
  names: readonly string[];
  started?: Report & { kind: "started" };
  latest?: Report & { kind: "steps" };
}

/** Set by the page before this script: see playgroundPage.ts. */
declare global {
  interface Window {
    early?: Worker | 0;
  }
}

let worker: Worker | undefined;
let state: State = "ready";
let shown: Shown | undefined;
let hiddenPause = false;
const SILENCE = 30_000;
const silence = new Silence(SILENCE, () => tell(filled(strings.silent, { seconds: SILENCE / 1000 }), "failed"));
let declaration: Record<string, readonly { name: string; code: string; training: string }[]> | undefined;

const form = new SettingsForm(strings, settingsChanged);
find("#settings").append(form.element);
await breath();
const status = find<HTMLElement>("#status");
const passage = find<HTMLTextAreaElement>("#passage-text");
const ownText = find<HTMLTextAreaElement>("#own-text");
const layerMenu = find<HTMLSelectElement>("#layer");
const frames = new Frames();
frames.watch(document.querySelectorAll(".live"));
const passageOf = (side: Side): PassageView => new PassageView(strings, (text) => (find(`#detail-${side}`).textContent = text));
const passages: Readonly<Record<Side, PassageView>> = { a: passageOf("a"), b: passageOf("b") };

// Controls

const presetMenu = find<HTMLSelectElement>("#preset");
presetMenu.append(new Option("–", ""), ...Object.keys(presets).map((name) => new Option(strings.presetNames[name] ?? name, name)));
presetMenu.onchange = () => {
  const preset = presets[presetMenu.value];
  if (!preset) return;
  form.value = preset;
  settingsChanged();
  keepInLink();
  void start();
};

const runButton = find<HTMLButtonElement>("#run");
runButton.onclick = () => {
  if (state === "training") return pause();
  if (state === "paused" || (state === "ready" && prepared())) return go();
  void start();
};
find<HTMLButtonElement>("#step").onclick = () => {
  if (state === "paused") send({ kind: "step" });
};
find<HTMLButtonElement>("#reset").onclick = () => void start();
const speed = find<HTMLSelectElement>("#speed");
speed.onchange = sendSpeed;
layerMenu.onchange = () => {
  for (const side of sides) {
    drawObserved(side);
    drawLoad(side);
  }
};
find<HTMLButtonElement>("#write").onclick = askToWrite;
passage.oninput = () => observeSoon();

function sendSpeed(): void {
  send({ kind: "speed", rest: { slow: 400, medium: 60, full: 0 }[speed.value] ?? 0 });
}

function askToWrite(): void {
  send({ kind: "write", prompt: find<HTMLInputElement>("#prompt").value, bytes: 120 });
}

function send(request: Request): void {
  worker?.postMessage(request);
}

function pause(): void {
  send({ kind: "pause" });
}

function go(): void {
  setState("training");
  silence.expect();
  send({ kind: "resume" });
}

function tellPreset(): void {
  find("#preset-sentence").textContent = strings.presets[presetMenu.value] ?? "";
}

// A run

/** Begins a run; `paused`: only as far as its untrained models can be seen. */
async function start({ paused = false } = {}): Promise<void> {
  const faults = form.faults;
  if (faults.length > 0) return tell(`${strings.faults} ${faults.join("; ")}`, "failed");
  const settings = form.value;
  let text: TextPart[];
  try {
    text = await textOf(settings.shared.text);
  } catch (error) {
    return tell(`${strings.faults} ${error instanceof Error ? error.message : String(error)}`, "failed");
  }
  if (!paused) keepInLink();
  clear(settings, text);
  setState("preparing");
  if (paused) status.textContent = greeting;
  worker?.terminate();
  worker = window.early || new Worker(`${base}app/worker.js`, { type: "module", name: settings.shared.backend });
  window.early = 0;
  worker.onmessage = ({ data }: MessageEvent<Report>) => receive(data);
  worker.onerror = (event) => {
    silence.stop();
    tell(`${strings.died} ${event.message ?? ""}`, "failed");
  };
  silence.expect();
  send({ kind: "start", settings, text, paused });
  sendSpeed();
}

/** Whether untrained models of just these settings wait. */
function prepared(): boolean {
  return shown !== undefined && form.value.shared.text !== "own" && toHash(shown.settings) === toHash(form.value);
}

async function textOf(name: string): Promise<TextPart[]> {
  if (name === "own") return ownTextOf(ownText.value, strings);
  declaration ??= await (await fetch(`${base}app/text.json`)).json();
  const parts = declaration?.[name] ?? [];
  return parts.map((part) => ({ ...part, training: new TextEncoder().encode(part.training) }));
}

function clear(settings: Settings, text: readonly TextPart[]): void {
  shown = {
    settings,
    numbers: { a: [], b: [] },
    loads: { a: [], b: [] },
    observed: {},
    baselines: [],
    names: text.map(({ name }) => name),
  };
  layerMenu.replaceChildren(...Array.from({ length: settings.shared.layers }, (_, l) => new Option(String(l + 1), String(l))));
  frames.clear();
  for (const part of document.querySelectorAll(".live")) part.replaceChildren();
  find("#fingerprint").textContent = "";
  if (passage.value === "") passage.value = new TextDecoder().decode(text.at(1)?.training.slice(0, 300) ?? text[0]?.training.slice(0, 300)).replace(/\uFFFD+$/, ""); // prettier-ignore
  for (const side of sides) find(`#title-${side}`).textContent = `${side.toUpperCase()}: ${settings[side].router}`;
}

function receive(report: Report): void {
  // Nothing more has to come of a run that rests.
  if (report.kind === "paused" || report.kind === "finished" || report.kind === "failed") silence.stop();
  else if (state !== "paused") silence.expect();
  if (report.kind === "steps" && (state === "preparing" || state === "failed")) setState("training"); // "failed": it was only slow
  switch (report.kind) {
    case "started":
      if (shown) shown.started = report;
      for (const side of sides) find(`#caution-${side}`).textContent = report.caution[side] ?? "";
      find("#engine").textContent = `${report.description}${crossOriginIsolated ? "" : `. ${strings.oneThread}`}`;
      return observeSoon(0);
    case "counted":
      if (shown) shown.baselines = report.baselines;
      return drawSoon();
    case "steps":
      return receiveSteps(report);
    case "observed":
      return receiveObserved(report);
    case "wrote":
      return void find(`#wrote-${report.side}`).replaceChildren(report.why === null ? writtenView(report.bytes, report.expert) : h("p", { class: "quiet" }, `${strings.cannotWrite}: ${report.why}`)); // prettier-ignore
    case "exported":
      return download(`switchyard-${report.side}.safetensors`, report.file, "application/octet-stream");
    case "paused":
      if (report.step === 0) return ready();
      setState("paused");
      return tell(hiddenPause ? strings.hidden : filled(strings.paused, { step: report.step }));
    case "finished":
      setState("finished");
      draw();
      askToWrite();
      return tell(filled(strings.finished, { step: report.step }));
    case "failed":
      return tell(filled(strings.failed, { message: report.message }) + adviceOn(report.message), "failed");
  }
}

/** The untrained models can be seen; what they write, too. */
function ready(): void {
  if (state !== "preparing") return;
  setState("ready");
  status.textContent = greeting;
  askToWrite();
}

function receiveObserved({ side, observation }: Report & { kind: "observed" }): void {
  if (!shown) return;
  shown.observed[side] = observation;
  // Before the first step nothing else tells the load.
  if (observation.step === 0) observation.byByte.forEach((table, layer) => (shown!.loads[side][layer] ??= new LoadHistory()).add(table.map((counts) => counts.reduce((sum, n) => sum + n, 0)))); // prettier-ignore
  drawObserved(side);
  if (observation.step === 0) drawLoad(side);
}

/** What to do about an error of the device, where there is something. */
function adviceOn(message: string): string {
  if (/memory|allocat/i.test(message)) return `. ${strings.outOfMemory}`;
  return /\blost\b/i.test(message) ? `. ${strings.deviceLost}` : "";
}

function receiveSteps(report: Report & { kind: "steps" }): void {
  if (!shown) return;
  const first = !shown.latest;
  shown.latest = report;
  for (const side of sides) {
    shown.numbers[side].push(report.numbers[side]);
    report.numbers[side].layers.forEach((load, layer) => (shown!.loads[side][layer] ??= new LoadHistory()).add(load));
  }
  drawSoon(first ? 0 : 160);
  observeSoon(1500);
}

// Drawing, at most a few times a second

let drawing = 0;
function drawSoon(after = 160): void {
  drawing ||= window.setTimeout(draw, after);
}

let observing = 0;
function observeSoon(after = 250): void {
  observing ||= window.setTimeout(() => {
    observing = 0;
    send({ kind: "observe", passage: passage.value });
  }, after);
}

function draw(): void {
  drawing = 0;
  frames.request("curve", () => (find("#curve").innerHTML = curveSvg()));
  if (!shown?.latest) return;
  const { latest } = shown;
  find("#fingerprint").textContent = `${latest.fingerprint} (${latest.numbers.b.step})`;
  document.body.dataset["step"] = String(latest.numbers.b.step);
  document.body.dataset["fingerprint"] = latest.fingerprint;
  find("#speed-shown").textContent =
    `${filled(strings.speedUnit, { bytes: Math.round(latest.tokensPerSecond).toLocaleString() })}, ${filled(strings.tensors, { megabytes: (latest.tensorBytes / 1e6).toFixed(1) })}`; // prettier-ignore
  for (const side of sides) {
    drawLoad(side);
    drawNumbers(side);
  }
}

function drawLoad(side: Side): void {
  frames.request(`load-${side}`, () => {
    const history = shown?.loads[side][layer()];
    find(`#load-${side}`).innerHTML = history?.svg(strings.load) ?? noRouter;
  });
}

function drawNumbers(side: Side): void {
  frames.request(`numbers-${side}`, () => find(`#numbers-${side}`).replaceChildren(numbersView(side)));
}

const noRouter = `<p class="quiet">${strings.dense}</p>`;
const layer = (): number => Number(layerMenu.value || 0);

function curveSvg(): string {
  if (!shown) return "";
  const series = sides.map((side) => ({
    name: `${side.toUpperCase()} ${shown!.settings[side].router}`,
    points: smooth(shown!.numbers[side]),
  }));
  const last = Math.max(...series.map(({ points }) => points.at(-1)?.[1] ?? 8));
  const levels = [...shown.baselines.map(({ name, bits }) => ({ name, value: bits })), { name: strings.guess, value: 8 }];
  return curve({
    title: strings.loss,
    description: series.map(({ name, points }) => `${name}: ${(points.at(-1)?.[1] ?? NaN).toFixed(3)} ${strings.bitsPerByte}`).join("; "),
    series,
    // Those far below the curves would press them flat; before the first step there is nothing to press.
    baselines: levels.filter(({ value }) => !shown?.latest || value > last - 2),
    x: strings.stepAxis,
    y: strings.bitsPerByte,
  });
}

/** Means over a fiftieth of the run, so that lines of noise can be compared. */
function smooth(numbers: readonly StepNumbers[]): [number, number][] {
  const window = Math.max(1, Math.floor(numbers.length / 50));
  const points: [number, number][] = [];
  for (let i = 0; i < numbers.length; i += window) {
    const part = numbers.slice(i, i + window);
    points.push([part.at(-1)?.step ?? 0, part.reduce((sum, { bits }) => sum + bits, 0) / part.length]);
  }
  return points;
}

function numbersView(side: Side): HTMLElement {
  const last = shown?.numbers[side].at(-1);
  const observed = shown?.observed[side];
  const recent = shown?.numbers[side].slice(-20) ?? [];
  const bits = recent.reduce((sum, one) => sum + one.bits, 0) / Math.max(1, recent.length);
  const experts = observed?.byByte[layer()]?.length ?? 0;
  const rows: [string, string][] = [
    [strings.numbers.bits, last ? bits.toFixed(3) : "–"],
    [strings.numbers.dropped, last ? `${(100 * last.dropped).toFixed(1)} %` : "–"],
    [strings.numbers.entropy, observed?.entropy[layer()] !== undefined && experts > 1 ? observed.entropy[layer()].toFixed(3) : "–"], // prettier-ignore
    [strings.numbers.violation, observed?.violation[layer()]?.toFixed(2) ?? "–"],
    [strings.numbers.gate, observed?.gateMean[layer()]?.toFixed(3) ?? "–"],
    [strings.numbers.parameters, (shown?.started?.parameters[side] ?? 0).toLocaleString()],
  ];
  return h("dl", {}, ...rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function drawObserved(side: Side): void {
  const observation = shown?.observed[side];
  if (!observation || !shown) return;
  const { names } = shown;
  frames.request(`passage-${side}`, () => {
    passages[side].update(observation, layer());
    if (!passages[side].element.isConnected) find(`#passage-${side}`).replaceChildren(passages[side].element);
  });
  frames.request(`languages-${side}`, () =>
    find(`#languages-${side}`).replaceChildren(languageTable(observation, layer(), names, strings)),
  );
  frames.request(`bytes-${side}`, () => find(`#bytes-${side}`).replaceChildren(byteTable(observation, layer(), strings)));
  frames.request(`flow-${side}`, () => (find(`#flow-${side}`).innerHTML = flowSvg(observation, layer(), strings) || noRouter));
  drawNumbers(side);
}

// State and link

function setState(next: State): void {
  state = next;
  frames.sparing = next === "training";
  document.body.dataset["state"] = next;
  runButton.textContent = { ready: strings.start, preparing: strings.start, training: strings.pause, paused: strings.resume, finished: strings.start, failed: strings.start }[next]; // prettier-ignore
  find<HTMLButtonElement>("#step").disabled = next !== "paused";
  if (next === "preparing") status.textContent = strings.preparing;
  if (next === "training") status.textContent = strings.training;
}

function tell(text: string, next?: State): void {
  if (next) setState(next);
  status.textContent = text;
}

function keepInLink(): void {
  history.replaceState(null, "", `#${toHash(form.value)}`);
}

/** The preset that the form holds, if it is one. */
function namePreset(): void {
  const hash = toHash(form.value);
  presetMenu.value = Object.keys(presets).find((name) => toHash(presets[name]) === hash) ?? "";
  tellPreset();
}

function settingsChanged(): void {
  namePreset();
  find<HTMLElement>("#own").hidden = form.value.shared.text !== "own";
  if (form.faults.length === 0) keepInLink();
  if (state !== "ready") status.textContent = form.faults[0] ?? strings.changed;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden && state === "training") {
    hiddenPause = true;
    pause();
  } else if (!document.hidden && hiddenPause) {
    hiddenPause = false;
    if (state === "paused") go();
  }
});

// Keeping

find<HTMLButtonElement>("#copy-link").onclick = async () => {
  keepInLink();
  await navigator.clipboard.writeText(location.href).catch(() => {});
  find("#kept").textContent = `${strings.linkCopied}${form.value.shared.text === "own" ? ` ${strings.ownTextNotInLink}` : ""}`;
};
for (const side of sides) find<HTMLButtonElement>(`#export-${side}`).onclick = () => send({ kind: "export", side });
find<HTMLButtonElement>("#csv").onclick = () => {
  const rows = (shown?.numbers.a ?? []).map(({ step, bits, dropped }, i) => {
    const b = shown?.numbers.b[i];
    return [step, bits, dropped, b?.bits, b?.dropped].join(",");
  });
  download("switchyard.csv", ["step,a_bits_per_byte,a_dropped,b_bits_per_byte,b_dropped", ...rows, ""].join("\n"), "text/csv");
};
offerPictures(document.querySelectorAll<HTMLElement>("[data-picture]"), (message) => tell(`${strings.noPicture} ${message}`));
find<HTMLButtonElement>("#code").onclick = async () => {
  const { programOf } = await import("./code.ts"); // not loaded by those who do not ask for it
  download("mine.ts", programOf(form.value), "text/typescript");
};

// A file may be dropped anywhere on the page.
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  const file = event.dataTransfer?.files[0];
  if (!file) return;
  event.preventDefault();
  find<HTMLSelectElement>("#shared-text").value = "own";
  settingsChanged();
  void takeFile(file);
});
find<HTMLInputElement>("#own-file").onchange = (event) => {
  const file = (event.target as HTMLInputElement).files?.[0];
  if (file) void takeFile(file);
};
async function takeFile(file: File): Promise<void> {
  try {
    ownText.value = await textOfFile(file, strings);
    tell(filled(strings.fileTaken, { name: file.name, bytes: file.size }));
  } catch (error) {
    tell(error instanceof Error ? error.message : String(error));
  }
}

find<HTMLButtonElement>("#theme").onclick = () => {
  const dark = document.documentElement.classList.toggle("dark");
  localStorage.setItem("vitepress-theme-appearance", dark ? "dark" : "light");
};

const opened = fromHash(location.hash);
form.value = opened.settings;
settingsChanged();
setState("ready");
const greeting = opened.faults.length > 0 ? `${strings.linkFaults} ${opened.faults.join("; ")}` : strings.ready;
status.textContent = greeting;
if (innerWidth < 1100) find<HTMLDetailsElement>(".settings").open = false;
runButton.disabled = true;
await breath();
await isolated(base);
runButton.disabled = false;
find<HTMLElement>("main").inert = false;
if (state === "ready") void start({ paused: location.hash.length <= 1 || opened.faults.length > 0 });
