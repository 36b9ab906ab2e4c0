/**
 * A program of the build: holds all routers of the project's table to the laws of some properties, given by number, and prints as JSON what each
 * law met, by its statement without numbers.
 */
import { Coverage } from "../../src/testing/coverage.ts";
import { routerLaws } from "../../src/testing/index.ts";
import type { RouterLaw } from "../../src/testing/index.ts";
import { routers } from "../../test/moe/routers.ts";
import type { Met } from "./laws.ts";

/** The laws that prove one of the properties, of every router that must keep them. */
function lawsOf(numbers: readonly string[]): RouterLaw[] {
  return routers.flatMap(({ name, make, seats, exceptions }, i) =>
    routerLaws(name, make, { seats, except: exceptions, seed: 7 + i }).filter(
      ({ statement, exception }) => exception === undefined && statement.slice(0, statement.indexOf(":")).split(" ").some((number) => numbers.includes(number)),
    ),
  ); // prettier-ignore
}

/** Without the kinds of cases that were never met. */
function metBy(laws: readonly RouterLaw[]): Met {
  const all = new Coverage();
  for (const law of laws) {
    law.check();
    all.add(law.coverage);
  }
  const [cases = "", kinds = ""] = String(all).split(": ");
  return { routers: laws.length, cases, kinds: kinds.split(", ").filter((kind) => !kind.endsWith(" 0 %")) };
}

const held = new Map<string, RouterLaw[]>();
for (const law of lawsOf(process.argv.slice(2))) {
  const statement = law.statement.replace(/^P[\dP ]+: /, "");
  held.set(statement, [...(held.get(statement) ?? []), law]);
}
console.log(JSON.stringify(Object.fromEntries(Array.from(held, ([statement, laws]) => [statement, metBy(laws)]))));
