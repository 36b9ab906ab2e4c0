/** Fingerprints of collectives, which ranks exchange before a call, so that all of them throw where their calls differ. n ranks. */
import type { Flat, Reduction } from "./flat.ts";

export const callNames = [
  "allToAll",
  "allToAllV",
  "allGather",
  "reduceScatter",
  "allReduce",
  "broadcast",
  "barrier",
  "split",
  "end",
] as const;
const typeNames = ["Float32Array", "Float64Array", "Int32Array", "Uint16Array", "Uint8Array"];
const reductions = ["sum", "max", "min"] as const;

export interface Call {
  readonly name: (typeof callNames)[number];
  readonly data?: Flat;
  readonly root?: number;
  readonly how?: Reduction;
  readonly sendCounts?: readonly number[];
  readonly receiveCounts?: readonly number[];
}

/** The length of a fingerprint: numbers that must be equal on all ranks, then what the rank sends to and expects of each rank. */
export function fingerprintSize(ranks: number): number {
  return AGREED + 2 * ranks;
}

const AGREED = 6;

/** The fingerprint of a call. A length takes two numbers, as it may be 2^31 and more. */
export function fingerprint({ name, data, root, how, sendCounts, receiveCounts }: Call, sequence: number, ranks: number): Int32Array {
  const uneven = name === "allToAllV";
  const length = uneven ? 0 : (data?.length ?? 0);
  const print = new Int32Array(fingerprintSize(ranks));
  print.set([callNames.indexOf(name), sequence, data ? typeNames.indexOf(data.constructor.name) : -1]);
  print.set([length % 2 ** 30, Math.floor(length / 2 ** 30)], 3);
  print[5] = root ?? (how ? reductions.indexOf(how) : 0);
  if (uneven) {
    print.set(sendCounts ?? [], AGREED);
    print.set(receiveCounts ?? [], AGREED + ranks);
  }
  return print;
}

/** The call as errors show it: "allReduce sum of a Float32Array of 12". */
export function describeCall({ name, data, root, how }: Call): string {
  return shown(name, data?.constructor.name, data?.length, name === "allReduce" ? how : root);
}

function shown(name: string, type?: string, length?: number, detail?: string | number): string {
  const how = typeof detail === "string" ? ` ${detail}` : "";
  const from = name === "broadcast" ? ` from rank ${detail}` : "";
  return `${name}${how}${type ? ` of a ${type} of ${length}` : ""}${from}`;
}

/** Says what differs between the fingerprints of all ranks; undefined where nothing does. */
export function compareCalls(all: Int32Array, ranks: number): string | undefined {
  const size = fingerprintSize(ranks);
  const of = (r: number): Int32Array => all.subarray(r * size, (r + 1) * size);
  const first = of(0).subarray(0, AGREED);
  for (let r = 1; r < ranks; r++)
    if (
      of(r)
        .subarray(0, AGREED)
        .some((x, i) => x !== first[i])
    )
      return `the ranks call different collectives: ${Array.from({ length: ranks }, (_, s) => `rank ${s} ${read(of(s))}`).join(", ")}`;
  for (let r = 0; r < ranks; r++)
    for (let s = 0; s < ranks; s++) {
      const [sent, expected] = [of(r)[AGREED + s], of(s)[AGREED + ranks + r]];
      if (sent !== expected) return `allToAllV: rank ${r} sends ${sent} numbers to rank ${s}, which expects ${expected}`;
    }
  return undefined;
}

function read(print: Int32Array): string {
  const name = callNames[print[0]];
  const detail = name === "allReduce" ? reductions[print[5]] : print[5];
  const length = print[3] + print[4] * 2 ** 30;
  const type = typeNames[print[2]];
  const where = ` as its call ${print[1]}`;
  return `${name === "allToAllV" ? `allToAllV${type ? ` of a ${type}` : ""}` : shown(name, type, length, detail)}${where}`;
}
