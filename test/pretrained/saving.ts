/** Two models that are told apart by every number; run as a program, saves one after the other into a folder until it is killed. */
import { fileURLToPath } from "node:url";
import { key } from "switchyard-moe";
import { EncoderDecoder } from "switchyard-moe/nn";
import { savePretrained } from "switchyard-moe/pretrained";

export const SHARDS = { shardBytes: 700 };

export const modelOf = (seed: number): EncoderDecoder =>
  new EncoderDecoder({ random: key(seed), vocabulary: 10, width: 4, heads: 2, hidden: 3, layers: 1 });

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (let i = 0; ; i++) {
    const options = i % 2 === 0 ? SHARDS : {};
    await savePretrained(modelOf(1 + (i % 2)), process.argv[2], { ...options, overwrite: true });
    if (i === 0) console.log("saved");
  }
