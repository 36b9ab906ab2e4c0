/**
 * Small instruments for the guide, as elements of their own. Each computes with the library itself: what a reader moves goes into tensors,
 * and what is drawn was read from them.
 */
import { balanceOf, gatesOf, roundedFlips, seatsOf, tablesOf, takenBy, deviationOf } from "./widgetMath.ts";
import { h } from "./dom.ts";
import { seatsSvg } from "./seatsPicture.ts";
import { widgetWords } from "./widgetWords.ts";

const words = widgetWords(document.documentElement.lang);

/** An element that draws anew whenever one of its controls moves. */
abstract class Widget extends HTMLElement {
  readonly #controls = h("div", { class: "widget-controls" });
  readonly #picture = h("div", { class: "widget-picture" });
  readonly #text = h("p", { class: "widget-text", role: "status" });

  connectedCallback(): void {
    if (this.childElementCount > 0) return;
    this.classList.add("widget");
    this.append(h("strong", { class: "widget-title" }, this.heading), this.#controls, this.#picture, this.#text);
    this.build();
    this.update();
  }

  abstract get heading(): string;
  /** Makes the controls. */
  abstract build(): void;
  /** Draws: HTML of the picture, and a sentence that says the same. */
  abstract draw(): { readonly picture: string; readonly text: string };

  protected update(): void {
    const { picture, text } = this.draw();
    this.#picture.innerHTML = picture;
    this.#text.textContent = text;
  }

  /** Where a control begins: as the page says in an attribute of that name, or at the usual value. */
  protected begin(name: string, usual: number): number {
    return Number(this.getAttribute(name) ?? usual);
  }

  protected slider(label: string, { min, max, step, value }: { min: number; max: number; step: number; value: number }): () => number {
    const input = h("input", { type: "range", min, max, step, value, "aria-label": label });
    const shown = h("output", {}, String(value));
    input.addEventListener("input", () => {
      shown.textContent = input.value;
      this.update();
    });
    this.#controls.append(h("label", {}, `${label} `, input, " ", shown));
    return () => Number(input.value);
  }

  protected menu<T extends string>(label: string, choices: readonly (readonly [T, string])[], value = choices[0][0]): () => T {
    const select = h("select", { "aria-label": label }, ...choices.map(([value, name]) => h("option", { value }, name)));
    select.value = value;
    select.addEventListener("change", () => this.update());
    this.#controls.append(h("label", {}, `${label} `, select));
    return () => select.value as T;
  }

  protected button(label: string, press: () => void): void {
    this.#controls.append(h("button", { type: "button", onclick: press }, label));
  }
}

/** Bars from 0 to 1, one for each expert; empty ones keep their place. */
function bars(values: readonly number[], labels: readonly string[]): string {
  const rows = values.map((value, i) => {
    const y = 6 + i * 24;
    return `<text class="label" x="4" y="${y + 13}">${labels[i]}</text><rect class="track" x="70" y="${y}" width="260" height="17" rx="3"/><rect class="fill x${i % 8}" x="70" y="${y}" width="${(260 * value).toFixed(1)}" height="17" rx="3"/><text class="value" x="338" y="${y + 13}">${value.toFixed(3)}</text>`;
  });
  return `<svg class="drawn" viewBox="0 0 400 ${12 + 24 * values.length}" role="img" aria-label="${values.map((value, i) => `${labels[i]} ${value.toFixed(3)}`).join(", ")}">${rows.join("")}</svg>`;
}

/** Softmax over all, or over the k largest: KeepTopK. */
class GateWidget extends Widget {
  #logits: (() => number)[] = [];
  #k: () => number = () => 4;
  get heading(): string {
    return words.gate.title;
  }
  build(): void {
    this.#logits = [1, 0.4, -0.3, -1].map((value, i) => this.slider(`h${i + 1}`, { min: -3, max: 3, step: 0.1, value }));
    this.#k = this.slider("k", { min: 1, max: 4, step: 1, value: this.begin("k", 4) });
  }
  draw(): { picture: string; text: string } {
    const { all, kept } = gatesOf(
      this.#logits.map((logit) => logit()),
      this.#k(),
    );
    const labels = kept.map((_, i) => `${words.expert} ${i + 1}`);
    const gates = kept.map((gate) => gate.toFixed(3)).join(", ");
    return {
      picture: bars(kept, labels),
      text: `${words.gate.text} ${gates}. ${words.gate.full} ${all.map((p) => p.toFixed(3)).join(", ")}.`,
    };
  }
}

/** Softplus of a raw number as the deviation of the noise, and how often the second expert then wins. */
class NoiseWidget extends Widget {
  #gap: () => number = () => 1;
  #raw: () => number = () => 0;
  get heading(): string {
    return words.noise.title;
  }
  build(): void {
    this.#gap = this.slider(words.noise.gap, { min: 0, max: 4, step: 0.1, value: 1 });
    this.#raw = this.slider(words.noise.raw, { min: -5, max: 3, step: 0.1, value: 0 });
  }
  draw(): { picture: string; text: string } {
    const { deviation, second } = deviationOf(this.#gap(), this.#raw());
    return {
      picture: bars([1 - second, second], [`${words.expert} 1`, `${words.expert} 2`]),
      text: `softplus(${this.#raw().toFixed(1)}) = ${deviation.toFixed(3)}. ${words.noise.text} ${(100 * second).toFixed(1)} %.`,
    };
  }
}

/** Tokens on their way to slots at a capacity; who comes too late is hatched. */
class SeatsWidget extends Widget {
  #factor: () => number = () => 1;
  #skew: () => number = () => 1;
  #priority: () => "position" | "gate" | "random" = () => "position";
  get heading(): string {
    return words.seats.title;
  }
  build(): void {
    this.#factor = this.slider(words.seats.factor, { min: 0.25, max: 3, step: 0.25, value: this.begin("factor", 1) });
    this.#skew = this.slider(words.seats.skew, { min: 0, max: 3, step: 0.5, value: this.begin("skew", 1) });
    this.#priority = this.menu(words.seats.priority, [
      ["position", words.seats.position],
      ["gate", words.seats.gate],
      ["random", words.seats.random],
    ]);
  }
  draw(): { picture: string; text: string } {
    const { expert, slot, capacity, experts, dropped } = seatsOf({
      factor: this.#factor(),
      skew: this.#skew(),
      priority: this.#priority(),
    });
    const waiting = new Array<number>(experts).fill(0);
    const seats = expert.map((e, t) => {
      const kept = slot[t] >= 0;
      return { label: String(t + 1), expert: e, place: kept ? slot[t] % capacity : capacity + waiting[e]++, kept };
    });
    const names = Array.from({ length: experts }, (_, e) => String(e + 1));
    return {
      picture: seatsSvg(seats, { experts: names, capacity, label: words.seats.title }),
      text: `C = ${capacity}. ${words.seats.dropped} ${dropped} / ${expert.length}.`,
    };
  }
}

/** Dispatch and combine as two tables, for four tokens and two experts: which token is read into a slot, which slot is read back into a token. */
class DispatchWidget extends Widget {
  #expert: (() => "0" | "1")[] = [];
  #capacity: () => number = () => 1;
  get heading(): string {
    return words.dispatch.title;
  }
  build(): void {
    const experts = [0, 1].map((e) => [String(e), `${words.expert} ${e}`] as ["0" | "1", string]);
    this.#expert = [0, 0, 1, 1].map((e, t) => this.menu(`${words.dispatch.token} ${t}`, experts, e === 0 ? "0" : "1"));
    this.#capacity = this.slider("C", { min: 1, max: 4, step: 1, value: 1 });
  }
  draw(): { picture: string; text: string } {
    const C = this.#capacity();
    const { slotOfToken, tokenOfSlot } = tablesOf(
      this.#expert.map((expert) => Number(expert())),
      C,
    );
    const { slot, token, empty, dropped } = words.dispatch;
    const slots = tokenOfSlot.map((t, s) => [s, Math.floor(s / C), t < 0 ? empty : t]);
    const tokens = slotOfToken.map((s, t) => [t, s < 0 ? dropped : s]);
    const lost = slotOfToken.flatMap((s, t) => (s < 0 ? [t] : []));
    return {
      picture: `<div class="tables">${table([slot, words.expert, token], slots)}${table([token, slot], tokens)}</div>`,
      text: `${words.dispatch.text} ${dropped}: ${lost.join(", ") || "–"}.`,
    };
  }
}

function table(heads: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const row = (cells: readonly (string | number)[], tag: "th" | "td"): string =>
    `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join("")}</tr>`;
  return `<table><thead>${row(heads, "th")}</thead><tbody>${rows.map((cells) => row(cells, "td")).join("")}</tbody></table>`;
}

/** The balance loss of two experts by the share of tokens and the mean probability. */
class BalanceWidget extends Widget {
  #share: () => number = () => 0.5;
  #probability: () => number = () => 0.5;
  get heading(): string {
    return words.balance.title;
  }
  build(): void {
    this.#share = this.slider("f₁", { min: 0, max: 1, step: 0.05, value: 0.8 });
    this.#probability = this.slider("P₁", { min: 0, max: 1, step: 0.05, value: 0.7 });
  }
  draw(): { picture: string; text: string } {
    const loss = balanceOf(this.#share(), this.#probability());
    return {
      picture: bars([loss / 2, 0.5], [words.balance.loss, words.balance.even])
        .replace(/>0\.500</, ">1.000<")
        .replace(new RegExp(`>${(loss / 2).toFixed(3)}<`), `>${loss.toFixed(3)}<`),
      text: `E Σ f P = 2 (${this.#share()} × ${this.#probability()} + ${(1 - this.#share()).toFixed(2)} × ${(1 - this.#probability()).toFixed(2)}) = ${loss.toFixed(3)}. ${words.balance.text}`,
    };
  }
}

/** How many of 400 tokens choose another expert once logits are rounded to bfloat16, by the size of the logits. */
class PrecisionWidget extends Widget {
  #scale: () => number = () => 1;
  #offset: () => number = () => 0;
  get heading(): string {
    return words.precision.title;
  }
  build(): void {
    this.#offset = this.slider(words.precision.offset, { min: 0, max: 64, step: 1, value: 8 });
    this.#scale = this.slider(words.precision.scale, { min: 0.1, max: 2, step: 0.1, value: 0.5 });
  }
  draw(): { picture: string; text: string } {
    const { flips, tokens } = roundedFlips(this.#scale(), this.#offset());
    return { picture: bars([flips / tokens], [words.precision.flips]), text: `${words.precision.text} ${flips} / ${tokens}.` };
  }
}

/** Expert Choice: the last token is a coin; whether an early token is taken depends on how it falls. */
class CoinWidget extends Widget {
  #heads = false;
  get heading(): string {
    return words.coin.title;
  }
  build(): void {
    this.button(words.coin.toss, () => {
      this.#heads = !this.#heads;
      this.update();
    });
  }
  draw(): { picture: string; text: string } {
    const taken = takenBy(this.#heads);
    const cells = taken.map((experts, t) => {
      const last = t === taken.length - 1;
      const name = last ? (this.#heads ? "◉" : "◎") : String(t + 1);
      return `<rect class="${experts.length > 0 ? `fill x${experts[0]}` : "dropped"}" x="${8 + t * 46}" y="10" width="40" height="30" rx="4"/><text class="${experts.length > 0 ? "on" : "label"}" x="${28 + t * 46}" y="30" text-anchor="middle">${name}</text><text class="label" x="${28 + t * 46}" y="56" text-anchor="middle">${experts.map((e) => e + 1).join(", ") || "–"}</text>`;
    });
    return {
      picture: `<svg class="drawn" viewBox="0 0 ${taken.length * 46 + 12} 64" role="img" aria-label="${words.coin.title}">${cells.join("")}</svg>`,
      text: `${words.coin.text} ${taken.map((experts, t) => `${t + 1}: ${experts.map((e) => e + 1).join(", ") || "–"}`).join("; ")}.`,
    };
  }
}

const widgets = {
  gate: GateWidget,
  noise: NoiseWidget,
  seats: SeatsWidget,
  dispatch: DispatchWidget,
  balance: BalanceWidget,
  precision: PrecisionWidget,
  coin: CoinWidget,
};
for (const [name, Class] of Object.entries(widgets)) if (!customElements.get(`sy-${name}`)) customElements.define(`sy-${name}`, Class);
