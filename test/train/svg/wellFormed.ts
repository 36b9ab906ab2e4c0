import * as fc from "fast-check";
import { SaxesParser } from "saxes";

/** What a strict XML parser finds; throws where the text is not well-formed XML. */
export interface Found {
  /** Names of elements and how often each occurs. */
  readonly elements: ReadonlyMap<string, number>;
  readonly ids: readonly string[];
  /** Values of aria-labelledby, url(#…) and href="#…": ids that must exist. */
  readonly references: readonly string[];
  /** All character data outside <style>, joined by a line break. */
  readonly text: string;
  readonly attributes: readonly { readonly element: string; readonly name: string; readonly value: string }[];
}

export function parsed(markup: string): Found {
  const elements = new Map<string, number>();
  const attributes: { element: string; name: string; value: string }[] = [];
  const text: string[] = [];
  const open: string[] = [];
  const parser = new SaxesParser();
  parser.on("error", (error) => {
    throw error;
  });
  parser.on("opentag", ({ name, attributes: own }) => {
    open.push(name);
    elements.set(name, (elements.get(name) ?? 0) + 1);
    for (const [key, value] of Object.entries(own)) attributes.push({ element: name, name: key, value: String(value) });
  });
  parser.on("closetag", () => open.pop());
  parser.on("text", (data) => {
    if (open.at(-1) !== "style") text.push(data);
  });
  parser.write(markup).close();
  const values = (name: string) => attributes.filter((attribute) => attribute.name === name).map(({ value }) => value);
  const urls = attributes.flatMap(({ value }) => [...value.matchAll(/url\(#([^)]*)\)/g)].map((match) => match[1]));
  const links = values("href").map((value) => value.replace(/^#/, ""));
  return {
    elements,
    ids: values("id"),
    references: [...values("aria-labelledby").flatMap((value) => value.split(" ")), ...urls, ...links],
    text: text.join("\n"),
    attributes,
  };
}

/** Any text at all: markup, control characters, halves of surrogate pairs, scripts of both directions. */
export const anyLabel = fc.oneof(
  fc.string({ unit: "binary", maxLength: 12 }),
  fc.string({
    unit: fc.constantFrom("<", ">", "&", '"', "'", "]]>", "\u0000", "\u0007", "\ud800", "\udc00", "\ufffe", "가", "א", " "),
    maxLength: 8,
  }),
);
