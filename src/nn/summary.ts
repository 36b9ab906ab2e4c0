/** The parts of a model, their parameters, and the cost of one token, as a table. */
import { check, checkOptions, instance, optional, positive } from "../autograd/arguments.ts";
import { formatShape } from "../autograd/contract.ts";
import type { Cost } from "./module.ts";
import { Module, ownTensors, timesCost } from "./module.ts";

/** One module of a `summary`. */
export interface SummaryRow extends Cost {
  /** "" for the whole model. */
  readonly path: string;
  /** The name of its class. */
  readonly kind: string;
  /** Names and shapes of its own parameters: "weight [64, 8], bias [8]". */
  readonly shapes: string;
  /** Parameters in it and below. */
  readonly parameters: number;
}

/** The parts of a model; `String(summary)` is a table. */
export interface Summary {
  readonly rows: readonly SummaryRow[];
  /** The number of trained numbers. */
  readonly parameters: number;
  /** Parameters that take part in the computation of one token. */
  readonly active: number;
  /** Floating-point operations of the forward pass of one token. */
  readonly flops: number;
  toString(): string;
}

/**
 * Lists the parts of a model with their parameters and the cost of one token, one row for each module. `length` is how many tokens a token
 * attends to, 1 by default; FLOPs count matrix products, a multiply-add as two. Throws where `model` is no module.
 */
export function summary(model: Module, options: { readonly length?: number } = {}): Summary {
  check("summary", "model", model, instance(Module, "a module"));
  checkOptions("summary", options, { length: optional(positive) });
  const { length = 1 } = options;
  const runs = runsOf(model, length);
  const rows = model.namedModules().map(([path, module]): SummaryRow => {
    const own = ownTensors(module).filter(({ value }) => value.requiresGrad);
    const parameters = module.parameters().reduce((sum, parameter) => sum + parameter.size, 0);
    const shapes = own.map(({ name, value }) => `${name} ${formatShape(value.shape)}`).join(", ");
    return { path, kind: module.constructor.name, shapes, parameters, ...timesCost(runs.get(path) ?? 1, module.cost(length)) };
  });
  const [{ parameters, active, flops }] = rows;
  return { rows, parameters, active, flops, toString: () => table(rows, length) };
}

/** How often one token runs through each module, by path: the number for the module around it, times `runs` of the part. */
function runsOf(module: Module, length: number, path = "", times = 1): Map<string, number> {
  const below = module
    .children()
    .flatMap(([name, part]) => [...runsOf(part, length, path ? `${path}.${name}` : name, times * module.runs(part, length))]);
  return new Map([[path, times], ...below]);
}

function table(rows: readonly SummaryRow[], length: number): string {
  const head = ["module", "kind", "own parameters", "parameters", "active per token", "FLOPs per token"];
  const body = rows.map(({ path, kind, shapes, parameters, active, flops }) => [
    `${"  ".repeat(path ? path.replace(/\.\d+/g, "").split(".").length : 0)}${path.match(/[^.]+(\.\d+)?$/)?.[0] ?? "model"}`,
    kind,
    shapes,
    ...[parameters, active, flops].map(counted),
  ]);
  const widths = head.map((title, column) => Math.max(title.length, ...body.map((row) => row[column].length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, i) => (i < 3 ? cell.padEnd(widths[i]) : cell.padStart(widths[i])))
      .join("  ")
      .trimEnd();
  return [line(head), line(widths.map((n) => "-".repeat(n))), ...body.map(line), `a token attends to ${length} tokens`].join("\n");
}

function counted(n: number): string {
  return Math.round(n).toLocaleString("en-US");
}
