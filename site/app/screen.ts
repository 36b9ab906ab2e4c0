/** Where the playground draws: what is asked for is drawn in pieces, for the sparse layer that the reader chose. */
import { find } from "./dom.ts";
import { Frames } from "./frames.ts";
import { PassageView } from "./passageView.ts";
import type { Side } from "./protocol.ts";
import { sides } from "./settings.ts";
import type { Shown } from "./shown.ts";
import { curveSvg, numbersView } from "./shown.ts";
import { filled } from "./strings.ts";
import type { ScriptStrings } from "./strings.ts";
import { byteTable, flowSvg, languageTable } from "./views.ts";

export class Screen {
  readonly #strings: ScriptStrings;
  readonly #frames = new Frames();
  readonly #layers = find<HTMLSelectElement>("#layer");
  readonly #passages: Readonly<Record<Side, PassageView>>;
  readonly #noRouter: string;
  #run: Shown | undefined;

  constructor(strings: ScriptStrings) {
    this.#strings = strings;
    this.#noRouter = `<p class="quiet">${strings.dense}</p>`;
    const passage = (side: Side): PassageView => new PassageView(strings, (text) => (find(`#detail-${side}`).textContent = text));
    this.#passages = { a: passage("a"), b: passage("b") };
    this.#frames.watch(document.querySelectorAll(".live"));
    this.#layers.onchange = () => {
      for (const side of sides) {
        this.observed(side);
        this.load(side);
      }
    };
  }

  /** What was drawn and is out of sight is not drawn again. */
  set sparing(value: boolean) {
    this.#frames.sparing = value;
  }

  /** Begins with nothing: old numbers never stand under a new title. */
  clear(run: Shown): void {
    this.#run = run;
    this.#layers.replaceChildren(...Array.from({ length: run.settings.shared.layers }, (_, l) => new Option(String(l + 1), String(l))));
    this.#frames.clear();
    for (const part of document.querySelectorAll(".live")) part.replaceChildren();
    find("#fingerprint").textContent = "";
    for (const side of sides) find(`#title-${side}`).textContent = `${side.toUpperCase()}: ${run.settings[side].router}`;
  }

  get #layer(): number {
    return Number(this.#layers.value || 0);
  }

  /** All that a step changes. */
  steps(): void {
    const [run, strings] = [this.#run, this.#strings];
    if (!run) return;
    this.#frames.request("curve", () => (find("#curve").innerHTML = curveSvg(run, strings)));
    const { latest } = run;
    if (!latest) return;
    const { step } = latest.numbers.b;
    find("#fingerprint").textContent = `${latest.fingerprint} (${step})`;
    Object.assign(document.body.dataset, { step, fingerprint: latest.fingerprint });
    const speed = filled(strings.speedUnit, { bytes: Math.round(latest.tokensPerSecond).toLocaleString() });
    find("#speed-shown").textContent = `${speed}, ${filled(strings.tensors, { megabytes: (latest.tensorBytes / 1e6).toFixed(1) })}`;
    for (const side of sides) {
      this.load(side);
      this.#numbers(side);
    }
  }

  load(side: Side): void {
    const run = this.#run;
    const draw = (): string => run?.loads[side][this.#layer]?.svg(this.#strings.load) ?? this.#noRouter;
    this.#frames.request(`load-${side}`, () => (find(`#load-${side}`).innerHTML = draw()));
  }

  #numbers(side: Side): void {
    const run = this.#run;
    if (run) this.#replace(`numbers-${side}`, () => numbersView(run, side, this.#layer, this.#strings));
  }

  /** All that an observation of a column shows. */
  observed(side: Side): void {
    const [run, strings] = [this.#run, this.#strings];
    const observation = run?.observed[side];
    if (!run || !observation) return;
    const passage = this.#passages[side];
    this.#frames.request(`passage-${side}`, () => {
      passage.update(observation, this.#layer);
      if (!passage.element.isConnected) find(`#passage-${side}`).replaceChildren(passage.element);
    });
    this.#replace(`languages-${side}`, () => languageTable(observation, this.#layer, run.names, strings));
    this.#replace(`bytes-${side}`, () => byteTable(observation, this.#layer, strings));
    this.#frames.request(`flow-${side}`, () => (find(`#flow-${side}`).innerHTML = flowSvg(observation, this.#layer, strings) || this.#noRouter)); // prettier-ignore
    this.#numbers(side);
  }

  #replace(place: string, make: () => HTMLElement): void {
    this.#frames.request(place, () => find(`#${place}`).replaceChildren(make()));
  }
}
