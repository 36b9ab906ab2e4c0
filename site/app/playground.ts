/** The page of the playground: settings, controls, and what two models in training show. */
import { adviceOn } from "./advice.ts";
import { download, find, h } from "./dom.ts";
import { SettingsForm } from "./form.ts";
import { offerKeeping } from "./keep.ts";
import type { Report, Request, TextPart } from "./protocol.ts";
import type { Settings } from "./settings.ts";
import { fromHash, presets, sides, toHash } from "./settings.ts";
import { filled } from "./strings.ts";
import type { ScriptStrings } from "./strings.ts";
import { Screen } from "./screen.ts";
import { Shown } from "./shown.ts";
import { writtenView } from "./views.ts";
import { Silence } from "./silence.ts";
import { isolated } from "./isolation.ts";
import { takeFiles } from "./takeText.ts";

// In the page, so that nobody loads the words of the other language.
const strings: ScriptStrings = JSON.parse(find("#strings").textContent ?? "");
const base = find<HTMLMetaElement>('meta[name="base"]').content;

/** A turn in which the browser may draw and hear the reader: no task of the page is to last 50 ms. */
function breath(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

type State = "ready" | "preparing" | "training" | "paused" | "finished" | "failed";

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
const screen = new Screen(strings);

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
  if (name === "own") return (await import("./ownText.ts")).ownTextOf(find<HTMLTextAreaElement>("#own-text").value, strings);
  declaration ??= await (await fetch(`${base}app/text.json`)).json();
  const parts = declaration?.[name] ?? [];
  return parts.map((part) => ({ ...part, training: new TextEncoder().encode(part.training) }));
}

function clear(settings: Settings, text: readonly TextPart[]): void {
  shown = new Shown(settings, text, document.documentElement.lang);
  screen.clear(shown);
  if (passage.value === "") passage.value = passageOf(text.at(1) ?? text[0]);
}

/** Some words of a text: not of its headings, which are short. */
function passageOf({ training }: TextPart): string {
  const lines = new TextDecoder().decode(training.subarray(0, 2000)).split("\n");
  return (lines.find((line) => line.length > 60) ?? lines[0]).slice(0, 120);
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
      screen.steps();
      askToWrite();
      return tell(filled(strings.finished, { step: report.step }));
    case "failed":
      return tell(filled(strings.failed, { message: report.message }) + adviceOn(report.message, strings), "failed");
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
  shown.observe(side, observation);
  screen.observed(side);
  if (observation.step === 0) screen.load(side);
}

function receiveSteps(report: Report & { kind: "steps" }): void {
  if (!shown) return;
  const first = !shown.latest;
  shown.add(report);
  drawSoon(first ? 0 : 160);
  observeSoon(1500);
}

// Drawing, at most a few times a second

let drawing = 0;
function drawSoon(after = 160): void {
  drawing ||= window.setTimeout(() => {
    drawing = 0;
    screen.steps();
  }, after);
}

let observing = 0;
function observeSoon(after = 250): void {
  observing ||= window.setTimeout(() => {
    observing = 0;
    send({ kind: "observe", passage: passage.value });
  }, after);
}

// State and link

function setState(next: State): void {
  state = next;
  screen.sparing = next === "training";
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

// Keeping, and texts of one's own

offerKeeping(strings, {
  base,
  settings: () => form.value,
  keepInLink,
  csv: () => shown?.csv() ?? "",
  model: (side) => send({ kind: "export", side }),
  tell,
});
takeFiles(strings, {
  chosen() {
    find<HTMLSelectElement>("#shared-text").value = "own";
    settingsChanged();
  },
  tell,
});

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
