/**
 * What each argument and option takes and refuses, in words: a line for each, from calls with wrong values. The lines are kept beside the tests, so a
 * check that is gone, or that became wider or narrower, is a line that changed. After a change on purpose:
 *
 *   CONTRACTS=write npx mocha test/repository/careless.test.ts test/moe/careless.test.ts
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { expect } from "chai";

const REWRITE = process.env["CONTRACTS"] === "write";

/** The contracts of one entry, by argument. */
export class Contracts {
  readonly #lines = new Map<string, { readonly refused: Set<string>; readonly taken: Set<string> }>();

  /** What a call with `value` in the place of an argument came to: the message of its error, or undefined. */
  note(argument: string, value: string, message: string | undefined): void {
    const line = this.#lines.get(argument) ?? { refused: new Set(), taken: new Set() };
    if (message === undefined) line.taken.add(value);
    else line.refused.add(wantedOf(message));
    this.#lines.set(argument, line);
  }

  /** Fails where the file says otherwise. */
  compare(file: string): void {
    const lines = [...this.#lines].map(([argument, { refused, taken }]) => {
      const takes = taken.size > 0 ? [`takes ${[...taken].join(", ")}`] : [];
      return [argument, ...refused, ...takes].join(" | ");
    });
    if (REWRITE) {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, `${lines.join("\n")}\n`);
    }
    const kept = existsSync(file) ? readFileSync(file, "utf8").split("\n").slice(0, -1) : [];
    const differences = [
      ...kept.filter((line) => !lines.includes(line)).map((line) => `- ${line}`),
      ...lines.filter((line) => !kept.includes(line)).map((line) => `+ ${line}`),
    ];
    expect(differences.length, `${file} says otherwise (head of contracts.ts):\n${differences.slice(0, 40).join("\n")}\n`).to.equal(0);
    expect(lines.length).to.be.above(10);
  }
}

/** An error without the value that was given: who speaks, of which argument, and what fits; numbers of other errors are left out. */
function wantedOf(message: string): string {
  const [line] = message.replace(/^\w*Error: /, "").split("\n");
  const [, who, argument, wanted] = /^([^:]*): ([^\s:]+).*?: (want .*)$/.exec(line) ?? [];
  return wanted === undefined ? line.replace(/\b\d+(\.\d+)?(e[+-]?\d+)?\b/g, "#").slice(0, 100) : `${who}: ${argument}: ${wanted}`;
}
