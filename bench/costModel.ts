/**
 * A model of what a step costs on many ranks: compute per token, bytes between ranks by formula, and memory by part. It predicts from measured
 * numbers; `bench/distributed.ts` compares the prediction with a run of two processes, and `costTables` applies it to the papers' models.
 *
 * n ranks in groups of G that share the E experts of a layer, D = n / G groups; T tokens of a rank, d width, c capacity factor, L layers.
 */

/** A link: seconds before the first byte, and bytes per second after it. */
export interface Link {
  readonly latency: number;
  readonly bandwidth: number;
}

/** Seconds that a collective takes on a rank which sends so many bytes in so many messages. */
export function transfer({ latency, bandwidth }: Link, bytes: number, messages: number): number {
  return messages * latency + bytes / bandwidth;
}

/**
 * Time that a rank waits for the slower of two in a step of k exchanges, beyond what the slower one takes over the whole step: where steps
 * spread by sigma, each of k parts spreads by sigma / sqrt(k), and the larger of two is sigma / sqrt(pi) above their mean.
 */
export function waiting(sigma: number, exchanges: number): number {
  return (sigma / Math.sqrt(Math.PI)) * (Math.sqrt(Math.max(1, exchanges)) - 1);
}

// Bytes between ranks

/** The sizes that decide how many bytes a step of the main job's model sends. */
export interface WireSizes {
  readonly ranks: number;
  readonly expertsOver: number;
  readonly experts: number;
  readonly sparseLayers: number;
  /** Slots of an expert for one shard, and groups of a shard that share them. */
  readonly capacity: number;
  readonly groups: number;
  readonly width: number;
  /** Shards that a rank takes in a step. */
  readonly shards: number;
  /** Numbers of the parameters that all hold, and of the experts of one rank. */
  readonly shared: number;
  readonly sharded: number;
  /** Tensors that the experts of one layer have. */
  readonly expertTensors: number;
  /** Auxiliary losses of a shard. */
  readonly auxiliary: number;
}

/** Bytes that a rank sends in a step, by collective; sums as MPI does them, not ordered. Numbers are float32. */
export function wireBytes(s: WireSizes): Record<"allToAllV" | "allReduce" | "allGather", number> {
  const away = 1 - 1 / s.expertsOver; // of what goes to the ranks of a group, the share that leaves this one
  const slots = s.experts * s.capacity;
  const perLayer = 4 * (slots * s.width * 4) * away + 4 * s.experts * s.groups * away; // there and back, twice; counts of tokens in slots
  const report = s.shards * (3 + s.auxiliary + s.sparseLayers * s.experts) * 8 * (s.ranks - 1);
  const norm = ((s.expertTensors * s.sparseLayers * s.experts) / s.expertsOver) * 8 * (s.expertsOver - 1);
  return {
    allToAllV: s.shards * s.sparseLayers * perLayer,
    allReduce: 2 * 4 * (s.shared * (1 - 1 / s.ranks) + s.sharded * (1 - s.expertsOver / s.ranks)),
    allGather: s.shards * s.sparseLayers * 8 * (s.expertsOver - 1) + norm + report,
  };
}

// Models of the papers

/** A model of Table 9 of Fedus et al. 2021, arXiv:2101.03961. */
export interface PaperModel {
  readonly name: string;
  readonly width: number;
  readonly hidden: number;
  readonly heads: number;
  readonly keyWidth: number;
  /** Of the encoder, and of the decoder. */
  readonly layers: number;
  readonly experts: number;
  /** Feed-forward layers that are sparse, of all 2 `layers`. */
  readonly sparse: number;
  /** Matrices of an expert: 3 where it is gated (GEGLU). */
  readonly matrices: number;
  /** Parameters in the paper, in billions. */
  readonly billions: number;
}

const VOCABULARY = 32128;

// The numbers of sparse layers are those with which the parameters are the paper's: every other layer of Base, all of XXL and C.
// prettier-ignore
export const paperModels: readonly PaperModel[] = [
  { name: "Switch-Base", width: 768, hidden: 2048, heads: 12, keyWidth: 64, layers: 12, experts: 128, sparse: 12, matrices: 3, billions: 7 },
  { name: "Switch-XXL", width: 4096, hidden: 10240, heads: 64, keyWidth: 64, layers: 24, experts: 64, sparse: 48, matrices: 3, billions: 395 },
  { name: "Switch-C", width: 2080, hidden: 6144, heads: 32, keyWidth: 64, layers: 15, experts: 2048, sparse: 30, matrices: 2, billions: 1571 },
];

/** Parameters by part. */
export function parametersOf(m: PaperModel): { readonly expert: number; readonly experts: number; readonly shared: number } {
  const expert = m.matrices * m.width * m.hidden;
  const attention = 4 * m.width * m.heads * m.keyWidth * 3 * m.layers; // of the encoder, of the decoder, and across
  const dense = (2 * m.layers - m.sparse) * expert;
  const routers = m.sparse * m.width * m.experts;
  return { expert, experts: m.sparse * m.experts * expert, shared: attention + dense + routers + 2 * VOCABULARY * m.width };
}

/** Machines of a cluster; numbers of the order of accelerators of today, to be replaced by one's own. */
export interface Cluster {
  readonly ranksPerNode: number;
  /** Useful floating-point operations per second of a rank. */
  readonly flops: number;
  /** Between ranks of a node, and between nodes, of each rank. */
  readonly inside: Link;
  readonly between: Link;
  /** Bytes of memory of a rank. */
  readonly memory: number;
}

export const assumedCluster: Cluster = {
  ranksPerNode: 8,
  flops: 100e12,
  inside: { latency: 2e-6, bandwidth: 200e9 },
  between: { latency: 4e-6, bandwidth: 12.5e9 },
  memory: 80e9,
};

export interface PaperLayout {
  readonly nodes: number;
  /** G */
  readonly expertsOver: number;
  /** Tokens of a rank in a step. */
  readonly tokens: number;
  readonly capacity: number;
}

export interface PaperCost {
  /** Seconds of a step. */
  readonly compute: number;
  readonly allToAll: number;
  readonly allReduce: number;
  /** Bytes of a rank: weights in float32, gradients in bfloat16; Adafactor, as in the paper, keeps a row and a column for each matrix. */
  readonly memory: number;
}

/** The link of a group of neighbours: the slower one as soon as it leaves a node, for the share of the bytes that does. */
function groupTime({ ranksPerNode, inside, between }: Cluster, group: number, bytes: number): number {
  if (group <= 1) return 0;
  const within = Math.min(group, ranksPerNode);
  const stays = (within - 1) / (group - 1);
  return transfer(inside, bytes * stays, within - 1) + (group > within ? transfer(between, bytes * (1 - stays), group - within) : 0);
}

/** Bytes of an activation or a gradient on the wire: bfloat16, as in the paper. */
const HALF = 2;

/** A step of a model on a cluster. */
export function paperCost(m: PaperModel, { nodes, expertsOver: G, tokens, capacity }: PaperLayout, cluster: Cluster): PaperCost {
  const n = nodes * cluster.ranksPerNode;
  const { expert, experts, shared } = parametersOf(m);
  const active = shared - 2 * VOCABULARY * m.width + m.sparse * expert * capacity + VOCABULARY * m.width; // padded slots are computed too
  const slots = tokens * capacity * m.width * HALF; // E C d of a layer
  const own = experts / G;
  const ring = (P: number, ranks: number): number => (ranks > 1 ? groupTime(cluster, ranks, 2 * P * HALF * (1 - 1 / ranks)) : 0);
  return {
    compute: (6 * active * tokens) / cluster.flops,
    allToAll: 4 * m.sparse * groupTime(cluster, G, slots * (1 - 1 / G)),
    allReduce: ring(shared, n) + ring(own, n / G),
    memory: (own + shared) * (4 + HALF),
  };
}

export const totalOf = ({ compute, allToAll, allReduce }: PaperCost): number => compute + allToAll + allReduce;

/** The layout of least time that fits into memory; null: none does. */
export function bestLayout(m: PaperModel, layout: Omit<PaperLayout, "expertsOver">, cluster: Cluster): number | null {
  const n = layout.nodes * cluster.ranksPerNode;
  const fitting = Array.from({ length: Math.log2(n) + 1 }, (_, i) => 2 ** i)
    .filter((G) => m.experts % G === 0)
    .map((G) => ({ G, cost: paperCost(m, { ...layout, expertsOver: G }, cluster) }))
    .filter(({ cost }) => cost.memory <= cluster.memory);
  return fitting.toSorted((a, b) => totalOf(a.cost) - totalOf(b.cost))[0]?.G ?? null;
}

/** Bytes per second of each rank below which all-to-all takes longer than computing, whatever the number of tokens. */
export function crossover(m: PaperModel, capacity: number, cluster: Cluster): number {
  const layout = { nodes: 1024, expertsOver: m.experts, tokens: 2 ** 13, capacity };
  const { compute } = paperCost(m, layout, cluster);
  return (4 * m.sparse * layout.tokens * capacity * m.width * HALF * (1 - 1 / m.experts)) / compute;
}
