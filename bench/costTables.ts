/** The cost model on paper, as the tables of docs/distributed.md: node --import=tsx --conditions=source bench/costTables.ts */
import { fileURLToPath } from "node:url";
import { assumedCluster, bestLayout, crossover, paperCost, paperModels, parametersOf, totalOf } from "./costModel.ts";
import type { PaperModel } from "./costModel.ts";

const CAPACITIES = [1, 1.25, 2] as const;
const NODES = [1, 8, 64, 256, 1024] as const;
/** Tokens of a rank in a step. */
const TOKENS = 8192;

const milliseconds = (seconds: number): string => (1000 * seconds).toPrecision(3);
const billions = (n: number): string => (n / 1e9).toFixed(n < 1e10 ? 1 : 0);

function table(columns: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
  return [line(columns), line(columns.map(() => "---")), ...rows.map(line)].join("\n");
}

function models(): string {
  return table(
    ["model", "parameters (paper)", "of them experts", "all-to-all takes over below, GB/s of a rank at capacity 1 / 1.25 / 2"],
    paperModels.map((m) => {
      const { experts, shared } = parametersOf(m);
      const below = CAPACITIES.map((c) => (crossover(m, c, assumedCluster) / 1e9).toFixed(1));
      return [m.name, `${billions(experts + shared)} B (${m.billions} B)`, `${billions(experts)} B`, below.join(" / ")];
    }),
  );
}

function layouts(): string {
  const rows = paperModels.flatMap((m) =>
    NODES.map((nodes) => {
      const layout = { nodes, tokens: TOKENS, capacity: 1.25 };
      const G = bestLayout(m, layout, assumedCluster);
      if (G === null) return [m.name, nodes, "does not fit", "", "", "", "", ""];
      const cost = paperCost(m, { ...layout, expertsOver: G }, assumedCluster);
      const away = (cost.allToAll + cost.allReduce) / totalOf(cost);
      const times = [cost.compute, cost.allToAll, cost.allReduce].map(milliseconds);
      return [m.name, nodes, G, (cost.memory / 1e9).toFixed(1), ...times, `${(100 * away).toFixed(0)} %`];
    }),
  );
  return table(["model", "nodes", "experts over", "GB of a rank", "compute, ms", "all-to-all, ms", "all-reduce, ms", "on the wire"], rows);
}

/** Switch-Base with other numbers of experts, one of each layer on a rank. */
function experts(): string {
  const base = paperModels[0];
  const rows = [8, 32, 128, 512, 2048].map((count) => {
    const m: PaperModel = { ...base, experts: count };
    const nodes = Math.max(1, count / assumedCluster.ranksPerNode);
    const costs = CAPACITIES.map((capacity) => paperCost(m, { nodes, expertsOver: count, tokens: TOKENS, capacity }, assumedCluster));
    const { experts: all, shared } = parametersOf(m);
    const shares = costs.map(({ compute, allToAll }) => `${milliseconds(compute)} + ${milliseconds(allToAll)}`);
    return [count, nodes, `${billions(all + shared)} B`, ...shares];
  });
  const columns = CAPACITIES.map((capacity) => `compute + all-to-all, ms, capacity ${capacity}`);
  return table(["experts", "nodes", "parameters", ...columns], rows);
}

/** All tables with their captions, in Markdown. */
export function costTables(): string {
  const { flops, inside, between, memory, ranksPerNode } = assumedCluster;
  const assumed = `Assumed: ${ranksPerNode} ranks in a node; of each rank ${flops / 1e12} TFLOP/s in use, ${memory / 1e9} GB, ${inside.bandwidth / 1e9} GB/s inside a node and ${between.bandwidth / 1e9} GB/s between nodes, ${1e6 * inside.latency} and ${1e6 * between.latency} microseconds before a message; ${TOKENS.toLocaleString("en-US")} tokens of a rank in a step, bfloat16 on the wire, Adafactor, nothing overlapped.`;
  return [
    assumed,
    models(),
    "The fastest layout that fits, at capacity 1.25:",
    layouts(),
    "Switch-Base with more experts, one of each layer on every rank:",
    experts(),
  ].join("\n\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(costTables());
