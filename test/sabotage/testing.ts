/** Breakages of src/testing, each with the one test file that must catch it. */
import type { Sabotage } from "./sabotage.ts";

const checks = "test/testing/check.test.ts";
const judge = "test/testing/routerLaws.test.ts";
const [file, laws] = ["src/testing/check.ts", "src/testing/routerLaws.ts"];

export const testing: readonly Sabotage[] = [
  { what: "NaN is near everything", file, from: "holds(Math.abs(actual - wanted) <= tolerance", to: "holds(actual !== actual || Math.abs(actual - wanted) <= tolerance", test: checks }, // prettier-ignore
  { what: "a list equals its beginning", file, from: "x.length === y.size && ", to: "", test: checks },
  {
    what: "laws need not meet anything",
    file: laws,
    from: "if (missing(trial, coverage).length === 0) return;",
    to: "return;",
    test: judge,
  },
  { what: "exceptions are believed", file: laws, from: "if (!failed) throw new Error(", to: "if (!failed) String(", test: judge },
  { what: "claims are believed", file: laws, from: "if (found !== (exception === undefined))", to: "if (found && exception)", test: judge },
  { what: "P3 excepts P31", file: laws, from: "numbers.includes(given)", to: "statement.startsWith(given)", test: judge },
  {
    what: "what the router did is not told",
    file: laws,
    from: "...did.slice(0, 1), why]",
    to: "why]",
    test: judge,
  },
  {
    what: "the router's own errors are put in the law's mouth",
    file: laws,
    from: "cause instanceof Breach ?",
    to: "cause instanceof Error ?",
    test: judge,
  },
  {
    what: "a law of layouts tells only of the cases that keep it",
    file: "src/testing/layouts/layoutLaws.ts",
    from: "subject.heard(c, fault);",
    to: "if (fault === undefined) subject.heard(c, fault);",
    test: "test/testing/layoutRanks.test.ts",
  },
];
