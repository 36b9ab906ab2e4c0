/** Shows which expert takes each byte of a text, layer by layer. */
import { tensor } from "switchyard-moe";
import { formatTrace, trace } from "switchyard-moe/moe";
import { openModel } from "./generateText.ts";
import { withCapacity } from "./model.ts";
import type { TraceOptions } from "./options.ts";
import { sparseLayers } from "./routers.ts";
import { namesOf } from "./shownText.ts";
import { UserError } from "./userError.ts";

/** What the columns of a trace are. */
export const traceLegend =
  "columns: position, token, expert, gate and slot, [probability of every expert]; a byte that continues a character of several " +
  "bytes is shown\n" +
  "as 2/3, the second of three; x dropped: the expert was full";

export async function traceText({ from, text, capacityFactor }: TraceOptions): Promise<void> {
  const { model } = openModel(from);
  if (sparseLayers(model).length === 0) throw new UserError(`--from ${from}: a dense model has no router to trace`);
  const bytes = new TextEncoder().encode(text);
  const names = namesOf(bytes);
  const ids = tensor(Int32Array.from(bytes), { shape: [1, bytes.length] });
  const factor = capacityFactor === Infinity ? "dropless" : capacityFactor;
  const tokens = await withCapacity(model, factor, () => trace(model, ids));
  console.log(`${formatTrace(tokens, (_, position) => names[position])}\n\n${traceLegend}`);
}
