/** Which router numbers are healthy? The same metrics for a fresh router, an even one, and a collapsed one. */
import { key, random, tensor } from "switchyard-moe";
import { SwitchRouter, measure, readBooks } from "switchyard-moe/moe";
import type { initializers } from "switchyard-moe/nn";

const [width, experts] = [16, 8];
const x = random.normal([1, 512, width], key(1));
const pass = { training: false, random: key(0) };

async function show(name: string, router: SwitchRouter, tokens = x): Promise<void> {
  const { load, loadEntropy, maxViolation, dropped, confidence } = measure(
    await readBooks(router.route({ tokens, capacityFactor: 1.25, pass })),
  );
  console.log(
    `${name.padEnd(10)} load ${load.join(" ").padEnd(31)} entropy ${loadEntropy.toFixed(2)}  MaxVio ${maxViolation.toFixed(2)}  ` +
      `dropped ${(100 * dropped).toFixed(0).padStart(2)} %  gate ${confidence.toFixed(2)}`,
  );
}

await show("fresh", new SwitchRouter({ width, experts, random: key(2) }));
// Token t points at expert t mod 8: as even as can be, and sure of it.
const pointing = tensor(
  Float32Array.from({ length: 512 * width }, (_, i) => (i % width === Math.floor(i / width) % experts ? 4 : 0)),
  { shape: [1, 512, width] },
);
const diagonal: initializers.Initializer = ([rows, columns], _at, options) =>
  tensor(
    Float32Array.from({ length: rows * columns }, (_, i) => (i % columns === Math.floor(i / columns) ? 1 : 0)),
    { ...options, shape: [rows, columns] },
  );
await show("even", new SwitchRouter({ width, experts, random: key(2), initializer: diagonal }), pointing);
await show(
  "collapsed",
  new SwitchRouter({ width, experts, random: key(2), initializer: diagonal }),
  pointing
    .abs()
    .mul(0)
    .add(tensor(Float32Array.from({ length: width }, (_, i) => (i === 3 ? 4 : 0)))),
);
