/** What a reader can do about an error of the device. */
import type { ScriptStrings } from "./strings.ts";

/** A sentence that begins with ". ", or nothing where there is no advice. A device that was lost may say that memory was a cause: it comes first. */
export function adviceOn(message: string, { deviceLost, outOfMemory }: Pick<ScriptStrings, "deviceLost" | "outOfMemory">): string {
  if (/\blost\b/i.test(message)) return `. ${deviceLost}`;
  return /memory|allocat|takes \d+ bytes/i.test(message) ? `. ${outOfMemory}` : "";
}
