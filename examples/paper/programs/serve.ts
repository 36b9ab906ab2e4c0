/** A process that computes runs, one after the other, on one thread. */
import { useBackend } from "switchyard-moe";
import { wasm } from "switchyard-moe/backend/wasm";
import type { Result, Settings, TrainSettings } from "../settings.ts";
import { hashOf } from "../settings.ts";

/** What a program may use beside its settings. */
export interface Tools {
  /** The file of the weights that another run has left. */
  weightsOf(settings: TrainSettings): string;
  /** The path to write the weights to; undefined: they are not needed. */
  readonly keep: string | undefined;
}

/** What is asked of the process. */
export interface Order {
  readonly settings: Settings;
  /** Files of weights, by the hash of the run that left them. */
  readonly weights: Readonly<Record<string, string>>;
  readonly keep?: string;
}

/** What the process sends back. */
export type Answer = { readonly result: Result; readonly backend: string } | { readonly error: string };

/** Answers orders until the other end goes away. */
export async function serve<S extends Settings>(run: (settings: S, tools: Tools) => Promise<Result>): Promise<void> {
  const { description } = await useBackend(await wasm({ threads: 1 }));
  const answer = async ({ settings, weights, keep }: Order): Promise<Answer> => {
    try {
      const weightsOf = (from: TrainSettings): string => weights[hashOf(from)] ?? "";
      return { result: await run(settings as S, { weightsOf, keep }), backend: description };
    } catch (error) {
      return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  };
  process.on("message", (order: Order) => void answer(order).then((given) => process.send?.(given)));
  process.on("disconnect", () => process.exit());
}
