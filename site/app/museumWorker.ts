/** The worker of the museum: runs fast-check on the gallery's bugs, and the laws of routing on a router that was written in the page. */
import fc from "fast-check";
import type { ExecutionTree } from "fast-check";
import * as core from "switchyard-moe";
import * as moe from "switchyard-moe/moe";
import * as nn from "switchyard-moe/nn";
import * as testing from "switchyard-moe/testing";
import { transform } from "sucrase";
import { chapters } from "../../test/moe/gallery/index.ts";
import type { MuseumReport, MuseumRequest, Tried } from "./museumProtocol.ts";

interface WorkerScope {
  postMessage(message: MuseumReport): void;
  onmessage: ((event: { readonly data: MuseumRequest }) => void) | null;
}
const page = globalThis as unknown as WorkerScope;
const RUNS = 200;

page.onmessage = ({ data }) => {
  try {
    if (data.kind === "refute") page.postMessage(refute(data));
    else judge(data.code, data.runs);
  } catch (error) {
    page.postMessage({ kind: "failed", lang: "en", message: error instanceof Error ? error.message : String(error) });
  }
};

function refute({ title, which, seed }: MuseumRequest & { kind: "refute" }): MuseumReport {
  const bug = chapters.flatMap(({ bugs }) => bugs).find((candidate) => candidate.title === title);
  if (!bug) throw new RangeError(`there is no bug "${title}" in the gallery`);
  const result = core.scope(() => fc.check(bug.property(which), { seed, numRuns: RUNS, verbose: 2 }));
  if (!result.failed) return { kind: "kept", title, cases: result.numRuns };
  const smallest = shown(result.counterexample);
  return {
    kind: "refuted",
    title,
    cases: result.numRuns,
    tried: path(result.executionSummary),
    smallest,
    arguments: plain(result.counterexample),
  };
}

/** Only what can be drawn and sent: numbers and lists of them. */
function plain(counterexample: unknown): unknown[] {
  return Array.isArray(counterexample) ? (JSON.parse(JSON.stringify(counterexample)) as unknown[]) : [];
}

function shown(value: unknown): string {
  return fc.stringify(value).replace(/^\[(.*)\]$/s, "$1");
}

/** The cases tried after the first failure, in order: what shrinking looked at. */
function path(tree: readonly ExecutionTree<unknown>[], depth = 0): Tried[] {
  return tree.flatMap(({ value, status, children }): Tried[] => {
    const fails = status === fc.ExecutionStatus.Failure;
    if (depth === 0 && !fails) return [];
    return [{ shown: shown(value), fails, depth }, ...path(children, depth + 1)];
  });
}

/** What the code of the page may import. */
const modules: Readonly<Record<string, object>> = {
  "switchyard-moe": core,
  "switchyard-moe/moe": moe,
  "switchyard-moe/nn": nn,
  "switchyard-moe/testing": testing,
};

function judge(code: string, runs: number): void {
  const make = defaultExport(code);
  const laws = testing.routerLaws("mine", make, { runs });
  let kept = 0;
  for (const law of laws) {
    let broken: string | null = null;
    try {
      law.check();
      kept++;
    } catch (error) {
      broken = error instanceof Error ? (error.message.split("\n").at(-1)?.trim() ?? error.message) : String(error);
    }
    page.postMessage({ kind: "law", statement: law.statement, broken, coverage: String(law.coverage) });
  }
  page.postMessage({ kind: "judged", kept, all: laws.length });
}

/** Types are stripped, imports become look-ups in `modules`, and the default export is the maker of routers. */
function defaultExport(code: string): Parameters<typeof testing.routerLaws>[1] {
  const { code: plain } = transform(code, { transforms: ["typescript", "imports"] });
  const exports: { default?: unknown } = {};
  const load = (name: string): object => {
    const found = Object.hasOwn(modules, name) ? modules[name] : undefined;
    if (!found) throw new RangeError(`"${name}" cannot be imported here; there are ${Object.keys(modules).join(", ")}`);
    return found;
  };
  new Function("require", "exports", `"use strict";${plain}`)(load, exports);
  if (typeof exports.default !== "function") throw new TypeError("end the code with: export default (setting) => new MyRouter(setting)");
  return exports.default as Parameters<typeof testing.routerLaws>[1];
}
