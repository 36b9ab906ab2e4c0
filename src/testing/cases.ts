/**
 * Plain cases, and the small worlds that properties make of them: tokens, a router, experts. float64, as a rule.
 * B sequences, T tokens of each, E experts, K choices, D width.
 */
import fc from "fast-check";
import { key, random, tensor } from "../index.ts";
import type { Key, Tensor } from "../index.ts";
import type { CapacityFactor, Router, Routing } from "../moe/index.ts";
import { FeedForwardExperts, MoE } from "../moe/index.ts";
import type { Initializer } from "../nn/index.ts";

/** More than the experts ever are, so that laws can tell weights of experts by their last axis. */
export const D = 6;
export const VOCABULARY = 5;

/** One situation of a router, as plain data: what a counterexample prints. */
export interface RouterCase {
  /** Of router, experts and tokens. */
  readonly seed: number;
  readonly batch: number;
  readonly length: number;
  readonly experts: number;
  /** The K asked for; a router never takes more than E. */
  readonly choices: number;
  readonly factor: CapacityFactor;
  readonly group: "batch" | "sequence";
  /** Token ids, B T of them. */
  readonly ids: readonly number[];
  /** Tokens of one id are equal vectors: exact ties between tokens. */
  readonly repeats: boolean;
  /** The last expert has the first one's logits: exact ties between experts. */
  readonly twins: boolean;
  /** Tokens at the end of each sequence that are padding. */
  readonly padding: readonly number[];
  readonly training: boolean;
  /** float64 unless a device has none. */
  readonly dtype?: "float32" | "float64";
}

/** What `make` of `routerLaws` gets: all that a router of a case needs. The names are those of the package's own options. */
export interface RouterSetting {
  /** D, the width of a token. */
  readonly width: number;
  /** E */
  readonly experts: number;
  /** K that a router of free K should take: 1 to 3, at most E. Others may overlook it. */
  readonly choices: number;
  /** Token ids are below this: for routers that hash. */
  readonly vocabulary: number;
  /** Among which tokens slots are shared out. */
  readonly group: "batch" | "sequence";
  /** Where its initial values come from: two routers of one key must be equal. */
  readonly random: Key;
  /** Of its parameters: "float64", for comparisons to nine digits. */
  readonly dtype: "float32" | "float64";
  /** Weights of deviation 1: gates far from uniform, choices far from ties. */
  readonly initializer: Initializer;
}

/** A router under test. */
export interface Subject {
  readonly name: string;
  make(setting: RouterSetting): Router;
  readonly seats?: SeatsByHand | undefined;
}

/** The slots of all choices, and the gates that weigh them. */
export interface Seats {
  /** [T][K]; -1: no choice. */
  readonly expert: readonly (readonly number[])[];
  /** [T][K]: row of the expert over all groups, -1: dropped. */
  readonly slot: readonly (readonly number[])[];
  /** [T, E], differentiable; only chosen experts' entries matter. */
  readonly gates: Tensor;
}

/** What a router should decide in evaluation, computed in another way than the router does: from the tokens and its parameters. */
export type SeatsByHand = (c: RouterCase, world: World) => Seats;

const MOST = { batch: 3, length: 7, experts: 5 } as const;
const factors: fc.Arbitrary<CapacityFactor> = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(0.25, 0.5, 0.75, 1, 1.25, 2) },
  { weight: 1, arbitrary: fc.constant(Infinity) },
  { weight: 2, arbitrary: fc.constant("dropless" as const) },
);

/** Any case; `fixed` overrides what a law needs otherwise. Lists are drawn for the largest sizes and cut, so that sizes shrink freely. */
export function cases(fixed: Partial<RouterCase> = {}): fc.Arbitrary<RouterCase> {
  const { batch: most = MOST.batch, length: longest = MOST.length } = fixed;
  return fc
    .record({
      batch: fc.integer({ min: 1, max: MOST.batch }),
      length: fc.integer({ min: 1, max: MOST.length }),
      experts: fc.integer({ min: 1, max: MOST.experts }),
      seed: fc.integer({ min: 0, max: 999 }),
      choices: fc.integer({ min: 1, max: 3 }),
      factor: factors,
      group: fc.constantFrom("batch" as const, "sequence" as const),
      ids: listOf(most * longest, VOCABULARY - 1),
      repeats: fc.boolean(),
      twins: fc.boolean(),
      padding: fc.oneof(fc.constant(new Array<number>(most).fill(0)), listOf(most, longest)),
      training: fc.boolean(),
    })
    .map((drawn) => {
      const { batch, length } = { ...drawn, ...fixed };
      const ids = drawn.ids.slice(0, batch * length);
      const padding = drawn.padding.slice(0, batch).map((n) => n % (length + 1));
      return { ...drawn, ids, padding, ...fixed };
    });
}

/** So many whole numbers from 0 to `max`. */
function listOf(count: number, max: number): fc.Arbitrary<number[]> {
  return fc.array(fc.integer({ min: 0, max }), { minLength: count, maxLength: count });
}

export const without = { repeats: false, twins: false } as const;
export const unpadded = (batch: number): Partial<RouterCase> => ({ batch, padding: new Array<number>(batch).fill(0) });

/** Standard normal numbers of a key. */
export function normals(count: number, at: Key): number[] {
  return Array.from({ length: count }, (_, i) => random.gaussian(at, i));
}

/** The vectors of a case's tokens, row-major [B, T, D]. */
export function vectors({ seed, ids, repeats }: RouterCase): number[] {
  return ids.flatMap((id, i) => normals(D, key(seed).at("token", repeats ? id : i)));
}

export function maskOf({ batch, length, padding }: Pick<RouterCase, "batch" | "length" | "padding">): number[] {
  return Array.from({ length: batch * length }, (_, i) => Number(i % length < length - padding[Math.floor(i / length)]));
}

/** A pass whose key is drawn from a seed and a path. */
export const passOf = (training: boolean, seed: number, ...path: (string | number)[]) => ({
  training,
  random: key(seed).at("pass", ...path),
});

/** The tensors and modules of one case: a router in a layer, its tokens, and functions that run them. */
export interface World {
  readonly router: Router;
  readonly layer: MoE;
  readonly tokens: Tensor;
  readonly ids: Tensor;
  readonly mask: Tensor | undefined;
  readonly route: () => Routing;
  readonly forward: () => { output: Tensor; losses: Record<string, Tensor>; routing: Routing };
}

/** What a law may change in a world. */
export interface Change {
  readonly vectors?: readonly number[];
  readonly ids?: readonly number[];
  readonly mask?: readonly number[];
  readonly router?: Router;
  readonly pass?: { training: boolean; random: Key };
}

export function world(subject: Subject, c: RouterCase, change: Change = {}): World {
  const { dtype = "float64" } = c;
  const router = change.router ?? made(subject, c);
  const experts = new FeedForwardExperts({
    experts: c.experts,
    width: D,
    hidden: 4,
    kind: "gelu",
    random: key(c.seed).at("experts"),
    dtype,
    initializer: wide,
  });
  const layer = new MoE({ router, experts, trainingCapacityFactor: c.factor, evaluationCapacityFactor: c.factor });
  const tokens = tensor(Float64Array.from(change.vectors ?? vectors(c)), { dtype, shape: [c.batch, c.length, D], requiresGrad: true });
  const ids = tensor(Int32Array.from(change.ids ?? c.ids), { shape: [c.batch, c.length] });
  const bits = change.mask ?? maskOf(c);
  const mask = bits.includes(0) ? tensor(Float64Array.from(bits), { dtype, shape: [c.batch, c.length] }) : undefined;
  const pass = change.pass ?? passOf(c.training, c.seed);
  const info = { ids, ...(mask && { mask }) };
  return {
    router, layer, tokens, ids, mask,
    route: () => router.route({ ...info, tokens, capacityFactor: c.factor, pass }),
    forward: () => layer.forward(tokens, info, pass),
  }; // prettier-ignore
}

/** Weights of deviation 1: routing decisions far from ties, gates far from uniform. */
export const wide = (shape: readonly number[], at: Key, options = {}): Tensor => random.normal(shape, at, options);

/** What `make` receives in a case. */
export function settingOf({ seed, experts, choices, group, dtype = "float64" }: RouterCase): RouterSetting {
  const random = key(seed).at("router");
  return { width: D, experts, choices: Math.min(choices, experts), vocabulary: VOCABULARY, group, random, dtype, initializer: wide };
}

function made(subject: Subject, c: RouterCase): Router {
  const router = subject.make(settingOf(c));
  if (c.twins && c.experts > 1)
    for (const parameter of router.parameters()) {
      if (parameter.shape[parameter.shape.length - 1] !== c.experts) continue;
      const flat = parameter.dataSync();
      for (let i = 0; i < flat.length; i += c.experts) flat[i + c.experts - 1] = flat[i];
      parameter.assign(tensor(flat, { shape: parameter.shape, dtype: parameter.dtype }));
    }
  return router;
}

/** The books as rows of plain numbers. */
export function booksOf({ books }: Routing): {
  expert: number[][];
  slot: number[][];
  gate: number[][];
  logits: number[][];
  probs: number[][];
} {
  const rows = (x: Tensor): number[][] => {
    const [tokens, width] = x.shape;
    const flat = Array.from(x.dataSync());
    return Array.from({ length: tokens }, (_, t) => flat.slice(t * width, (t + 1) * width));
  };
  return {
    expert: rows(books.expertOfChoice),
    slot: rows(books.slotOfChoice),
    gate: rows(books.gate),
    logits: rows(books.logits),
    probs: rows(books.probs),
  };
}

export const list = (x: Tensor): number[] => Array.from(x.dataSync());
