/** Draws mutants, and finds out for each whether a test notices it. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { key } from "../../src/autograd/random.ts";
import type { FreshVerdict } from "../fresh/fresh.ts";
import { FreshMocha } from "../fresh/fresh.ts";
import type { Verdict } from "../trees.ts";
import { copyTree, mocha, patternOf, withText } from "../trees.ts";
import { ImportGraph, isTest, sourcesOf } from "./related.ts";
import type { Mutant, MutationKind } from "./sites.ts";
import { mutantsOf, mutated, parses } from "./sites.ts";

/** How many times as long as one test a test file in a process of its own may take. */
const PATIENCE = 10;

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
  /** The test file that noticed, or did not even load. */
  readonly by?: string | undefined;
  /** The full title of the test in it, where one is known. */
  readonly title?: string | undefined;
  readonly seconds: number;
}

/** Tries mutants in a copy of the tree, in a process that stays and loads the sources anew for each. */
export class Laboratory {
  readonly #graph = new ImportGraph();
  readonly #tests = sourcesOf("test").filter(isTest);
  readonly #tree = copyTree();
  readonly #fresh = new FreshMocha(this.#tree);
  /** Test files that fail where nothing is changed: they notice nothing. */
  readonly #unsound = new Set<string>();
  /** Test files that pass only in a process of their own. */
  readonly #apart = new Set<string>();
  /** Seconds that a test file took when it passed. */
  readonly #seconds = new Map<string, number>();

  readonly #told: (one: Tried) => void;
  readonly #all: boolean;
  readonly #limit: number;

  /** `all`: whether the other tests run too; `limit`: milliseconds until a test that does not end has noticed; `told` hears what each came to. */
  constructor({ all, limit }: { readonly all: boolean; readonly limit: number }, told: (one: Tried) => void = () => {}) {
    this.#told = told;
    this.#all = all;
    this.#limit = limit;
  }

  /** Tries each, and then those tests that noticed with the sources as they are: where they fail too, the mutants are tried again without them. */
  async try(mutants: readonly Mutant[]): Promise<Tried[]> {
    this.#fresh.renew();
    const tried: Tried[] = [];
    for (const mutant of mutants) {
      const one = await this.#tryOne(mutant);
      this.#told(one);
      tried.push(one);
    }
    const doubtful = await this.#controls(tried);
    const sure = tried.filter(({ by = "" }) => !doubtful.has(by));
    const again = tried.filter(({ by = "" }) => doubtful.has(by)).map(({ mutant }) => mutant);
    return again.length > 0 ? [...sure, ...(await this.try(again))] : sure;
  }

  /** Ends the process. */
  end(): void {
    this.#fresh.end();
  }

  async #tryOne(mutant: Mutant): Promise<Tried> {
    const before = readFileSync(join(this.#tree, mutant.file), "utf8"); // of the copy: this tree may change meanwhile
    if (!parses(mutant.file, mutated(before, mutant))) return { mutant, outcome: "invalid", why: "is no program", seconds: 0 };
    this.#fresh.changed();
    const began = performance.now();
    const found = await withText(this.#tree, mutant.file, (text) => mutated(text, mutant), () => this.#ask(mutant)); // prettier-ignore
    return { ...found, seconds: (performance.now() - began) / 1000 };
  }

  /** One test file after the other, until one notices. */
  async #ask(mutant: Mutant): Promise<Omit<Tried, "seconds">> {
    const files = this.#order(mutant.file);
    for (const by of files) {
      const began = performance.now();
      const { failing, passing, timedOut, title, output } = await this.#run(by);
      if (timedOut) return { mutant, outcome: "killed", why: "ran out of time", by };
      if (failing > 0) return { mutant, outcome: "killed", why: title ?? firstFailure(output), by, title };
      if (passing === 0 && /Error/.test(output)) return { mutant, outcome: "invalid", why: lineOfError(output), by };
      this.#seconds.set(by, (performance.now() - began) / 1000);
    }
    return { mutant, outcome: "survived", why: files.length > 0 ? "" : "no test is near; try --all" };
  }

  #run(test: string, pattern?: string): Promise<FreshVerdict> {
    return this.#apart.has(test) ? mocha(this.#tree, [test], this.#limit * PATIENCE) : this.#fresh.run(test, pattern, this.#limit);
  }

  /** The near test files: close and quick ones first. Then, if they are wanted, all others. */
  #order(source: string): string[] {
    const near = this.#graph.distances(source);
    const cost = (file: string): number => (1 + (near.get(file) ?? 0)) * (1 + (this.#seconds.get(file) ?? 2));
    const others = this.#all ? this.#tests.filter((file) => !near.has(file)) : [];
    const sorted = (files: readonly string[]): string[] =>
      files.filter((file) => !this.#unsound.has(file)).toSorted((a, b) => cost(a) - cost(b) || (a < b ? -1 : 1));
    return [...sorted([...near.keys()]), ...sorted(others)];
  }

  /** The test files that noticed something although nothing was changed. */
  async #controls(tried: readonly Tried[]): Promise<Set<string>> {
    this.#fresh.changed();
    const doubtful = new Set<string>();
    for (const file of new Set(tried.map(({ by }) => by))) {
      if (file === undefined || this.#apart.has(file)) continue;
      const titles = tried.filter(({ by }) => by === file).map(({ title }) => title);
      if (passes(await this.#run(file, patternOf(titles)))) continue;
      doubtful.add(file);
      if (passes(await mocha(this.#tree, [file], this.#limit * PATIENCE))) this.#apart.add(file);
      else {
        this.#unsound.add(file);
        console.log(`left out: ${file} fails where nothing is changed`);
      }
    }
    return doubtful;
  }
}

function passes({ failing, passing }: Verdict): boolean {
  return failing === 0 && passing > 0;
}

function firstFailure(output: string): string {
  const after = /^ {2}1\) ([\s\S]*?):\n/m.exec(output)?.[1];
  return after?.split(/\n/).map((line) => line.trim()).join(": ") ?? output.split("\n", 1)[0]; // prettier-ignore
}

function lineOfError(output: string): string {
  return output.split("\n").find((line) => line.includes("Error"))?.trim() ?? ""; // prettier-ignore
}
