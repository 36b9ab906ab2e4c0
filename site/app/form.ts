/** The settings as a form, made from the table of fields: the two models side by side, then what they share. */
import { h } from "./dom.ts";
import { choosesK, columnFields, faultsOf, sharedFields } from "./settings.ts";
import type { Column, Field, Settings } from "./settings.ts";
import type { ScriptStrings } from "./strings.ts";

type Group = keyof Settings;
type Input = HTMLInputElement | HTMLSelectElement;

/** Three groups of fields. Reads as settings; writing sets every field. */
export class SettingsForm {
  readonly element: HTMLElement;
  readonly #inputs = new Map<string, Input>();

  constructor(strings: ScriptStrings, changed: () => void) {
    const name = (field: string): string => strings.fields[field] ?? field;
    const input = (group: Group, field: string, kind: Field, label?: string): Input => this.#input(group, field, kind, strings, changed, label); // prettier-ignore
    const pair = (field: string, kind: Field): HTMLElement =>
      h("div", { class: "row pair" }, h("span", { "aria-hidden": "true" }, name(field)), input("a", field, kind, `${name(field)}, A`), input("b", field, kind, `${name(field)}, B`)); // prettier-ignore
    const single = (field: string, kind: Field): HTMLElement =>
      h("div", { class: "row" }, h("label", { for: `shared-${field}` }, name(field)), input("shared", field, kind));
    const heads = h("div", { class: "row pair heads", "aria-hidden": "true" }, h("span"), h("strong", { class: "mark-a" }, "A"), h("strong", { class: "mark-b" }, "B")); // prettier-ignore
    this.element = h(
      "div",
      { class: "form" },
      h("fieldset", { class: "group" }, h("legend", {}, strings.models), heads, ...Object.entries(columnFields).map(([field, kind]) => pair(field, kind))), // prettier-ignore
      h("fieldset", { class: "group" }, h("legend", {}, strings.shared), ...Object.entries(sharedFields).map(([field, kind]) => single(field, kind))), // prettier-ignore
    );
  }

  #input(group: Group, name: string, field: Field, strings: ScriptStrings, changed: () => void, label = ""): Input {
    const id = `${group}-${name}`;
    const named = label === "" ? {} : { "aria-label": label };
    const shown = (choice: string): string => (name === "text" ? (strings.texts[choice] ?? choice) : choice);
    const input =
      field.kind === "choice"
        ? h("select", { id, ...named }, ...field.choices.map((choice) => h("option", { value: choice }, shown(choice))))
        : h("input", { id, ...named, type: "number", min: field.least, max: field.most, step: field.whole ? 1 : "any" });
    input.addEventListener("change", () => {
      this.#enable();
      changed();
    });
    this.#inputs.set(id, input);
    return input;
  }

  /** k is a setting of some routers only. */
  #enable(): void {
    for (const side of ["a", "b"]) {
      const router = this.#inputs.get(`${side}-router`)?.value as Column["router"];
      const k = this.#inputs.get(`${side}-k`);
      if (k) k.disabled = !choosesK(router);
    }
  }

  get value(): Settings {
    const read = (group: Group, fields: Readonly<Record<string, Field>>): Record<string, unknown> =>
      Object.fromEntries(
        Object.entries(fields).map(([name, field]) => {
          const text = this.#inputs.get(`${group}-${name}`)?.value ?? "";
          return [name, field.kind === "choice" ? text : text === "" ? NaN : Number(text)];
        }),
      );
    return { shared: read("shared", sharedFields), a: read("a", columnFields), b: read("b", columnFields) } as unknown as Settings;
  }

  set value(settings: Settings) {
    for (const group of ["shared", "a", "b"] as const)
      for (const [name, value] of Object.entries(settings[group])) {
        const input = this.#inputs.get(`${group}-${name}`);
        if (input) input.value = String(value);
      }
    this.#enable();
  }

  /** What keeps the settings from being run, a sentence each. */
  get faults(): string[] {
    return faultsOf(this.value);
  }
}
