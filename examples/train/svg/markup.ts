/** Markup as strings: what both a drawing (XML) and a report (HTML) need, escaped once, here. */

export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** <name attributes>children</name>; children are markup already. Attributes that are undefined are left out. */
export function element(name: string, attributes: Attributes = {}, ...children: readonly string[]): string {
  const written = Object.entries(attributes).map(([key, value]) => (value === undefined ? "" : ` ${key}="${attribute(name, key, value)}"`));
  const open = `<${name}${written.join("")}`;
  return children.length === 0 ? `${open}/>` : `${open}>${children.join("")}</${name}>`;
}

function attribute(name: string, key: string, value: string | number): string {
  if (typeof value === "string") return escape(value);
  if (!Number.isFinite(value)) throw new RangeError(`element: ${key} of <${name}> is ${value}: a drawing has only finite places`);
  return String(Math.round(value * 100) / 100);
}

const ENTITIES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

/**
 * Text as it may stand in XML and HTML, between tags or quotes. Characters that XML does not know (control characters, halves of pairs)
 * become U+FFFD.
 */
export function escape(text: string): string {
  return text.replace(FORBIDDEN, "\ufffd").replace(/[&<>"']/g, (character) => ENTITIES[character]);
}

// XML 1.0, section 2.2: the characters outside Char.
const FORBIDDEN = /[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu;

/** A name for ids that is the same for the same text (FNV-1a, 32 bits), so that several drawings share a page. */
export function identifier(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return `d${(hash >>> 0).toString(36)}`;
}

/** Width in pixels of text at a font size: an estimate, as a string is laid out by whoever shows it. */
export function textWidth(text: string, size: number): number {
  let width = 0;
  for (const character of text) width += WIDE.test(character) ? 1 : 0.56;
  return width * size;
}

const WIDE = /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}]/u;

/** The text, or as much of it as fits, with an ellipsis. */
export function fitted(text: string, width: number, size: number): string {
  if (textWidth(text, size) <= width) return text;
  const characters = [...text];
  while (characters.length > 1 && textWidth(`${characters.join("")}…`, size) > width) characters.pop();
  return `${characters.join("")}…`;
}

/** The words of a text in lines of at most this width. */
export function wrapped(text: string, width: number, size: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const longer = lines.length === 0 ? word : `${lines[lines.length - 1]} ${word}`;
    if (lines.length > 0 && textWidth(longer, size) <= width) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}
