import { expect } from "chai";
import fc from "fast-check";
import { key, random, tensor } from "switchyard-moe";
import type { DType, Tensor } from "switchyard-moe";
import { Linear, readSafetensors, writeSafetensors } from "switchyard-moe/nn";

/** A file with this header and that many bytes of numbers. */
function file(header: unknown, bytes: number): Uint8Array {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const made = new Uint8Array(8 + json.length + bytes);
  new DataView(made.buffer).setBigUint64(0, BigInt(json.length), true);
  made.set(json, 8);
  return made;
}

const f32 = (shape: number[], from: number, to: number): object => ({ dtype: "F32", shape, data_offsets: [from, to] });

describe("safetensors", () => {
  it("reads what it wrote, every dtype and shape, bit for bit", () => {
    const entry = fc.record({
      dtype: fc.constantFrom<DType>("float32", "float64", "int32", "bfloat16"),
      shape: fc.array(fc.nat(3), { maxLength: 3 }),
      seed: fc.nat(999),
    });
    const files = fc.tuple(
      fc.dictionary(
        fc.string({ minLength: 1 }).filter((name) => name !== "__proto__"),
        entry,
        { maxKeys: 5 },
      ),
      fc.dictionary(
        fc.string({ minLength: 1 }).filter((name) => name !== "__proto__"),
        fc.string(),
      ),
    );
    return fc.assert(
      fc.asyncProperty(files, async ([entries, metadata]) => {
        const made = Object.entries(entries).map(([name, { dtype, shape, seed }]): [string, Tensor] => [
          name,
          random.normal(shape, key(seed), { std: 9, dtype: "float64" }).cast(dtype),
        ]);
        const written = await writeSafetensors(new Map(made), metadata);
        // At an odd place of a larger buffer, as a file cut from a stream may lie.
        const moved = new Uint8Array(written.length + 3).subarray(3);
        moved.set(written);
        const { tensors, metadata: read } = readSafetensors(moved);
        expect({ ...read }).to.deep.equal({ ...metadata });
        expect([...tensors.keys()].toSorted()).to.deep.equal(made.map(([name]) => name).toSorted());
        for (const [name, wanted] of made) {
          const got = tensors.get(name);
          expect([got?.dtype, [...(got?.shape ?? [])], [...(got?.dataSync() ?? [])]]).to.deep.equal([
            wanted.dtype,
            [...wanted.shape],
            [...wanted.dataSync()],
          ]);
        }
      }),
      { numRuns: 60 },
    );
  });

  it("lies as the format says: length, JSON, little-endian numbers from a multiple of 8", async () => {
    const bytes = await writeSafetensors(new Map([["x", tensor([1, -2])], ["h", tensor([1.5], { dtype: "bfloat16" })]]), { a: "b" }); // prettier-ignore
    const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect(length % 8).to.equal(0);
    const header: unknown = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    expect(header).to.deep.equal({ __metadata__: { a: "b" }, x: f32([2], 0, 8), h: { dtype: "BF16", shape: [1], data_offsets: [8, 10] } });
    expect([...bytes.subarray(8 + length)]).to.deep.equal([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0xc0, 0x3f]);
  });

  it("keeps NaN, infinities and the sign of zero", async () => {
    const numbers = [NaN, Infinity, -Infinity, -0, 1e-45, 3.4e38];
    const { tensors } = readSafetensors(await writeSafetensors(new Map([["x", tensor(numbers)]])));
    const got = [...(tensors.get("x")?.dataSync() ?? [])];
    expect(got.map((value) => Object.is(value, -0))).to.deep.equal(numbers.map((value) => Object.is(value, -0)));
    expect(got).to.deep.equal([...Float32Array.from(numbers)]);
  });

  /** One tensor of a dtype that only others write. */
  function foreign(dtype: string, bytes: ArrayBufferView): Uint8Array {
    const length = bytes.byteLength;
    const made = file({ x: { dtype, shape: [length / Number(sizes[dtype])], data_offsets: [0, length] } }, length);
    made.set(new Uint8Array(bytes.buffer), made.length - length);
    return made;
  }
  const sizes: Record<string, number> = { F16: 2, I64: 8, I16: 2, I8: 1, U8: 1, BOOL: 1 };

  // prettier-ignore
  const others: [string, ArrayBufferView, DType, number[]][] = [
    ["F16", Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0001, 0x03ff, 0x0400, 0x3555, 0x8000, 0x7c00, 0xfc00, 0x7e00), "float32",
      [1, -2, 65504, 2 ** -24, 1023 * 2 ** -24, 2 ** -14, 0.333251953125, -0, Infinity, -Infinity, NaN]],
    ["I64", BigInt64Array.of(0n, -1n, 2n ** 31n - 1n, -(2n ** 31n)), "int32", [0, -1, 2 ** 31 - 1, -(2 ** 31)]],
    ["I16", Int16Array.of(-32768, 7), "int32", [-32768, 7]],
    ["I8", Int8Array.of(-128, 7), "int32", [-128, 7]],
    ["U8", Uint8Array.of(255, 0), "int32", [255, 0]],
    ["BOOL", Uint8Array.of(1, 0), "int32", [1, 0]],
  ];
  for (const [name, bytes, dtype, wanted] of others)
    it(`reads ${name}, which it does not write, as ${dtype}`, () => {
      const x = readSafetensors(foreign(name, bytes)).tensors.get("x");
      expect(x?.dtype).to.equal(dtype);
      expect(Array.from(x?.dataSync() ?? [], (value) => (Object.is(value, -0) ? "-0" : value))).to.deep.equal(
        wanted.map((value) => (Object.is(value, -0) ? "-0" : value)),
      );
    });

  it("refuses an integer beyond 32 bits", () => {
    expect(() => readSafetensors(foreign("I64", BigInt64Array.of(5n, 2n ** 31n)))).to.throw(
      RangeError,
      '"x" holds 2147483648 at 1, which 32 bits do not',
    );
  });

  const damaged: [string, Uint8Array, string][] = [
    ["a file of 3 bytes", new Uint8Array(3), "3 bytes are too few for a file"],
    ["a header beyond the end", file("{}", 0).subarray(0, 9), "the header should be 2 bytes long, the file holds 1 after its length"],
    ["a header that is not UTF-8", Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0, 0xff), "the header is not UTF-8"],
    ["a header that is not JSON", file("{oops}", 0), "the header is not JSON"],
    ["a header that is an array", file("[]", 0), "the header is not a JSON object"],
    ["metadata of numbers", file({ __metadata__: { a: 1 } }, 0), "__metadata__ is not an object of strings"],
    [
      "an unknown dtype",
      file({ x: { dtype: "F8", shape: [], data_offsets: [0, 1] } }, 1),
      '"x" has dtype F8; known are F64, F32, I32, BF16, F16, I64, I16, I8, U8, BOOL',
    ],
    ["a dtype of the prototype", file({ x: { dtype: "toString", shape: [], data_offsets: [0, 1] } }, 1), '"x" has dtype toString'],
    ["no entry", file({ x: null }, 0), '"x" has dtype undefined'],
    ["a shape with a fraction", file({ x: f32([0.5], 0, 2) }, 2), '"x" has no shape of whole numbers'],
    ["a negative offset", file({ x: f32([1], -4, 0) }, 4), '"x" has no data_offsets [start, end]'],
    ["offsets backwards", file({ x: f32([1], 4, 0) }, 4), '"x" has no data_offsets [start, end]'],
    [
      "offsets that do not span the shape",
      file({ x: f32([2, 2], 0, 12) }, 12),
      '"x" F32 [2, 2] needs 16 bytes, its data_offsets [0, 12] span 12',
    ],
    ["a size beyond all numbers", file({ x: f32([2 ** 40, 2 ** 40], 0, 8) }, 8), "span 8"],
    [
      "an overlap",
      file({ x: f32([2], 0, 8), y: f32([2], 4, 12) }, 12),
      '"y" begins at byte 4, inside the tensor before it, which ends at 8',
    ],
    ["a hole", file({ x: f32([1], 0, 4), y: f32([1], 8, 12) }, 12), 'bytes 4 to 8 before "y" belong to no tensor'],
    ["a tensor beyond the end", file({ x: f32([2], 0, 8) }, 4), '"x" ends at byte 8, the file holds 4 bytes of numbers: truncated'],
    ["bytes that nobody owns", file({ x: f32([1], 0, 4) }, 8), "the file holds 8 bytes of numbers, its tensors take 4"],
    [
      "a name given twice",
      file('{"x":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"\\u0078":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}', 4),
      '"x" is named twice in the header',
    ],
  ];
  for (const [what, bytes, why] of damaged)
    it(`refuses ${what}`, () => {
      expect(() => readSafetensors(bytes)).to.throw(RangeError, why);
    });

  it("a file cut anywhere is refused, never read in part", async () => {
    const whole = await writeSafetensors(new Linear(3, 2, { random: key(1) }).state());
    for (let length = 0; length < whole.length; length++)
      expect(() => readSafetensors(whole.subarray(0, length)), `${length} bytes`).to.throw(RangeError);
  });

  it("a name inside a string of the metadata is no name", () => {
    const { metadata } = readSafetensors(file({ __metadata__: { config: '{"x": 1, "x": 2}', x: "y" } }, 0));
    expect(metadata.config).to.equal('{"x": 1, "x": 2}');
  });

  it("refuses a tensor named like the metadata", async () => {
    const error: unknown = await writeSafetensors(new Map([["__metadata__", tensor(1)]])).catch((reason: unknown) => reason);
    expect(String(error)).to.contain('a tensor may not be called "__metadata__"');
  });
});

describe("safetensors of any size", () => {
  it("hold 80,000 names", async function () {
    this.timeout(120_000);
    const one = tensor([1]);
    const names = Array.from({ length: 80_000 }, (_, i) => `blocks.${i}.weight`);
    const { tensors } = readSafetensors(await writeSafetensors(new Map(names.map((name) => [name, one]))));
    expect(tensors.size).to.equal(80_000);
    expect(tensors.get("blocks.79999.weight")?.shape).to.deep.equal([1]);
  });

  it("hold 16 MB of metadata, quotes, backslashes and braces in it", async function () {
    this.timeout(120_000);
    const metadata = { long: 'a"b\\{[:'.repeat(2_000_000), "ends in a backslash\\": "\\" };
    const written = await writeSafetensors(new Map([['"{\\', tensor([3])]]), metadata);
    const { tensors, metadata: read } = readSafetensors(written);
    expect(read.long === metadata.long && read["ends in a backslash\\"] === "\\").to.equal(true);
    expect([...tensors.keys()]).to.deep.equal(['"{\\']);
  });

  it("see a name that stands twice behind strings that look like names", () => {
    const twice = `{"a\\\\":${JSON.stringify(f32([1], 0, 4))},"__metadata__":{"b":"\\"a\\\\\\":"},\n"a\\u005c"\t :${JSON.stringify(f32([1], 0, 4))}}`;
    expect(() => JSON.parse(twice)).to.not.throw();
    expect(() => readSafetensors(file(twice, 4))).to.throw('readSafetensors: "a\\" is named twice in the header');
  });
});

describe("safetensors", () => {
  it("have no metadata where they say null, as the reference implementation reads it", () => {
    const { tensors, metadata } = readSafetensors(file({ __metadata__: null, x: f32([1], 0, 4) }, 4));
    expect([metadata, tensors.size]).to.deep.equal([{}, 1]);
  });

  it("hold a tensor called __proto__", async () => {
    const { tensors } = readSafetensors(await writeSafetensors(new Map([["__proto__", tensor([7])]])));
    expect(tensors.get("__proto__")?.dataSync()[0]).to.equal(7);
  });

  it("are written and read of what they can hold, or not at all", async () => {
    const failure = (attempt: Promise<unknown>): Promise<string> => attempt.then(String, (error: Error) => error.message);
    const x = tensor([1]);
    expect(await failure(writeSafetensors({ x } as never))).to.equal(
      "writeSafetensors: tensors { x }: want a Map of tensors by name, such as model.state()",
    );
    expect(await failure(writeSafetensors(new Map([["x", [1]]]) as never))).to.equal(
      'writeSafetensors: "x" [1]: want a tensor, such as tensor([1, 2])',
    );
    expect(await failure(writeSafetensors(new Map([["x", x]]), { step: 3 } as never))).to.equal(
      'writeSafetensors: metadata "step" 3: want a string',
    );
    expect(await failure(writeSafetensors(new Map([["x", x]]), new Map() as never))).to.include(
      "metadata (a Map): want an object of strings",
    );
    expect(() => readSafetensors(new ArrayBuffer(8) as never)).to.throw(
      "readSafetensors: file (a ArrayBuffer): want a Uint8Array with the bytes of a file",
    );
    expect(() => readSafetensors(new Uint8Array(8), { backend: "cpu" } as never)).to.throw(
      'readSafetensors: backend "cpu": want a backend',
    );
  });
});
