/** A room's training: a button begins it, a worker trains both twins, and their curves are drawn as they come. */
import { calm, find, h } from "./dom.ts";
import type { TrainingReport, TrainingRequest } from "./bugTrainingProtocol.ts";
import { TrainingHistory, picturesOf, sentencesOf } from "./bugTrainingSummary.ts";
import { trainingEnglish, trainingKorean } from "./bugTrainingStrings.ts";
import { filled } from "./museumStrings.ts";
import { beginWorker, endWorker } from "./oneWorker.ts";

const korean = document.documentElement.lang === "ko";
const strings = korean ? trainingKorean : trainingEnglish;
const language = korean ? "ko" : "en";
const SEED = 1;

/** Makes the button of a room train its bug. */
export function offerTraining(room: HTMLElement, title: string, base: string): void {
  const button = find<HTMLButtonElement>("button[data-train]", room);
  const place = find<HTMLElement>(".twins", room);
  let training: Training | undefined;
  button.onclick = () => {
    if (training?.running) return training.stop(strings.stopped);
    training = new Training(place, button);
    training.begin({ title, seed: SEED, text: new URL(`${base}app/text.json`, location.href).href }, base);
  };
}

class Training {
  readonly #about = h("p", { class: "quiet" });
  readonly #progress = h("p", { class: "quiet" });
  readonly #curves = h("div", { class: "curves" });
  readonly #said = h("div", { role: "status", class: "said" });
  readonly #button: HTMLButtonElement;
  readonly #place: HTMLElement;
  #worker: Worker | undefined;
  #history: TrainingHistory | undefined;
  #steps = 0;
  #drawing = 0;

  constructor(place: HTMLElement, button: HTMLButtonElement) {
    this.#place = place;
    this.#button = button;
    place.replaceChildren(this.#about, this.#progress, this.#curves, this.#said);
    place.hidden = false;
  }

  get running(): boolean {
    return this.#worker !== undefined;
  }

  begin(request: TrainingRequest, base: string): void {
    this.#said.textContent = strings.preparing;
    this.#button.textContent = strings.stop;
    this.#place.dataset["state"] = "training";
    const address = `${base}app/bugTrainingWorker.js`;
    const worker = beginWorker(address, () => this.#end("stopped", filled(strings.ended, { step: this.#step })));
    this.#worker = worker;
    worker.onmessage = ({ data }: MessageEvent<TrainingReport>) => this.#hear(data);
    worker.onerror = ({ message }) => this.#hear({ kind: "failed", message: message || address }); // none where it could not be loaded
    worker.postMessage(request);
  }

  stop(said: string): void {
    this.#end("stopped", filled(said, { step: this.#step }));
  }

  get #step(): number {
    return this.#history?.step ?? 0;
  }

  #hear(report: TrainingReport): void {
    switch (report.kind) {
      case "started":
        this.#history = new TrainingHistory(report.watched);
        this.#steps = report.steps;
        this.#about.replaceChildren(filled(strings.about, report.sizes), english(` ${report.device}.`));
        if (report.wished.length > 0) this.#about.append(` ${strings.active} `, english(`${report.wished.join(", ")}.`));
        this.#said.replaceChildren();
        return;
      case "step":
        this.#history?.add(report.step, report);
        this.#progress.textContent = filled(strings.progress, { step: this.#step, steps: this.#steps });
        if (!calm()) this.#drawing ||= requestAnimationFrame(() => this.#draw());
        return;
      case "finished":
        return this.#end("finished");
      case "failed":
        return this.#end("failed", filled(strings.failed, { message: report.message }));
    }
  }

  #draw(): void {
    this.#drawing = 0;
    if (!this.#history) return;
    const pictures = picturesOf(this.#history, strings);
    this.#curves.replaceChildren(...pictures.map((svg) => figureOf(svg)));
  }

  /** Ends the worker, and says what the steps that there were have shown. */
  #end(state: "finished" | "stopped" | "failed", why?: string): void {
    const worker = this.#worker;
    this.#worker = undefined;
    endWorker(worker);
    cancelAnimationFrame(this.#drawing);
    this.#draw();
    const told = this.#history ? sentencesOf(this.#history, strings, language) : [];
    this.#said.replaceChildren(
      ...(why ? [h("p", { class: state === "failed" ? "bad" : "quiet" }, why)] : []),
      ...told.map(({ text, error }) => h("p", {}, error ? h("code", { class: "bad", lang: "en" }, text) : text)),
    );
    this.#button.textContent = strings.train;
    this.#place.dataset["state"] = state;
  }
}

/** Text of the library, which is English. */
const english = (text: string): HTMLElement => h("span", { lang: "en" }, text);

function figureOf(svg: string): HTMLElement {
  const figure = h("figure");
  figure.innerHTML = svg;
  return figure;
}
