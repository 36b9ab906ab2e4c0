/** The settings as a form, made from the table of fields. */
import { h } from "./dom.ts";
import { columnFields, faultsOf, sharedFields } from "./settings.ts";
import type { Field, Settings } from "./settings.ts";
import type { Strings } from "./strings.ts";

type Group = keyof Settings;

/** Three groups of fields. Reads as settings; writing sets every field. */
export class SettingsForm {
  readonly element: HTMLElement;
  readonly #inputs = new Map<string, HTMLInputElement | HTMLSelectElement>();

  constructor(strings: Strings, changed: () => void) {
    const group = (name: Group, title: string, fields: Readonly<Record<string, Field>>): HTMLElement =>
      h("fieldset", { class: `group ${name}` }, h("legend", {}, title), ...Object.entries(fields).map(([field, kind]) => this.#row(name, field, kind, strings, changed))); // prettier-ignore
    this.element = h(
      "div",
      { class: "form" },
      group("a", `${strings.column} A`, columnFields),
      group("b", `${strings.column} B`, columnFields),
      group("shared", strings.shared, sharedFields),
    );
  }

  #row(group: Group, name: string, field: Field, strings: Strings, changed: () => void): HTMLElement {
    const id = `${group}-${name}`;
    const input =
      field.kind === "choice"
        ? h("select", { id }, ...field.choices.map((choice) => h("option", { value: choice }, name === "text" ? (strings.texts[choice] ?? choice) : choice))) // prettier-ignore
        : h("input", { id, type: "number", min: field.least, max: field.most, step: field.whole ? 1 : "any" });
    input.addEventListener("change", changed);
    this.#inputs.set(id, input);
    return h("div", { class: "row" }, h("label", { for: id }, strings.fields[name] ?? name), input);
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
  }

  /** What keeps the settings from being run, a sentence each. */
  get faults(): string[] {
    return faultsOf(this.value);
  }
}
