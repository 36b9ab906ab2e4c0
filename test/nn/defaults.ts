/** Options left out: what comes of them is, to the last bit, what comes of the documented default, and not what comes of another value. */
import { expect } from "chai";
import { Tensor } from "switchyard-moe";

/** For each option its documented default, and another value that must make a difference. */
export type Defaults = Readonly<Record<string, readonly [standard: unknown, other: unknown]>>;

/** Describes a class or function: `observe` builds or calls it with some options and answers with everything that can be seen. */
export function keepsDefaults(name: string, observe: (options: never) => unknown, defaults: Defaults): void {
  describe(`${name}, without an option`, () => {
    for (const [option, [standard, other]] of Object.entries(defaults))
      it(`has the default ${option}`, async () => {
        const seen = async (options: object): Promise<string> => shown(await observe(options as never));
        const without = await seen({});
        expect(await seen({ [option]: standard }), "the default, given").to.equal(without);
        expect(await seen({ [option]: undefined }), "undefined").to.equal(without);
        expect(await seen({ [option]: other }), "another value").not.to.equal(without);
      });
  });
}

/** Everything that a value holds, as text: tensors by dtype, shape and numbers. */
function shown(value: unknown): string {
  if (value instanceof Tensor) return `${value.dtype} [${value.shape.join(", ")}] ${Array.from(value.dataSync(), String).join(" ")}`;
  if (value instanceof Map) return shown([...(value as Map<unknown, unknown>)]);
  if (Array.isArray(value)) return `[${value.map(shown).join(", ")}]`;
  if (typeof value === "object" && value !== null) return shown(Object.entries(value));
  return String(value);
}
