/**
 * The one suite that every backend runs. It needs `describe` and `it` as globals and nothing of Node, so that it also runs on a
 * page. A backend that departs from the contract lists the laws it breaks, by name, each with a reason.
 */
import { expect } from "chai";
import type { Backend } from "../../src/backend/backend.ts";
import { accuracy } from "./laws/accuracy.ts";
import { companions } from "./laws/companions.ts";
import { data } from "./laws/data.ts";
import { elementwise } from "./laws/elementwise.ts";
import { fused } from "./laws/fused.ts";
import { wrapping } from "./laws/integers.ts";
import { large } from "./laws/large.ts";
import { memory } from "./laws/memory.ts";
import { movement } from "./laws/movement.ts";
import { order } from "./laws/order.ts";
import { outside } from "./laws/outside.ts";
import { products } from "./laws/products.ts";
import { reductions } from "./laws/reductions.ts";
import { rows } from "./laws/rows.ts";
import { Workbench, settle } from "./workbench.ts";
import type { Cases, Layouts, Tolerances } from "./workbench.ts";

/** Throws where the backend breaks the law; "not served" where a fused kernel declined every case. */
export type Law = (bench: Workbench) => Promise<void | "not served">;

/** Milliseconds that a law may take on a machine that is busy with other work. */
const SLOW = 180_000;

const chapters = {
  data,
  elementwise,
  wrapping,
  reductions,
  products,
  movement,
  order,
  rows,
  outside,
  fused,
  large,
  accuracy,
  companions,
  memory,
};

export interface ConformanceOptions {
  /** Laws that this backend breaks, and why. */
  readonly exceptions?: Readonly<Record<string, string>>;
  readonly tolerances?: Tolerances;
  /** Default every. */
  readonly layouts?: Layouts;
  /** Default every. */
  readonly cases?: Cases;
  /** Whether the host sees computed indices without waiting; default true. Elsewhere one outside its array is not an error. */
  readonly seesIndices?: boolean;
  readonly close?: (backend: Backend) => void | Promise<void>;
}

export function conformance(name: string, makeBackend: () => Backend | Promise<Backend>, options: ConformanceOptions = {}): void {
  const { exceptions = {}, close } = options;
  describe(`conformance of ${name}`, () => {
    let backend: Backend;
    before(async () => void (backend = await makeBackend()));
    after(async () => close?.(backend));

    for (const [chapter, laws] of Object.entries(chapters)) {
      describe(chapter, () => {
        for (const [title, law] of Object.entries(laws)) {
          if (title in exceptions) it.skip(`${title} (${exceptions[title]})`);
          else
            it(title, async function () {
              this.timeout(SLOW);
              if ((await obey(backend, law, options)) === "not served") this.skip();
            });
        }
      });
    }

    it("makes exceptions only of laws that exist", () => {
      expect(Object.values(chapters).flatMap((laws) => Object.keys(laws))).to.include.members(Object.keys(exceptions));
    });
  });
}

async function obey(
  backend: Backend,
  law: Law,
  { tolerances, layouts, seesIndices, cases }: ConformanceOptions,
): Promise<void | "not served"> {
  const bench = new Workbench(backend, tolerances, layouts, seesIndices, cases);
  const before = await living(backend);
  let served: void | "not served";
  try {
    served = await law(bench);
  } finally {
    bench.clean();
  }
  expect(await living(backend), "buffers that live on when all that the law was given is freed").to.deep.equal(before);
  return served;
}

/** Buffers and bytes that are taken once every kernel launched so far has run. */
async function living(backend: Backend): Promise<[buffers: number, bytes: number]> {
  await settle(backend);
  const { liveBuffers, liveBytes } = backend.stats();
  return [liveBuffers, liveBytes];
}
