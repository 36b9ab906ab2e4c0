/**
 * The laws of routing for any router. What a law is stands in laws/law.ts; here a router is held to those that its traits select, and an error
 * says which one it breaks, in the smallest case that shows it.
 */
import fc from "fast-check";
import { callable, check, checkOptions, having, optional, text as aText, whole } from "../autograd/arguments.ts";
import type { Kinds } from "../autograd/arguments.ts";
import { cpuBackend, scope, withBackend } from "../index.ts";
import type { RouterTraits, Routing } from "../moe/index.ts";
import type { RouterCase, RouterSetting, SeatsByHand, Subject } from "./cases.ts";
import { booksOf, settingOf } from "./cases.ts";
import { Breach, text } from "./check.ts";
import type { Kind } from "./coverage.ts";
import { Coverage, kinds } from "./coverage.ts";
import { claims, laws } from "./laws/index.ts";
import type { Claim, Law } from "./laws/law.ts";
import { RUNS } from "./laws/law.ts";

/** How many cases the laws try, from which seed, and which laws a router may break. */
export interface LawOptions {
  /** Of the cases: the same seed, the same cases. Default 7. */
  readonly seed?: number;
  /** Cases of each law. Default: the law's own number, about 14. */
  readonly runs?: number;
  /**
   * Laws that the router is known to break, each with the reason: by number ("P17": every law that proves P17) or by how the law's
   * statement begins ("P39: padding"). A router that keeps the law after all fails, and a name that fits no law is an error.
   */
  readonly except?: Readonly<Record<string, string>> | undefined;
  /**
   * The slots that all choices should have in evaluation, by plain loops over the paper's formula; it selects the laws that compare seats,
   * outputs and derivatives to second order with it. Without it nothing says *which* expert a token should get, nor, of a router that is
   * not causal, who should be dropped.
   */
  readonly seats?: SeatsByHand | undefined;
}

/** One law, about one router: what a test runner needs. */
export interface RouterLaw {
  /** "mine: P31: every real token makes its choices, padding none" */
  readonly name: string;
  /** The same without the router. */
  readonly statement: string;
  /** Why the router may break it; then `check` throws where it does not. */
  readonly exception?: string | undefined;
  /** What the cases of the last `check` were like; `String` of it is one line. */
  readonly coverage: Coverage;
  /** Least shares of kinds of cases over all routers of a table; one router is asked for a third of them. */
  readonly meets: Partial<Record<Kind, number>>;
  /**
   * Throws a `BrokenLaw` where the router breaks the law, and an Error where cases met too little for the law to say anything. It
   * computes on the "cpu" backend, whichever is in use.
   */
  check(): void;
}

/** A router broke a law: the message says in which case, what it did and what the law wants. */
export class BrokenLaw extends Error {
  override readonly name = "BrokenLaw";
  /** The smallest case that fast-check found. */
  readonly counterexample: RouterCase;

  constructor(message: string, counterexample: RouterCase, cause: unknown) {
    super(message, { cause });
    this.counterexample = counterexample;
  }
}

const lawKinds: Kinds<LawOptions> = {
  seed: optional(whole(-(2 ** 31), 2 ** 31)),
  runs: optional(whole(1, 1_000_000)),
  except: optional(having("an object from laws to reasons")),
  seats: optional(callable),
};

/**
 * The laws that the traits of a router select, as tests for any test runner. `make` builds the router of a case from a `RouterSetting`, and
 * must build equal routers of equal settings. Parameters whose last axis has E elements are taken for weights of experts: laws rename,
 * shift and scale them.
 *
 * - every router: P11, P25, P30, P39, P54, P60, P64, P68, P75, P87; all but "mixtures": P90
 * - `choosing` "tokens": P21, P31, and with `capacity` P16, P17; all but "mixtures": P2, P9, P14, P15, P19, P28, P33, P40, P55, P56, P61
 * - `capacity`: P20, P38
 * - `time`: "causal" P74, "dropless" P74 while nothing is dropped, "acausal" P89; all but "causal" must show a later token that changes an
 *   earlier output
 * - `gatesSumToOne`: in P9 and P19; where it is false and tokens choose, some gates must not add up to 1
 * - `learns`: P53; if not "mixtures", P10, with `scores` "softmax" P12, and where tokens choose P13
 * - `options.seats` given: P18, P22, P23, P24, P25, P27, P29
 *
 * What each says: docs/properties.md. An error where `except` names no law of this router.
 */
export function routerLaws(
  name: string,
  make: (setting: RouterSetting) => ReturnType<Subject["make"]>,
  options: LawOptions = {},
): RouterLaw[] {
  check("routerLaws", "name", name, aText);
  check("routerLaws", "make", make, { ...callable, wanted: "a function from a setting to a router" });
  checkOptions<LawOptions>("routerLaws", options, lawKinds);
  const { seats, except = {} } = options;
  const subject: Subject = { name, make, seats };
  const traits = withBackend(cpuBackend(), () => {
    const router = make(settingOf(sample));
    check("routerLaws", "make(...)", router, having("a router", "traits", "route"));
    return router.traits;
  });
  const applies = ({ of }: Law | Claim): boolean => !of || of(traits, subject);
  const held = [
    ...laws.filter(applies).map((law) => lawOf({ subject, law, traits, options })),
    ...claims.filter(applies).map((claim) => claimOf(subject, claim, options)),
  ];
  for (const given of Object.keys(except))
    if (!held.some(({ statement }) => names(given, statement)))
      throw new RangeError(`routerLaws: ${name}: except "${given}" names no law that this router is held to`);
  return held;
}

/** The setting whose traits decide which laws a router is held to; a law asks again in each of its cases. */
const sample: RouterCase = {
  seed: 1,
  batch: 1,
  length: 2,
  experts: 4,
  choices: 2,
  factor: 1,
  group: "batch",
  ids: [0, 1],
  repeats: false,
  twins: false,
  padding: [0],
  training: false,
};

/** Whether "P17" or the beginning of a statement names a law. */
function names(given: string, statement: string): boolean {
  const numbers = statement.slice(0, statement.indexOf(":")).split(" ");
  return given.includes(":") || given.includes(" ") ? statement.startsWith(given) : numbers.includes(given);
}

interface Trial {
  readonly subject: Subject;
  readonly law: Law;
  readonly traits: RouterTraits;
  readonly options: LawOptions;
}

function lawOf(trial: Trial): RouterLaw {
  const { subject, law, options } = trial;
  const coverage = new Coverage();
  const exception = Object.entries(options.except ?? {}).find(([given]) => names(given, law.name))?.[1];
  return {
    name: `${subject.name}: ${law.name}${exception === undefined ? "" : `: except that ${exception}`}`,
    statement: law.name,
    exception,
    coverage,
    meets: law.meets ?? {},
    check() {
      coverage.clear();
      if (exception === undefined) hold(trial, coverage);
      else requireBroken(trial);
    },
  };
}

/** Rounds of fresh cases until enough of each kind were met. */
function hold(trial: Trial, coverage: Coverage): void {
  const { subject, law, options } = trial;
  const { seed = 7, runs = law.runs ?? RUNS } = options;
  const rounds = Math.max(8, Math.ceil(120 / runs));
  for (let round = 0; round < rounds; round++) {
    const checked = fc.check(property(trial, coverage), { seed: seed + 1000 * round, numRuns: runs });
    const [c] = checked.counterexample ?? [];
    if (c) throw broken(trial, c, checked.errorInstance);
    if (missing(trial, coverage).length === 0) return;
  }
  throw new Error(
    `${subject.name}: the law "${law.name}" proves nothing\n  its cases hardly met ${missing(trial, coverage).join(", ")}. ${coverage}. ` +
      `More runs may meet them; else the traits promise what the router does not do`,
  );
}

/** Kinds of cases of which a single router met less than a third of what all routers together must meet. */
function missing({ law, traits }: Trial, coverage: Coverage): Kind[] {
  const { meets = {} } = law;
  return kinds.filter((kind) => canMeet(kind, traits) && coverage.share(kind) < (meets[kind] ?? 0) / 3);
}

/** Whether a router can meet a kind of case: one without capacity drops nothing, one with as many choices as experts leaves no expert empty. */
function canMeet(kind: Kind, { choosing, capacity, choices }: RouterTraits): boolean {
  if (kind === "drops") return choosing === "tokens" && capacity;
  if (kind === "emptyExperts") return choosing === "tokens" && choices < sample.experts;
  return true;
}

function requireBroken(trial: Trial): void {
  const { subject, law, options } = trial;
  const { failed } = fc.check(property(trial, new Coverage()), { seed: options.seed ?? 7, numRuns: 300 });
  if (!failed) throw new Error(`${subject.name} keeps the law "${law.name}" after all; strike the exception`);
}

function property(trial: Trial, coverage: Coverage): fc.IProperty<[RouterCase]> {
  return fc.property(trial.law.cases, (c) => tried(trial, c, (routing) => coverage.note(c, routing)));
}

/** The law in one case. Traits may depend on the case: with one choice, top-K is causal. */
function tried({ subject, law }: Trial, c: RouterCase, note: (routing: Routing) => void): void {
  const { of = () => true } = law;
  withBackend(cpuBackend(), () =>
    scope(() => {
      if (of(subject.make(settingOf(c)).traits, subject)) law.check(subject, c, note);
    }),
  );
}

/** Tries the smallest case once more, to tell what the router did in it. */
function broken(trial: Trial, c: RouterCase, cause: unknown): BrokenLaw {
  const did: string[] = [];
  try {
    tried(trial, c, (routing) => did.push(describeRouting(routing)));
  } catch {
    // It is the error that we have.
  }
  const { subject, law } = trial;
  const why = cause instanceof Breach ? `law: ${cause.message}` : `it threw ${String(cause)}`;
  const lines = [`${subject.name} breaks the law "${law.name}"`, `case: ${text(c)}`, ...did.slice(0, 1), why];
  return new BrokenLaw(lines.join("\n  "), c, cause);
}

/** The books on one line. */
function describeRouting(routing: Routing): string {
  const { expert, slot, gate } = booksOf(routing);
  const short = gate.map((row) => row.map((g) => Number(g.toPrecision(4))));
  return `router: by token, experts ${text(expert)}, slots ${text(slot)}, gates ${text(short)}`;
}

function claimOf(subject: Subject, claim: Claim, { seed = 7, except = {} }: LawOptions): RouterLaw {
  const exception = Object.entries(except).find(([given]) => names(given, claim.name))?.[1];
  const shown = (c: RouterCase): boolean => withBackend(cpuBackend(), () => scope(() => claim.shows(subject, c)));
  return {
    name: `${subject.name}: ${claim.name}${exception === undefined ? "" : `: except that ${exception}`}`,
    statement: claim.name,
    exception,
    coverage: new Coverage(),
    meets: {},
    check() {
      const found = fc.sample(claim.cases, { seed, numRuns: 200 }).some(shown);
      if (found !== (exception === undefined))
        throw new Error(
          found
            ? `${subject.name} keeps the law "${claim.name}" after all; strike the exception`
            : `${subject.name} breaks the law "${claim.name}"\n  law: none of 200 cases shows it. ${claim.otherwise}`,
        );
    },
  };
}
