/** Draws mutants, and finds out for each whether a test notices it. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { key } from "../../src/autograd/random.ts";
import type { Verdict } from "../trees.ts";
import { mocha, withText } from "../trees.ts";
import { ImportGraph, isTest, sourcesOf } from "./related.ts";
import type { Mutant, MutationKind } from "./sites.ts";
import { mutantsOf, mutated, parses } from "./sites.ts";

export interface Draw {
  /** A folder, or one file. */
  readonly folder: string;
  readonly count: number;
  readonly seed: number;
  readonly kinds: readonly MutationKind[];
}

/** `count` different ones of all mutants there are, drawn by the seed. */
export function drawMutants({ folder, count, seed, kinds }: Draw): Mutant[] {
  if (!existsSync(folder)) throw new RangeError(`mutants: --folder ${folder}: there is no such folder or file`);
  const files = folder.endsWith(".ts") ? [folder] : sourcesOf(folder);
  const all = files.flatMap((file) => mutantsOf(file, readFileSync(file, "utf8"), kinds));
  const random = key(seed).at("mutants");
  const ranks = new Map(all.map((mutant, i) => [mutant, random.at(i).number()]));
  return all.toSorted((a, b) => (ranks.get(a) ?? 0) - (ranks.get(b) ?? 0)).slice(0, count);
}

export type Outcome = "killed" | "survived" | "invalid";

export interface Tried {
  readonly mutant: Mutant;
  readonly outcome: Outcome;
  /** The title of the test that failed, or why there is none. */
  readonly why: string;
}

function firstFailure(output: string): string {
  const after = /^ {2}1\) ([\s\S]*?):\n/m.exec(output)?.[1];
  return after?.split(/\n/).map((line) => line.trim()).join(": ") ?? "a test failed"; // prettier-ignore
}

function judge({ failing, passing, timedOut, output }: Verdict): Pick<Tried, "outcome" | "why"> {
  if (timedOut) return { outcome: "killed", why: "ran out of time" };
  if (failing > 0) return { outcome: "killed", why: firstFailure(output) };
  if (passing > 0) return { outcome: "survived", why: "" };
  return { outcome: "invalid", why: output.trim().split("\n").find((line) => /Error/.test(line)) ?? "no test ran" }; // prettier-ignore
}

/** Tries mutants in copies of the tree. */
export class Laboratory {
  readonly #graph = new ImportGraph();
  readonly #tests = sourcesOf("test").filter(isTest);
  readonly #controls = new Map<string, Promise<readonly string[]>>();

  readonly #all: boolean;
  readonly #limit: number;

  /** `all`: whether the other tests run too; `limit`: milliseconds for one run. */
  constructor({ all, limit }: { readonly all: boolean; readonly limit: number }) {
    this.#all = all;
    this.#limit = limit;
  }

  async try(tree: string, mutant: Mutant): Promise<Tried> {
    const before = readFileSync(join(tree, mutant.file), "utf8"); // of the copy: this tree may change meanwhile
    if (!parses(mutant.file, mutated(before, mutant))) return { mutant, outcome: "invalid", why: "is no program" };
    const related = await this.#sound(tree, this.#graph.related(mutant.file), []);
    const others = this.#all ? this.#tests.filter((file) => !related.includes(file)) : [];
    const near = related.length > 0 ? await this.#run(tree, mutant, related) : undefined;
    if ((near && near.outcome !== "survived") || others.length === 0)
      return near ? { mutant, ...near } : { mutant, outcome: "survived", why: "no test is near; try --all" };
    const parallel = ["--parallel", "--jobs", "2"];
    return { mutant, ...(await this.#run(tree, mutant, [...parallel, ...(await this.#sound(tree, others, parallel))])) };
  }

  async #run(tree: string, mutant: Mutant, args: readonly string[]): Promise<Pick<Tried, "outcome" | "why">> {
    return judge(await withText(tree, mutant.file, (before) => mutated(before, mutant), () => mocha(tree, args, this.#limit))); // prettier-ignore
  }

  /** Those of the test files that pass where nothing is changed: only they can notice a change. */
  #sound(tree: string, files: readonly string[], how: readonly string[]): Promise<readonly string[]> {
    const name = files.join(" ");
    const known = this.#controls.get(name) ?? this.#passing(tree, files, how);
    this.#controls.set(name, known);
    return known;
  }

  async #passing(tree: string, files: readonly string[], how: readonly string[]): Promise<readonly string[]> {
    if (files.length === 0) return files;
    const { failing, passing } = await mocha(tree, [...how, ...files], this.#limit);
    if (failing === 0 && passing > 0) return files;
    const sound: string[] = [];
    for (const file of files) {
      const alone = await mocha(tree, [file], this.#limit);
      if (alone.failing === 0 && alone.passing > 0) sound.push(file);
      else console.log(`left out: ${file} fails where nothing is changed`);
    }
    return sound;
  }
}
