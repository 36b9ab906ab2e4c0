/** One's own text for the playground: pasted, chosen or dropped. Loaded when there is one, alone. */
import type { TextPart } from "./protocol.ts";
import type { ScriptStrings } from "./strings.ts";

const LEAST = 1000;
const MOST = 2_000_000;

/** The text as one class; throws a sentence for the reader where it does not serve. */
export function ownTextOf(text: string, strings: ScriptStrings): TextPart[] {
  const training = new TextEncoder().encode(text);
  if (training.length < LEAST) throw new RangeError(strings.tooShort.replace("{bytes}", String(training.length)));
  if (training.length > MOST) throw new RangeError(strings.tooLong.replace("{bytes}", String(training.length)));
  return [{ name: strings.texts["own"] ?? "own", code: "", training }];
}

/** The text of a file; throws a sentence where it is too large or not UTF-8. */
export async function textOfFile(file: File, strings: ScriptStrings): Promise<string> {
  if (file.size > MOST) throw new RangeError(strings.tooLong.replace("{bytes}", String(file.size)));
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw new TypeError(`${file.name}: ${strings.notUtf8}`);
  }
}
