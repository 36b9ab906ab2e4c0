/**
 * Indices and shapes that fit badly: what a kernel does then is one error, or on devices whose indices nobody can look at without waiting one
 * value, and in both cases nothing else changes.
 */
import { expect } from "chai";
import type { ArrayType, Buffer, NDArray } from "../../../src/backend/backend.ts";
import { BackendError } from "../../../src/backend/backend.ts";
import type { Law } from "../conformance.ts";
import { integers, plain, random } from "../plain.ts";
import type { Plain } from "../plain.ts";
import type { Workbench } from "../workbench.ts";

interface Outside {
  readonly what: string;
  readonly run: (bench: Workbench) => Buffer;
  readonly out: ArrayType;
  /** What the error says. */
  readonly says: string;
  /** The result where nobody can look; undefined where any numbers will do. */
  readonly value?: readonly number[];
}

const float = (...shape: number[]): ArrayType => ({ shape, dtype: "float32" });

/** An index that nobody made on the host. */
const computed = (bench: Workbench, index: readonly number[], shape: readonly number[] = [index.length]): NDArray =>
  bench.computed(plain(shape, "int32", index));

const x23 = plain([2, 3], "float32", [1, 2, 3, 4, 5, 6]);
const far = [2, -2, 1_000_000, -1_000_000];

const lookUps: Outside[] = [2, -1, 1_000_000, -1_000_000].flatMap((n): Outside[] => [
  {
    what: "takeRows",
    run: (bench) => bench.backend.takeRows(float(2, 3), bench.put(x23), computed(bench, [1, n])),
    out: float(2, 3),
    says: `takeRows: index ${n} at 1 is outside 0 to 1`,
    value: [4, 5, 6, NaN, NaN, NaN],
  },
  {
    what: "takeAlong",
    run: (bench) => bench.backend.takeAlong(float(1, 3), bench.put(x23), computed(bench, [0, n, 1], [1, 3]), 0),
    out: float(1, 3),
    says: `takeAlong: index ${n} at 1 is outside 0 to 1`,
    value: [1, NaN, 6],
  },
  {
    what: "addRows",
    run: (bench) => bench.backend.addRows(float(2, 3), bench.put(x23), computed(bench, [n, 1])),
    out: float(2, 3),
    says: `addRows: index ${n} at 0 is outside 0 to 1`,
    value: [0, 0, 0, 4, 5, 6],
  },
  {
    what: "addAlong",
    run: (bench) => bench.backend.addAlong(float(2, 3), bench.put(x23), computed(bench, [1, 0, n, n, 0, 0], [2, 3]), 0),
    out: float(2, 3),
    says: `addAlong: index ${n} at 2 is outside 0 to 1`,
    value: [0, 7, 6, 1, 0, 0],
  },
  {
    what: "crossEntropy",
    run: (bench) => {
      const loss = bench.backend.fused.crossEntropy?.forward(float(2), [bench.put(x23), computed(bench, [-100, 3 * n])], {
        ignoreIndex: -100,
      });
      loss?.saved.forEach((buffer) => bench.keep(buffer));
      return loss?.out ?? bench.backend.upload(float(2), Float32Array.of(0, NaN));
    },
    out: float(2),
    says: `crossEntropy: target ${3 * n} at 1 is outside 0 to 2 and not the ignored -100`,
    value: [0, NaN],
  },
]);

const tables = far.map((n): Outside => {
  const value = [4, 5, 6, NaN, NaN, NaN];
  return {
    what: "gatherRows",
    run: (bench) => bench.backend.gatherRows(float(2, 3), bench.put(x23), computed(bench, [1, -1, 0, n], [2, 2])),
    out: float(2, 3),
    says: `gatherRows: index ${n} at 3 is outside -1 to 1`,
    value,
  };
});

const offsets = [
  { list: [0, 3, 1], says: "offset 1 at 2" },
  { list: [0, 40, 80], says: "offset 40 at 1" },
  { list: [0, -5, 4], says: "offset -5 at 1" },
  { list: [-3, 2, 4], says: "offset -3 at 0" },
  { list: [0, 1_000_000, 2_000_000], says: "offset 1000000 at 1" },
  { list: [1, 2, 4], says: "offset 1 at 0" },
].flatMap(({ list, says }): Outside[] => [
  {
    what: "groupedMatmul",
    run: (bench) => {
      const [x, weight] = [random([4, 4], "float32", 301), random([2, 4, 4], "float32", 302)];
      return bench.backend.groupedMatmul(float(4, 4), bench.put(x), bench.put(weight), computed(bench, list));
    },
    out: float(4, 4),
    says: `groupedMatmul: ${says}: offsets begin at 0, never fall, and end at 4 rows at most`,
  },
  {
    what: "groupedOuter",
    run: (bench) => {
      const [x, y] = [random([4, 4], "float32", 303), random([4, 3], "float32", 304)];
      return bench.backend.groupedOuter(float(2, 4, 3), bench.put(x), bench.put(y), computed(bench, list));
    },
    out: float(2, 4, 3),
    says: `groupedOuter: ${says}: offsets begin at 0, never fall, and end at 4 rows at most`,
  },
]);

const counts: Outside[] = [
  [4, 0],
  [0, -1],
].map((list): Outside => {
  const says = `slotProduct: ${list[0] > 3 ? "4 filled slots at 0" : "-1 filled slots at 1"}: want 0 to 3, the slots of an expert and group`;
  return {
    what: "slotProduct",
    run: (bench) => {
      const [x, weight] = [random([2, 3, 4], "float32", 305), random([2, 4, 3], "float32", 306)];
      const inputs = [bench.put(x), bench.put(weight), computed(bench, list, [2, 1])];
      const made = bench.backend.fused.slotProduct?.forward(float(2, 3, 3), inputs, { activation: null });
      return made?.out ?? bench.backend.full(float(2, 3, 3), 0);
    },
    out: float(2, 3, 3),
    says,
  };
});

/** Runs what does not fit, and finds all else as it was. */
async function expectContained(bench: Workbench, { what, run, out, says, value }: Outside): Promise<void> {
  const others = Array.from({ length: 20 }, (_, i) => ({
    data: random([3 + i], "float32", 310 + i),
    view: bench.put(random([3 + i], "float32", 310 + i)),
  }));
  await bench.backend.download(others[0].view.buffer, others[0].data); // what was freed before is gone by now
  const live = bench.backend.stats().liveBuffers;
  let error: unknown;
  let got: Plain | undefined;
  try {
    got = await bench.read(run(bench), out);
  } catch (caught) {
    // A device that works later tells of it at the next read, in an error of its own.
    error = caught instanceof BackendError && caught.cause ? caught.cause : caught;
  }
  if (bench.seesIndices) expect(error, `${what}, ${says}`).to.be.instanceOf(RangeError).with.property("message").that.includes(says);
  else if (value) bench.compare(`${what}, ${says}`, got?.data ?? [], { ...out, data: value });
  else
    expect(
      got?.data.every((v) => Number.isFinite(v) && Math.abs(v) < 1000),
      `${what}, ${says}: ${got?.data}`,
    ).to.equal(true);
  for (const { data, view } of others) bench.compare("an array beside", Array.from(await bench.backend.download(view.buffer, data)), data);
  const plainSum = bench.backend.binary("mul", float(50), bench.put(random([50], "float32", 309)), bench.put(random([50], "float32", 309)));
  await bench.read(plainSum, float(50));
  expect(bench.backend.stats().liveBuffers).to.be.at.least(live);
}

export const outside: Record<string, Law> = {
  "an index outside its array": async (bench) => {
    for (const each of [...lookUps, ...tables]) await expectContained(bench, each);
  },

  "offsets that are no offsets": async (bench) => {
    for (const each of offsets) await expectContained(bench, each);
  },

  "counts of slots that are none": async (bench) => {
    if (!bench.backend.fused.slotProduct) return "not served";
    for (const each of counts) await expectContained(bench, each);
    return undefined;
  },

  "an index into nothing": async (bench) => {
    const nothing = bench.put(plain([0, 2], "float32", []));
    await expectContained(bench, {
      what: "takeRows of no rows",
      run: () => bench.backend.takeRows(float(1, 2), nothing, computed(bench, [0])),
      out: float(1, 2),
      says: "takeRows: index 0 at 0 is an index into nothing",
      value: [NaN, NaN],
    });
  },

  "keys outside the bins are not counted, and places outside an inverse not written": async (bench) => {
    const key = computed(bench, [3, 16_000_000, 3, -1, -16_000_000, 0, 4]);
    await bench.expect("bincount", (out) => bench.backend.bincount(out, key), plain([4], "int32", [1, 0, 0, 2]));
    await bench.expect(
      "invert",
      (out) => bench.backend.invert(out, computed(bench, [3, 9, -7, 0, 16_000_000])),
      plain([4], "int32", [3, -1, -1, 0]),
    );
    await bench.expect("countEarlier", (out) => bench.backend.countEarlier(out, key), plain([7], "int32", [0, 0, 1, -1, -1, 0, 0]));
  },

  "a scalar is a row of one number": async (bench) => {
    const one = bench.put(plain([], "int32", [3]));
    const { backend } = bench;
    await bench.expect("countEarlier", (out) => backend.countEarlier(out, one), plain([], "int32", [0]));
    await bench.expect("bincount", (out) => backend.bincount(out, one), plain([5], "int32", [0, 0, 0, 1, 0]));
    await bench.expect("bincount beyond", (out) => backend.bincount(out, one), plain([3], "int32", [0, 0, 0]));
    await bench.expect("invert", (out) => backend.invert(out, one), plain([4], "int32", [-1, -1, -1, 0]));
    await bench.expect("argsort", (out) => backend.argsort(out, one, true), plain([], "int32", [0]));
    await bench.expect("rank", (out) => backend.rank(out, one, false), plain([], "int32", [0]));
    await bench.expect("topK", (out) => backend.topK(out, one), plain([1], "int32", [0]));
  },

  "more places than a row has": async (bench) => {
    const x = bench.put(integers([2, 3], "float32", 305, 0, 9));
    expect(() => bench.backend.topK({ shape: [2, 4], dtype: "int32" }, x)).to.throw("topK: 4 places of rows of 3, [2, 3]");
  },
};
