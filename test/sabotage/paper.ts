/** Breakages of the claims of the papers: statistics, cache, order of runs, and the page. */
import type { Sabotage } from "./sabotage.ts";

const statistics = "examples/paper/statistics.ts";
const provedBy = "test/paper/statistics.test.ts";
const cache = "test/paper/cache.test.ts";

export const paper: readonly Sabotage[] = [
  {
    what: "paper: intervals of few seeds are those of many",
    file: statistics,
    from: "const half = error * tQuantile((1 + LEVEL) / 2, seeds - 1);",
    to: "const half = error * 1.96;",
    test: provedBy,
    title: "covers the truth in 95 of 100 trials",
  },
  {
    what: "paper: a verdict forgets which sign was published",
    file: statistics,
    from: 'return sign === published.direction ? "same direction" : "opposite";',
    to: 'return sign === 1 ? "same direction" : "opposite";',
    test: provedBy,
    title: "is the other one for the other sign",
  },
  {
    what: "paper: comparisons are corrected as if each were alone",
    file: statistics,
    from: "Math.min(1, (ps.length - rank) * ps[i])",
    to: "ps[i]",
    test: provedBy,
    title: "find something where nothing is",
  },
  {
    what: "paper: results of two versions are mixed",
    file: "examples/paper/cache.ts",
    from: "found.version === program.version && ",
    to: "",
    test: cache,
    title: "of another version",
  },
  {
    what: "paper: a run does not wait for what it builds on",
    file: "examples/paper/runner.ts",
    from: "dependencies(settings).every((from) => done.has(hashOf(from)))",
    to: "true",
    test: cache,
    title: "do first what others build on",
  },
  {
    what: "paper: sides of a comparison are not paired",
    file: "examples/paper/claim.ts",
    from: "value(seed(first), name) - value(seed(second), name);",
    to: "value(seed(first), name);",
    test: "test/paper/claims.test.ts",
    title: "does not see what a seed does to both sides",
  },
];
