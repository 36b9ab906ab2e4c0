/** Shows which expert takes each byte of a text, layer by layer. */
import { tensor } from "switchyard-moe";
import { formatTrace, trace } from "switchyard-moe/moe";
import { openModel } from "./generateText.ts";
import { withCapacity } from "./model.ts";
import type { TraceOptions } from "./options.ts";
import { sparseLayers } from "./routers.ts";
import { UserError } from "./userError.ts";
import { characters } from "./utf8.ts";

export async function traceText({ from, text, capacityFactor }: TraceOptions): Promise<void> {
  const { model } = openModel(from);
  if (sparseLayers(model).length === 0) throw new UserError(`--from ${from}: a dense model has no router to trace`);
  const bytes = new TextEncoder().encode(text);
  const names = byteNames(bytes);
  const ids = tensor(Int32Array.from(bytes), { shape: [1, bytes.length] });
  const factor = capacityFactor === Infinity ? "dropless" : capacityFactor;
  const tokens = await withCapacity(model, factor, () => trace(model, ids));
  console.log(formatTrace(tokens, (_, position) => names[position]));
}

/** The character at its first byte, "+" at the others. */
function byteNames(bytes: Uint8Array): string[] {
  return characters(bytes).flatMap(({ text, start, end }) => [text, ...new Array<string>(end - start - 1).fill("+")]);
}
