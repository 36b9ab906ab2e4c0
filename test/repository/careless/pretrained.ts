/** The walk through `switchyard-moe/pretrained`. */
import { key } from "switchyard-moe";
import { EncoderDecoder } from "switchyard-moe/nn";
import { memorySource } from "switchyard-moe/pretrained";
import { checkpoint } from "../../pretrained/hf.ts";
import type { Tables } from "./values.ts";

const model = new EncoderDecoder({ random: key(1), vocabulary: 4, width: 2, heads: 1, layers: 1 });
const files = await checkpoint({}, model.state());

const callsByHand = new Map<string, () => unknown[]>([
  ["openWeights", () => [memorySource(files)]],
  ["filesSource", () => [[]]],
  ["addressSource", () => ["https://localhost"]],
  ["familyOf", () => [model]],
]);

const skipped = new Map<string, string>([
  ["savePretrained.*", "writes where it is told: test/pretrained/refusals.test.ts calls it wrongly"],
  ["loadPretrained.*", "opens what it is told: as savePretrained"],
]);

export const pretrained: Tables = { instances: new Map(), callsByHand, skipped };
