/** What an encoder-decoder writes for given inputs, always the likeliest token next. B inputs, U tokens written so far. */
import { full, noGrad, scope } from "switchyard-moe";
import type { Tensor } from "switchyard-moe";
import { evaluation } from "switchyard-moe/nn";
import type { EncoderDecoder, Seen } from "switchyard-moe/nn";
import { collatePairs } from "./pairs.ts";
import { END, PADDING } from "./vocabulary.ts";

/** The ids that each input is answered with, up to its end (not included) or `most` tokens. */
export async function write(model: EncoderDecoder, inputs: readonly Int32Array[], most: number): Promise<Int32Array[]> {
  const rows = await written(model, inputs, most);
  return rows.map((row) => {
    const end = row.indexOf(END);
    return end < 0 ? row : row.slice(0, end);
  });
}

async function written(model: EncoderDecoder, inputs: readonly Int32Array[], most: number): Promise<Int32Array[]> {
  const { given } = collatePairs(inputs.map((input) => ({ input, target: Int32Array.of(END), classIndex: 0 })));
  const encoded = scope(() => noGrad(() => model.encode(given.ids, { mask: given.mask }, evaluation)));
  let state: Step = { next: full([inputs.length, 1], PADDING, { dtype: "int32" }), past: undefined };
  const columns: ArrayLike<number>[] = [];
  const open = new Set(inputs.keys());
  while (columns.length < most && open.size > 0) {
    const now: Step = state;
    state = scope(() => noGrad(() => step(model, encoded, now)));
    const column = await state.next.data();
    columns.push(column);
    for (const row of open) if (column[row] === END) open.delete(row);
  }
  return inputs.map((_, row) => Int32Array.from(columns, (column) => column[row]));
}

interface Step {
  /** [B, 1] */
  readonly next: Tensor;
  readonly past: readonly Seen[] | undefined;
}

function step(model: EncoderDecoder, encoded: ReturnType<EncoderDecoder["encode"]>, { next, past }: Step): Step {
  const { logits, seen } = model.decode(next, encoded, { past }, evaluation); // [B, 1, V]
  return { next: logits.argmax(-1), past: seen };
}
