/** The tables of sorted rows: counted by the host and by the device they are the same, and what they say of one another holds. */
import { expect } from "chai";
import fc from "fast-check";
import { cpuBackend, tensor } from "../../src/index.ts";
import type { Backend } from "../../src/index.ts";
import { sortedTables } from "../../src/moe/sortedTables.ts";
import { AsyncBackend } from "../backend/asyncBackend.ts";

interface Case {
  readonly tokens: number;
  readonly choices: number;
  readonly experts: number;
  /** [T K] */
  readonly expert: number[];
}

const aCase: fc.Arbitrary<Case> = fc
  .record({ tokens: fc.nat(9), choices: fc.integer({ min: 1, max: 3 }), experts: fc.integer({ min: 1, max: 5 }) })
  .chain(({ tokens, choices, experts }) =>
    fc
      .array(fc.integer({ min: -1, max: experts - 1 }), { minLength: tokens * choices, maxLength: tokens * choices })
      .map((expert) => ({ tokens, choices, experts, expert })),
  );

async function tablesOn(backend: Backend, { tokens, choices, experts, expert }: Case): Promise<number[][]> {
  const chosen = tensor(Int32Array.from(expert), { shape: [tokens, choices], backend });
  const { offsets, slotOfChoice, choiceOfRow, tokenOfRow } = sortedTables(chosen, experts);
  const read = [offsets, slotOfChoice, choiceOfRow, tokenOfRow].map(async (table) => [...(await table.data())]);
  return Promise.all(read);
}

describe("sorted tables", () => {
  it("lay rows of one expert side by side in the order of the choices, and lead back", () =>
    fc.assert(
      fc.asyncProperty(aCase, async (given) => {
        const [offsets, slots, choices, tokens] = await tablesOn(cpuBackend(), given);
        const order = given.expert.flatMap((expert, choice) => (expert < 0 ? [] : [{ expert, choice }]));
        order.sort((a, b) => a.expert - b.expert || a.choice - b.choice);
        const empty = given.expert.length - order.length;
        expect(choices).to.eql([...order.map(({ choice }) => choice), ...Array<number>(empty).fill(-1)]);
        expect(tokens).to.eql(choices.map((choice) => Math.floor(choice / given.choices)));
        expect(slots).to.eql(given.expert.map((expert, choice) => (expert < 0 ? -1 : choices.indexOf(choice))));
        expect(offsets).to.eql(Array.from({ length: given.experts + 1 }, (_, e) => order.filter(({ expert }) => expert < e).length));
      }),
    ));

  it("are the same where the device counts", () =>
    fc.assert(
      fc.asyncProperty(aCase, async (given) => {
        expect(await tablesOn(new AsyncBackend(), given)).to.eql(await tablesOn(cpuBackend(), given));
      }),
      { numRuns: 50 },
    ));

  it("refuse an expert that there is not", () => {
    expect(() => sortedTables(tensor(Int32Array.of(0, 3), { shape: [2, 1] }), 3)).to.throw(
      RangeError,
      "expertOfChoice 3: want less than the 3",
    );
  });
});
