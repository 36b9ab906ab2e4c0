/** A passage in letters of their experts' colours, which can be walked through by keyboard. N bytes, E experts, K choices. */
import type { Character } from "../../examples/train/utf8.ts";
import { characters } from "../../examples/train/utf8.ts";
import { h } from "./dom.ts";
import type { LayerTrace, Observation } from "./protocol.ts";
import type { ScriptStrings } from "./strings.ts";

/** The look of an expert: eight colours, and beyond them the same with another pattern. */
export function expertClass(expert: number): string {
  return expert < 0 ? "none" : `x${expert % 8} p${Math.floor(expert / 8) % 4}`;
}

/** The experts that serve a byte, in the order of its choices. */
export function servedBy({ expert, slot, choices }: LayerTrace, byte: number): number[] {
  return Array.from({ length: choices }, (_, k) => byte * choices + k)
    .filter((at) => slot[at] >= 0)
    .map((at) => expert[at]);
}

/** Keeps its letters while the text stays the same, so that a letter in focus stays there and little is drawn anew. */
export class PassageView {
  readonly element: HTMLElement;
  readonly #strings: ScriptStrings;
  readonly #tell: (text: string) => void;
  #letters: readonly Character[] = [];
  #trace: LayerTrace | undefined;

  /** `tell` is given what the letter under the pointer or in focus met. */
  constructor(strings: ScriptStrings, tell: (text: string) => void) {
    this.#strings = strings;
    this.#tell = tell;
    this.element = h("p", { class: "passage", role: "listbox", "aria-label": strings.passage, tabindex: "-1" });
    for (const event of ["focusin", "mouseover"]) this.element.addEventListener(event, ({ target }) => this.#show(target));
    this.element.addEventListener("keydown", (event) => moveFocus(this.element, event));
  }

  update({ bytes, layers }: Observation, layer: number): void {
    const letters = characters(bytes);
    const same = letters.length === this.#letters.length && letters.every(({ text }, i) => text === this.#letters[i].text);
    if (!same) this.element.replaceChildren(...letters.map(({ text }, i) => letterOf(text, i)));
    this.#letters = letters;
    this.#trace = layers[layer];
    letters.forEach(({ start }, i) => {
      const look = lookOf(this.#trace, start);
      const letter = this.element.children[i];
      if (letter.className !== look) letter.className = look;
    });
  }

  #show(target: EventTarget | null): void {
    if (!(target instanceof HTMLElement) || target === this.element) return;
    const { text, start } = this.#letters[Array.prototype.indexOf.call(this.element.children, target)];
    const said = detail(text, this.#trace, start, this.#strings);
    target.setAttribute("aria-label", said);
    this.#tell(said);
  }
}

function letterOf(text: string, index: number): HTMLElement {
  const blank = text.trim() === "" ? { "aria-label": "␣" } : {};
  return h("span", { role: "option", tabindex: index === 0 ? "0" : "-1", ...blank }, text);
}

function lookOf(trace: LayerTrace | undefined, byte: number): string {
  if (!trace) return expertClass(-1);
  const lost = servedBy(trace, byte).length === 0;
  return `${expertClass(trace.expert[byte * trace.choices] ?? -1)}${lost ? " lost" : ""}`;
}

function moveFocus(list: HTMLElement, event: KeyboardEvent): void {
  const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  const current = document.activeElement;
  const next = by === 1 ? current?.nextElementSibling : by === -1 ? current?.previousElementSibling : null;
  if (!(next instanceof HTMLElement) || !(current instanceof HTMLElement) || !list.contains(current)) return;
  event.preventDefault();
  current.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

function detail(text: string, trace: LayerTrace | undefined, byte: number, strings: ScriptStrings): string {
  const shown = text.trim() === "" ? "␣" : text;
  if (!trace) return `${shown}: ${strings.dense}`;
  const { choices, experts, expert, slot, gate, probs } = trace;
  const chosen = Array.from({ length: choices }, (_, k) => byte * choices + k)
    .filter((at) => expert[at] >= 0)
    .map(
      (at) =>
        `${strings.expert} ${expert[at]}, ${strings.gate} ${gate[at].toFixed(2)}, ${slot[at] >= 0 ? `${strings.slot} ${slot[at]}` : strings.noSlot}`,
    );
  const all = Array.from({ length: experts }, (_, e) => probs[byte * experts + e].toFixed(2)).join(" ");
  return `${shown}: ${chosen.join("; ") || strings.noSlot}. ${strings.probabilities}: ${all}`;
}
