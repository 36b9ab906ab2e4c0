/**
 * Cases of layouts as plain data, and the small model that they train. n ranks, G ranks that share the experts, S shards, E experts.
 * B sequences of a shard; other sizes are in sizes.ts.
 */
import fc from "fast-check";
import { check, checkOptions, either, flag, having, listOf, oneOf, positive, whole } from "../../autograd/arguments.ts";
import { key, random, tensor } from "../../index.ts";
import type { DType, Key, Tensor } from "../../index.ts";
import type { Experts, Router, Routing } from "../../moe/index.ts";
import {
  BalancedRouter,
  DenseRouter,
  ExpertChoiceRouter,
  FeedForwardExperts,
  HashRouter,
  MoE,
  NoisyTopKRouter,
  SoftRouter,
  SwitchRouter,
  TopKRouter,
  randomHash,
} from "../../moe/index.ts";
import type { Pass } from "../../nn/index.ts";
import { Linear, Module, initializers, under } from "../../nn/index.ts";
import type { ExpertShare } from "../../distributed/index.ts";
import { D, T, V } from "./sizes.ts";

/** One drawn case: how many ranks, how the experts are spread over them, and the program that they run. */
export interface LayoutCase {
  readonly seed: number;
  /** n */
  readonly ranks: number;
  /** G */
  readonly expertsOver: number;
  /** Of each rank of a group: E = G times this. */
  readonly expertsEach: number;
  readonly router: RouterName;
  readonly factor: number | "dropless";
  /** B of each shard; n shards, or 2 n. */
  readonly shards: readonly number[];
  /** Tokens of padding at the end of every sequence of a shard. */
  readonly padding: readonly number[];
  /** Over which tokens the balance loss counts. */
  readonly balance: "rank" | "global";
  /** Whether optimiser state is shared out. */
  readonly sharedState: boolean;
}

/** A case, and nothing else. */
export function checkCase(where: string, c: LayoutCase): void {
  check(where, "case", c, having("a case of layouts, such as the counterexample of a BrokenLayout"));
  checkOptions<LayoutCase>(where, c, {
    seed: whole(),
    ranks: whole(1),
    expertsOver: whole(1),
    expertsEach: whole(1),
    router: oneOf(...routerNames),
    factor: either(positive, oneOf("dropless", Infinity)),
    shards: listOf(whole()),
    padding: listOf(whole(0, T)),
    balance: oneOf("rank", "global"),
    sharedState: flag,
  });
  if (c.shards.length === 0 || c.shards.length % c.ranks !== 0)
    throw new RangeError(`${where}: shards [${c.shards.join(", ")}]: want as many for each of the ${c.ranks} ranks`);
  if (c.padding.length !== c.shards.length)
    throw new RangeError(`${where}: padding [${c.padding.join(", ")}]: want a number for each of ${c.shards.length} shards`);
}

const choices = (experts: number): number => Math.min(2, experts);

/** Routers of the family, small; what each needs beside projection options. */
const routers = {
  switch: (o) => new SwitchRouter({ ...o, jitter: 0.1, zLoss: 0.01 }),
  "top-k": (o) => new TopKRouter({ ...o, choices: choices(o.experts) }),
  "loss-free": (o) =>
    new TopKRouter({ ...o, choices: choices(o.experts), scores: "sigmoid", normalise: "after", biasRate: 0.05, balance: 0 }),
  "noisy-top-k": ({ balance: _balance, ...o }) => new NoisyTopKRouter({ ...o, choices: choices(o.experts) }),
  dense: (o) => new DenseRouter(o),
  hash: ({ experts, random: at }) => new HashRouter({ experts, table: randomHash(VOCABULARY, experts, at) }),
  "expert-choice": ({ balance: _balance, ...o }) => new ExpertChoiceRouter(o),
  soft: ({ balance: _balance, ...o }) => new SoftRouter({ ...o, slots: 2 }),
  balanced: ({ balance: _balance, ...o }) => new BalancedRouter(o),
} satisfies Record<string, (options: RouterOptions) => Router>;

const VOCABULARY = 7;

interface RouterOptions {
  readonly width: number;
  readonly experts: number;
  readonly random: Key;
  readonly dtype: DType;
  readonly initializer: initializers.Initializer;
  readonly balance: number;
}

export type RouterName = keyof typeof routers;
export const routerNames = Object.keys(routers) as RouterName[];
/** Those with a balance loss that may count over the global batch. */
const balanced: readonly RouterName[] = ["switch", "top-k"];
/** Those that assign slots themselves and have no sorted rows. */
const slotsOnly: readonly RouterName[] = ["expert-choice", "soft"];

export const BALANCE = 0.1;

/** Any case of the given numbers of ranks. */
export function layoutCases(ranks: readonly number[] = [1, 2, 3, 4, 6, 8]): fc.Arbitrary<LayoutCase> {
  const most = 2 * Math.max(...ranks);
  return fc
    .record({
      seed: fc.nat(999),
      ranks: fc.constantFrom(...ranks),
      group: fc.nat(7),
      expertsEach: fc.integer({ min: 1, max: 2 }),
      router: fc.constantFrom(...routerNames),
      factor: fc.constantFrom<LayoutCase["factor"]>(0.5, 1, 1.25, 2, "dropless"),
      twice: fc.boolean(),
      sizes: fc.array(fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 0, max: 3 }) }, { weight: 1, arbitrary: fc.constant(0) }), {
        minLength: most,
        maxLength: most,
      }),
      padding: fc.array(fc.nat(T), { minLength: most, maxLength: most }),
      padded: fc.boolean(),
      balance: fc.constantFrom("rank" as const, "global" as const),
      sharedState: fc.boolean(),
    })
    .map(({ group, twice, sizes, padding, padded, balance, ...drawn }) => {
      const divisors = Array.from({ length: drawn.ranks }, (_, i) => i + 1).filter((d) => drawn.ranks % d === 0);
      const shards = sizes.slice(0, twice && balance === "rank" ? 2 * drawn.ranks : drawn.ranks);
      return {
        ...drawn,
        expertsOver: divisors[group % divisors.length],
        factor: slotsOnly.includes(drawn.router) && drawn.factor === "dropless" ? 1 : drawn.factor,
        shards,
        padding: shards.map((_, s) => (padded ? padding[s] : 0)),
        balance: balanced.includes(drawn.router) ? balance : "rank",
      };
    });
}

/** What `MakeExperts` gets. `share.initializer` draws the weights of the experts here as they would be drawn among all E. */
export interface ExpertsSetting {
  readonly share: ExpertShare;
  readonly width: number;
  readonly hidden: number;
  readonly random: Key;
  readonly dtype: "float32" | "float64";
}

/** Makes the experts of one rank from their sizes and its share of them. */
export type MakeExperts = (setting: ExpertsSetting) => Experts;

export const feedForwardExperts: MakeExperts = ({ share, ...setting }) =>
  new FeedForwardExperts({ ...setting, experts: share.count, initializer: share.initializer(initializers.normal(0.7)) });

/** A dense layer, a sparse one, a dense one. */
export class LayoutModel extends Module {
  readonly first: Linear;
  readonly sparse: MoE;
  readonly last: Linear;

  constructor(c: LayoutCase, dtype: "float32" | "float64", experts: Experts) {
    super();
    const random = key(c.seed).at("init");
    const initializer = initializers.normal(0.7);
    const options: RouterOptions = {
      width: D,
      experts: experts.count,
      random: random.at("router"),
      dtype,
      initializer,
      balance: c.balance === "global" ? 0 : BALANCE,
    };
    this.first = new Linear(D, D, { random: random.at("first"), dtype, initializer });
    this.sparse = new MoE({ router: routers[c.router](options), experts, trainingCapacityFactor: c.factor });
    this.last = new Linear(D, V, { random: random.at("last"), dtype, initializer });
  }

  forward({ x, ids, mask }: Shard, pass: Pass): { logits: Tensor; losses: Record<string, Tensor>; routing: Routing } {
    const inner = this.first.forward(x).dropout(0.2, under(pass, "dropout").random);
    const { output, losses, routing } = this.sparse.forward(inner, { ids, mask }, under(pass, "sparse"));
    return { logits: this.last.forward(output.add(inner)), losses, routing };
  }
}

/** The key of initial weights of experts. */
export const expertKey = (c: LayoutCase): Key => key(c.seed).at("init", "experts");

/** The noise of a shard in a step: the same on any layout. */
export const passOf = (c: LayoutCase, step: number, shard: number): Pass => ({
  training: true,
  random: key(c.seed).at("pass", step, shard),
});

/** What a shard learns from. */
export interface Shard {
  /** [B, T, D] */
  readonly x: Tensor;
  /** [B, T] */
  readonly ids: Tensor;
  readonly mask: Tensor;
  /** [B, T], -100 for padding. */
  readonly targets: Tensor;
  /** Tokens that count. */
  readonly tokens: number;
}

export function shardOf(c: LayoutCase, step: number, shard: number, dtype: "float32" | "float64"): Shard {
  const at = key(c.seed).at("batch", step, shard);
  const [B, real] = [c.shards[shard], T - c.padding[shard]];
  const ints = (draw: (t: number) => number): Tensor =>
    tensor(
      Int32Array.from({ length: B * T }, (_, i) => draw(i)),
      { shape: [B, T] },
    );
  const counts = (i: number): boolean => i % T < real;
  return {
    x: random.normal([B, T, D], at.at("x"), { dtype }),
    ids: ints((i) => at.at("ids").bits(i) % VOCABULARY),
    mask: ints((i) => Number(counts(i))),
    targets: ints((i) => (counts(i) ? at.at("targets").bits(i) % V : -100)),
    tokens: B * real,
  };
}
