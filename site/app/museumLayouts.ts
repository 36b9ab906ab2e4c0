/**
 * The rooms of many processes: the law looks at a bug on ranks of this page, and both codes train. One room is busy at a time; a button in
 * another room ends it.
 */
import type { LayoutCase } from "switchyard-moe/testing";
import { calm, find, h } from "./dom.ts";
import { filled } from "./museumStrings.ts";
import type { MuseumStrings } from "./museumStrings.ts";
import { layoutPicture } from "./layoutPicture.ts";
import type { LayoutMessage, LayoutRequest, Which } from "./layoutProtocol.ts";
import type { LayoutStrings } from "./layoutStrings.ts";
import { drawnTraining, toldTraining } from "./layoutCurves.ts";
import { beginWorker, endWorker } from "./oneWorker.ts";

const LIMIT = 300_000;
const REDRAW = 250;

export interface LayoutPageWords {
  readonly museum: MuseumStrings;
  readonly layout: LayoutStrings;
}

/** Makes the buttons of all rooms work. */
export function openLayoutRooms(words: LayoutPageWords, base: string): void {
  for (const room of document.querySelectorAll<HTMLElement>("[data-variant]")) {
    const view = new RoomView(room, words, base);
    for (const button of room.querySelectorAll<HTMLButtonElement>("[data-ask]"))
      button.onclick = () => view.ask(button.dataset["ask"] ?? "");
  }
}

class RoomView {
  readonly #room: HTMLElement;
  readonly #words: LayoutPageWords;
  readonly #base: string;
  readonly #said: HTMLElement;
  readonly #shown: HTMLElement;
  readonly #stop: HTMLButtonElement;
  #worker: Worker | null = null;
  #limit = 0;
  #cases = 0;
  #last: LayoutCase | null = null;
  #list = h("ol", { class: "shrink" });
  #picture = h("div");
  #progress = h("p", { class: "quiet" });
  #losses: Record<Which, number[]> = { right: [], broken: [] };
  #due = 0;

  constructor(room: HTMLElement, words: LayoutPageWords, base: string) {
    this.#room = room;
    this.#words = words;
    this.#base = base;
    this.#said = find(".said", room);
    this.#shown = find(".shown", room);
    this.#stop = find("[data-stop]", room);
    this.#stop.onclick = () => {
      this.#end("stopped");
      this.#say(words.layout.stopped);
    };
  }

  /** Lets the law look at "broken" or "right", or trains both ("train"). */
  ask(what: string): void {
    const { layout } = this.#words;
    if (!crossOriginIsolated) return this.#fail(layout.notIsolated);
    // What this ends says so first, in this room too.
    const worker = beginWorker(`${this.#base}app/layoutWorker.js`, () => {
      this.#end("stopped");
      this.#say(this.#words.museum.otherBegan);
    });
    this.#clear();
    const variant = this.#room.dataset["variant"] ?? "";
    const request: LayoutRequest = what === "train" ? { kind: "train", variant } : { kind: "refute", variant, which: what === "right" ? "right" : "broken" }; // prettier-ignore
    this.#say(what === "train" ? layout.training : layout.looking);
    this.#stop.hidden = false;
    this.#worker = worker;
    this.#worker.onmessage = ({ data }: MessageEvent<LayoutMessage>) => this.#receive(data);
    this.#worker.onerror = ({ message }) => this.#fail(message, "en");
    this.#limit = window.setTimeout(() => this.#fail(filled(layout.tooLong, { seconds: LIMIT / 1000 })), LIMIT);
    this.#worker.postMessage(request);
  }

  #clear(): void {
    [this.#cases, this.#last, this.#losses] = [0, null, { right: [], broken: [] }];
    [this.#list, this.#picture, this.#progress] = [h("ol", { class: "shrink" }), h("div"), h("p", { class: "quiet" })];
    this.#room.dataset["verdict"] = "";
    this.#shown.replaceChildren(this.#progress);
  }

  /** Ends the worker, and with it its ranks. */
  #end(verdict: string): void {
    clearTimeout(this.#limit);
    clearTimeout(this.#due);
    this.#due = 0;
    endWorker(this.#worker);
    this.#worker = null;
    this.#progress.remove();
    if (document.activeElement === this.#stop) find<HTMLElement>("[data-ask]", this.#room).focus();
    this.#stop.hidden = true;
    this.#room.dataset["verdict"] = verdict;
  }

  #say(text: string): void {
    this.#said.replaceChildren(text);
  }

  #fail(message: string, lang = this.#words.museum.language): void {
    this.#end("failed");
    this.#said.replaceChildren(h("span", { class: "bad", lang }, message));
  }

  #receive(message: LayoutMessage): void {
    const { layout } = this.#words;
    switch (message.kind) {
      case "tried":
        return this.#tried(message);
      case "refuted":
        this.#end("refuted");
        this.#say(filled(layout.refuted, { cases: message.cases, smaller: message.smaller }));
        return this.#draw(message.case, message.fault, layout.smallest);
      case "kept":
        this.#end("kept");
        return this.#say(filled(layout.kept, { cases: message.cases }));
      case "step":
        this.#losses[message.which][message.step] = message.loss;
        return this.#curves();
      case "trained":
        this.#end("trained");
        this.#shown.replaceChildren(drawnTraining({ right: message.right.losses, broken: message.broken.losses }, layout));
        return this.#said.replaceChildren(...toldTraining(message, layout));
      default:
        return this.#fail(message.message, "en");
    }
  }

  #tried({ case: c, fault, shrinking }: LayoutMessage & { kind: "tried" }): void {
    const { layout } = this.#words;
    if (!shrinking) this.#cases++;
    this.#progress.textContent = filled(layout.tried, { cases: this.#cases });
    if (fault === null) return;
    if (!shrinking) {
      this.#say(filled(layout.shrinking, { cases: this.#cases }));
      this.#shown.replaceChildren(this.#picture, this.#list);
    }
    // What a case does not use is made smaller too; that looks like the case before.
    if (JSON.stringify(c) !== JSON.stringify(this.#last)) this.#list.append(h("li", { class: "fails" }, caseText(c, this.#last)));
    this.#last = c;
    if (!calm()) this.#draw(c, fault, layout.fails);
  }

  /** The case in place of the one before it. */
  #draw(c: LayoutCase, fault: string, title: string): void {
    const { museum, layout } = this.#words;
    const ranks = h("div");
    ranks.innerHTML = layoutPicture(c, museum);
    this.#picture.replaceChildren(h("p", { class: "smallest" }, title), ranks, h("p", {}, `${layout.fault} `, h("code", { class: "bad", lang: "en" }, fault))); // prettier-ignore
  }

  /** The curves as they grow, a few times a second: the ranks need the processor. */
  #curves(): void {
    if (calm() || this.#due !== 0) return;
    this.#due = window.setTimeout(() => {
      this.#due = 0;
      this.#shown.replaceChildren(drawnTraining(this.#losses, this.#words.layout));
    }, REDRAW);
  }
}

/** A case in one line; what is not as it was in the case before is marked. */
function caseText(c: LayoutCase, before: LayoutCase | null): HTMLElement {
  const parts = Object.entries(c).flatMap(([name, value], i) => {
    const [text, old] = [value, before?.[name as keyof LayoutCase]].map((one) => JSON.stringify(one));
    const part = `${name} ${String(text).replaceAll('"', "")}`;
    return [i > 0 ? ", " : "", before && text !== old ? h("strong", {}, part) : part];
  });
  return h("code", { lang: "en" }, ...parts);
}
