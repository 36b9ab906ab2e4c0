/**
 * The laws of layouts: over how many ranks a model trains, and where its experts are, must not change the training. Cases run on threads of
 * this process, or under mpirun on its processes.
 */
import fc from "fast-check";
import {
  callable,
  check,
  checkOptions,
  either,
  flag,
  having,
  listOf,
  nothing,
  optional,
  positive,
  text,
  whole,
} from "../../autograd/arguments.ts";
import { aCommunicator } from "../../distributed/communicator.ts";
import { alone } from "../../distributed/index.ts";
import type { Communicator } from "../../distributed/index.ts";
import { cpuBackend, withBackend } from "../../index.ts";
import { Breach, text as shown } from "../check.ts";
import { feedForwardExperts, layoutCases } from "./cases.ts";
import type { LayoutCase, MakeExperts } from "./cases.ts";
import { agree, compareWithOne } from "./compare.ts";
import { LayoutCoverage } from "./coverage.ts";
import { runOrder, usualOrder } from "./program.ts";
import type { Exported, LayoutOrder, LayoutReport } from "./program.ts";
import { threadRanks, worldRanks } from "./ranks.ts";
import type { LayoutRanks } from "./ranks.ts";
import { oneProcess } from "./run.ts";

/** How many cases the laws try, from which seed, and on how many ranks. */
export interface LayoutLawOptions {
  /** Of the cases. Default 7. */
  readonly seed?: number;
  /** Cases of each law. Default: the law's own number. */
  readonly runs?: number;
  /** Cases that are tried before drawn ones, such as one that once broke a law. */
  readonly examples?: readonly LayoutCase[];
  /** Numbers of ranks to draw from. Default [1, 2, 3, 4, 6, 8]. */
  readonly ranks?: readonly number[];
  /** A module's export, a class below LayoutRun: what is held to the laws instead of the package's own training. */
  readonly variant?: Exported | null;
  /** Whether a case that breaks a law is made smaller, which takes as long as a hundred cases. Default true. */
  readonly shrink?: boolean;
  /** Seconds that a thread waits for another before the case counts as broken. Default 60, as long as `threads` waits. */
  readonly limit?: number;
  /** The ranks of mpirun instead of threads; every rank makes and checks the laws. */
  readonly world?: Communicator;
}

/** One law about one kind of experts. */
export interface LayoutLaw {
  readonly name: string;
  /** What the cases were like that this law has tried; the first law notes it. */
  readonly coverage: LayoutCoverage;
  /** Rejects with a BrokenLayout where the law does not hold. */
  check(): Promise<void>;
}

/** A layout changed the training: in which case, and what differs. What laws of layouts throw. */
export class BrokenLayout extends Error {
  override readonly name = "BrokenLayout";
  /** The smallest case that fast-check found. */
  readonly counterexample: LayoutCase;

  constructor(message: string, counterexample: LayoutCase, cause: unknown) {
    check("BrokenLayout", "message", message, text);
    super(message, { cause });
    this.counterexample = counterexample;
  }
}

interface Subject {
  readonly make: Exported | null;
  readonly local: MakeExperts;
  readonly options: LayoutLawOptions;
  readonly ranks: LayoutRanks;
  readonly heard: Heard;
  readonly coverage: LayoutCoverage;
}

/** Hears of each case that was tried, those of shrinking too, and of what broke the law in it; undefined: nothing. */
type Heard = (c: LayoutCase, fault: unknown) => void;

interface Law {
  readonly name: string;
  readonly runs: number;
  /** Of the cases, where it needs fewer ranks. */
  readonly most?: number;
  holds(subject: Subject, c: LayoutCase): Promise<void>;
}

const BITS = 0;
const EXACT = 1e-12;

const laws: readonly Law[] = [
  {
    name: "logits, losses, gradients, norm, parameters and optimiser state are those of one process",
    runs: 16,
    async holds(subject, c) {
      const one = withBackend(cpuBackend(), () => oneProcess(c, "float64", subject.local));
      subject.coverage.note(c, one.chosen);
      compareWithOne(await onRanks(subject, { case: c }), one, EXACT);
    },
  },
  {
    name: "with ordered sums they are the same bits in float32",
    runs: 4,
    holds: (subject, c) => sameBits(subject, c, "cpu"),
  },
  {
    name: "on the wasm backend too",
    runs: 3,
    holds: (subject, c) => sameBits(subject, c, "wasm"),
  },
  {
    name: "replicas hold the same bits after fifty steps",
    runs: 1,
    most: 4,
    holds: async (subject, c) => agree(await onRanks(subject, { case: c, precision: "float32", steps: 50 })),
  },
  {
    name: "it does not matter which rank is late",
    runs: 2,
    most: 4,
    async holds(subject, c) {
      const delays = Array.from({ length: c.ranks }, (_, r) => (r * 7 + c.seed) % 4);
      const [late, prompt] = [await onRanks(subject, { case: c, delays }), await onRanks(subject, { case: c })];
      compareWithOne(
        late,
        { ...prompt[0], outputs: Object.assign({}, ...prompt.map(({ outputs }) => outputs)) as LayoutReport["outputs"] },
        BITS,
      );
    },
  },
  {
    name: "which collectives are called does not depend on the data",
    runs: 3,
    async holds(subject, c) {
      const other = { ...c, seed: c.seed + 1, shards: c.shards.map((n) => (n + 1) % 3), padding: c.padding.map(() => 0) };
      const reports = [...(await onRanks(subject, { case: c })), ...(await onRanks(subject, { case: other }))];
      for (const { calls } of reports)
        if (shown(calls) !== shown(reports[0].calls)) throw new Breach(`calls ${shown(calls)} and ${shown(reports[0].calls)}`);
    },
  },
  {
    name: "a checkpoint of one layout goes on at another",
    runs: 3,
    most: 6,
    holds: resumed,
  },
];

/** The bits of n ranks against those of one that takes all shards. A balance over the global batch needs all shards at once. */
async function sameBits(subject: Subject, c: LayoutCase, backend: "cpu" | "wasm"): Promise<void> {
  const order = { ...usualOrder, case: { ...c, balance: "rank" as const }, precision: "float32", backend, make: subject.make } as const;
  const one = await runOrder(alone({ ordered: true }), order);
  compareWithOne(await onRanks(subject, order, true), one, BITS);
}

/** Two steps at one layout, one more at another, or in one process. */
async function resumed(subject: Subject, c: LayoutCase): Promise<void> {
  const plain = { ...c, balance: "rank" as const };
  const { ranks } = subject;
  const others = [plain, { ...plain, ranks: c.expertsOver, sharedState: !c.sharedState }, { ...plain, ranks: 1 }];
  await ranks.withFolder(async (folder) => {
    const whole = await onRanks(subject, { case: plain, steps: 3 });
    const before = await onRanks(subject, { case: plain, steps: 2, save: folder });
    for (const other of ranks.fixed ? [plain, { ...plain, sharedState: !c.sharedState }] : others) {
      compareStates((await onRanks(subject, { case: other, steps: 0, load: folder }))[0], before[0], BITS);
      const further = await onRanks(subject, { case: other, steps: 1, load: folder });
      compareStates(further[0], whole[0], EXACT);
      compareLast(further[0], whole[0]);
    }
  });
}

function compareStates(actual: LayoutReport, wanted: LayoutReport, tolerance: number): void {
  const only = (report: LayoutReport): LayoutReport => ({ ...report, outputs: {}, losses: [], norms: [], gradients: {} });
  compareWithOne([only(actual)], only(wanted), tolerance);
}

/** Loss and norm of the step behind the checkpoint. */
function compareLast(further: LayoutReport, whole: LayoutReport): void {
  const only = (report: LayoutReport): LayoutReport => ({ ...report, outputs: {}, gradients: {}, parameters: {}, state: {}, losses: report.losses.slice(-1), norms: report.norms.slice(-1) }); // prettier-ignore
  compareWithOne([only(further)], only(whole), EXACT);
}

/** What each rank of the case reports. */
function onRanks(
  { ranks, make, options: { variant = null, limit = 60 } }: Subject,
  order: Partial<LayoutOrder> & { readonly case: LayoutCase },
  ordered = false,
): Promise<LayoutReport[]> {
  return ranks.carryOut({ ...usualOrder, make, variant, ...order }, { ordered, limit });
}

const RANKS = 8;
const usualRanks: readonly number[] = [1, 2, 3, 4, 6, RANKS];

/**
 * The laws of layouts for experts of your own: `make` names a module and its export, a `MakeExperts`, because ranks are threads that load it
 * themselves. Without it the laws test `FeedForwardExperts`. Any test runner can check them: `for (const law of layoutLaws("mine", make))
 * it(law.name, () => law.check())`. Throws for an option that it does not know.
 */
export function layoutLaws(
  name: string,
  make: (Exported & { readonly local: MakeExperts }) | null = null,
  options: LayoutLawOptions = {},
): LayoutLaw[] {
  const anExport = having("an object with module and export", "module", "export");
  const ownExperts = having("an object with module, export and local, or null", "module", "export", "local");
  check("layoutLaws", "name", name, text);
  check("layoutLaws", "make", make, either(nothing, ownExperts));
  check("layoutLaws", "make.local", make?.local, optional(callable));
  checkOptions<LayoutLawOptions>("layoutLaws", options, {
    seed: optional(whole()),
    runs: optional(whole(1)),
    examples: optional({ wanted: "an array of cases, such as the counterexample of a BrokenLayout", accepts: Array.isArray }),
    ranks: optional(listOf(whole(1, RANKS))),
    variant: optional(either(nothing, anExport)),
    shrink: optional(flag),
    limit: optional(positive),
    world: optional(aCommunicator),
  });
  const { world, ranks = usualRanks } = options;
  return layoutLawsOn(world ? worldRanks(world) : threadRanks(Math.max(...ranks)), name, make, options);
}

/** The same on ranks that are given, wherever they are; `heard` hears of each case that was tried. Checks nothing. */
export function layoutLawsOn(
  ranks: LayoutRanks,
  name: string,
  make: (Exported & { readonly local: MakeExperts }) | null,
  options: LayoutLawOptions,
  heard: Heard = () => {},
): LayoutLaw[] {
  const subject = {
    make: make && { module: make.module, export: make.export },
    local: make?.local ?? feedForwardExperts,
    options,
    ranks,
    heard,
  };
  return laws.map((law) => {
    const coverage = new LayoutCoverage();
    return { name: `${name}: ${law.name}`, coverage, check: () => hold({ ...subject, coverage }, law) };
  });
}

async function hold(subject: Subject, law: Law): Promise<void> {
  const { seed = 7, runs = law.runs, ranks = usualRanks, shrink = true, examples = [] } = subject.options;
  const cases = layoutCases(ranks.filter((n) => n <= (law.most ?? RANKS)));
  const found = await fc.check(fc.asyncProperty(cases, (c) => tried(subject, law, c)), { seed, numRuns: runs, endOnFailure: !shrink, examples: examples.map((c) => [c]) }); // prettier-ignore
  const [c] = found.counterexample ?? [];
  if (!c) return;
  const why = found.errorInstance instanceof Error ? found.errorInstance.message : String(found.errorInstance);
  throw new BrokenLayout(`a layout breaks the law "${law.name}"\n  case: ${shown(c)}\n  ${why}`, c, found.errorInstance);
}

async function tried(subject: Subject, law: Law, c: LayoutCase): Promise<void> {
  let fault: unknown;
  try {
    await law.holds(subject, c);
  } catch (error) {
    fault = error;
    throw error;
  } finally {
    subject.heard(c, fault);
  }
}
