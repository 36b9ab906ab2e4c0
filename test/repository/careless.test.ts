/**
 * Calls everything that is public wrongly, as JavaScript would let a caller: each argument and each option in turn is undefined, NaN, a
 * Map, a freed tensor … Every call must answer, and an error must say who was given what.
 */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { expect } from "chai";
import { entries } from "../../scripts/entries.ts";
import { Contracts } from "./careless/contracts.ts";
import type { Order, Report } from "./careless/walk.ts";

interface Findings {
  calls: number;
  errors: number;
  targets: number;
  /** Targets whose valid call fails: a wrong argument then hides behind another one. */
  readonly invalid: string[];
  readonly obscure: string[];
  readonly accepted: string[];
  readonly hangs: string[];
  readonly contracts: Contracts;
}

/** So long may one call take on a machine that is busy; none needs a hundredth. */
const PATIENCE = 60_000;

async function walked(specifier: string): Promise<Findings> {
  const found: Findings = {
    calls: 0,
    errors: 0,
    targets: 0,
    invalid: [],
    obscure: [],
    accepted: [],
    hangs: [],
    contracts: new Contracts(),
  };
  const seen = new Set<string>();
  for (let from = 0; from >= 0;) from = await walkFrom({ specifier, from }, found, seen);
  return found;
}

/** One process for all entries, because it loads the library for longer than it calls it; another after a call that hangs. */
let walking: ChildProcess | undefined;

function endWalk(): void {
  walking?.removeAllListeners().kill("SIGKILL");
  walking = undefined;
}

/** Walks until the end (-1), or until a call hangs: then the number of the one after it. */
function walkFrom(order: Order, found: Findings, seen: Set<string>): Promise<number> {
  walking ??= fork(new URL("./careless/walk.ts", import.meta.url), { execArgv: ["--import=tsx", "--conditions=source"] });
  const walker = walking;
  walker.send(order);
  return new Promise((resolve, reject) => {
    let [call, index] = ["the first call", order.from];
    const stop = (answer: number): void => {
      clearInterval(watch);
      walker.removeAllListeners();
      if (answer >= 0) endWalk();
      resolve(answer);
    };
    let last: number | undefined; // until the first call it loads the library, however long that takes
    const watch = setInterval(() => {
      if (last === undefined || performance.now() - last < PATIENCE) return;
      found.hangs.push(call);
      stop(index + 1);
    }, 500);
    const fail = (error: Error): void => {
      clearInterval(watch);
      endWalk();
      reject(error);
    };
    walker.on("error", fail);
    walker.on("exit", (code) => fail(new Error(`${call} ended the process, with ${code}`)));
    walker.on("message", (report: Report) => {
      last = performance.now();
      if (report.kind === "calling") ({ call, index } = report);
      if (report.kind === "called") count(report, found);
      if (report.kind === "target" && !seen.has(report.name)) {
        seen.add(report.name);
        found.targets++;
        if (!report.valid) found.invalid.push(`${report.name}: ${report.message}`);
      }
      if (report.kind === "end") stop(-1);
    });
  });
}

function count({ verdict, call, message }: Extract<Report, { kind: "called" }>, found: Findings): void {
  found.calls++;
  if (verdict === "error") found.errors++;
  const [, argument, value] = /^(.*?)(?: = (.*))?\)$/.exec(call) ?? [];
  found.contracts.note(`${argument})`, value ?? "an unknown option", verdict === "fine" || verdict === "accepted" ? undefined : message);
  if (verdict === "obscure") found.obscure.push(`${call}: ${message.split("\n")[0].slice(0, 160)}`);
  if (verdict === "accepted") found.accepted.push(call);
}

describe("careless calls", () => {
  after(endWalk);
  const least: Readonly<Record<string, number>> = { ".": 4000, "./nn": 8000, "./backend": 200, "./pretrained": 200, "./distributed": 500 };
  for (const { specifier, subpath } of entries.filter((entry) => entry.subpath in least))
    it(`of ${specifier} answer, with clear errors`, async function () {
      const { calls, errors, targets, contracts, ...faults } = await walked(specifier);
      console.log(`      ${targets} functions and methods, ${calls} calls: ${errors} clear errors, ${calls - errors} answers`);
      expect(targets, "functions and methods").to.be.above(0);
      expect(calls, "calls").to.be.above(least[subpath]);
      const lines = Object.entries(faults).flatMap(([kind, list]) => list.map((line: string) => `${kind}: ${line}`));
      expect(lines.length, lines.join("\n")).to.equal(0);
      contracts.compare(`test/repository/careless/contracts${subpath.slice(1) || "/core"}.txt`);
    }).timeout(300_000);
});
