/** Files of torch.save: those of the real PyTorch (make_bin.py wrote them once), and damaged ones of our own writer. */
import { readFileSync } from "node:fs";
import { expect } from "chai";
import fc from "fast-check";
import { bytesOfTensor, numbersOf, opened, refusal } from "./reading.ts";
import type { BinTensor } from "./torchWriter.ts";
import { ascii, bytesOf, joined, torchBin, zipped } from "./torchWriter.ts";

const FILE = "pytorch_model.bin";
const folder = "test/pretrained/files";
const file = (name: string): Uint8Array => new Uint8Array(readFileSync(`${folder}/${name}.bin`));

interface Written {
  readonly dtype: string;
  readonly shape: number[];
  readonly data: (number | string)[];
}

const written = JSON.parse(readFileSync(`${folder}/tensors.json`, "utf8")) as Record<"views" | "state_dict", Record<string, Written>>;
const asNumbers = (data: readonly (number | string)[]): number[] =>
  data.map((x) => Number(x === "-inf" ? -Infinity : x === "inf" ? Infinity : x));

describe("files of PyTorch", () => {
  for (const [name, wanted] of [
    ["views", "views"],
    ["protocol4", "views"],
    ["deflated", "views"],
    ["state_dict", "state_dict"],
  ] as const)
    // prettier-ignore
    it(`${name}.bin holds what PyTorch says`, async () => {
      const tensors = await opened(FILE, file(name));
      expect([...tensors.keys()]).to.deep.equal(Object.keys(written[wanted]));
      for (const [key, { dtype, shape, data }] of Object.entries(written[wanted])) {
        const tensor = tensors.get(key);
        expect([tensor?.dtype, tensor?.shape], key).to.deep.equal([dtype, shape]);
        expect(tensor && (await numbersOf(tensor)), key).to.deep.equal(asNumbers(data));
      }
    });

  it("know which tensors are one", async () => {
    const tensors = await opened(FILE, file("views"));
    const place = (name: string): string | undefined => tensors.get(name)?.place;
    expect(place("tied")).to.equal(place("float32"));
    for (const other of ["transposed", "sliced", "row", "parameter"]) expect(place(other)).to.not.equal(place("float32"));
  });

  const refused: Record<string, [name: string, says: RegExp]> = {
    "a program": ["malicious", /its pickle names "(posix|os)\.system", which no file of tensors needs.*nothing of it was run/],
    "a module instead of its state": ["module", /its pickle names "torch\.nn\.modules\.linear\.Linear"/],
    "more than tensors": ["nested", /holds \(a Map\) under "state_dict"; want tensors alone/],
    "the format before 1.6": ["old", /before PyTorch 1\.6.*torch\.save\(torch\.load\(path\), path\)/],
  };
  for (const [what, [name, says]] of Object.entries(refused))
    it(`refuse ${what}`, async () =>
      expect(await refusal(() => opened(FILE, file(name))))
        .to.match(says)
        .and.match(/^pytorch_model\.bin: /));
});

// Our own writer, for what PyTorch cannot be asked for

const floats = (...values: number[]): Uint8Array => new Uint8Array(Float32Array.from(values).buffer);

function bin(changes: Partial<BinTensor> = {}): BinTensor {
  return { name: "x", storage: "FloatStorage", shape: [2, 3], key: "0", elements: 6, bytes: () => [floats(1, 2, 3, 4, 5, 6)], ...changes };
}

const tensorsOf = (...tensors: BinTensor[]): ReturnType<typeof opened> => opened(FILE, joined(torchBin(tensors)));

describe("files as torch.save writes them", () => {
  for (const options of [{}, { zip64: true }, { deflated: true }, { zip64: true, deflated: true }, { byteorder: "little" }])
    it(`${JSON.stringify(options)}`, async () => {
      const tensors = await opened(FILE, joined(torchBin([bin()], options)));
      expect(await numbersOf(tensors.get("x")!)).to.deep.equal([1, 2, 3, 4, 5, 6]);
    });

  it("of a big-endian machine", async () => {
    const bytes = (): Uint8Array[] => [floats(1, 2, 3, 4, 5, 6).toReversed()];
    const transposed = bin({ name: "y", bytes, shape: [3, 2], strides: [1, 3] });
    const tensors = await opened(FILE, joined(torchBin([bin({ bytes }), transposed], { byteorder: "big" })));
    expect(await numbersOf(tensors.get("x")!)).to.deep.equal([6, 5, 4, 3, 2, 1]);
    expect(await numbersOf(tensors.get("y")!)).to.deep.equal([6, 3, 5, 2, 4, 1]);
  });

  it("reads every view as its strides say, in any number of axes", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 4 }),
        fc.nat(5),
        fc.infiniteStream(fc.nat(99)),
        fc.boolean(),
        async (sizes, offset, order, deflated) => {
          // The axes of a row-major array, shuffled.
          const strides = sizes.map((_, axis) => sizes.slice(axis + 1).reduce((a, b) => a * b, 1));
          const axes = sizes.map((_, axis) => ({ axis, by: Number(order.next().value) })).toSorted((a, b) => a.by - b.by);
          const elements = offset + sizes.reduce((a, b) => a * b, 1);
          const view = {
            shape: axes.map(({ axis }) => sizes[axis]),
            strides: axes.map(({ axis }) => strides[axis]),
          };
          const whole = bin({ ...view, offset, elements, bytes: () => [floats(...Array.from({ length: elements }, (_, i) => i))] });
          const tensors = await opened(FILE, joined(torchBin([whole], { deflated })));
          const places = view.shape.reduce<number[]>(
            (sofar, n, axis) => sofar.flatMap((at) => Array.from({ length: n }, (_, i) => at + i * view.strides[axis])),
            [offset],
          );
          expect(await numbersOf(tensors.get("x")!)).to.deep.equal(places);
        },
      ),
      { numRuns: 60 },
    ));

  it("checks a checksum once, and reads a stored storage in place after that", async () => {
    const second = bin({ name: "y", shape: [2], offset: 4 });
    const tensors = await tensorsOf(bin(), second);
    expect(await numbersOf(tensors.get("y")!)).to.deep.equal([5, 6]);
    expect(await numbersOf(tensors.get("y")!)).to.deep.equal([5, 6]);
    expect(await numbersOf(tensors.get("x")!)).to.deep.equal([1, 2, 3, 4, 5, 6]);
  });

  const refused: Record<string, [run: () => Promise<unknown>, says: RegExp]> = {
    "a view beyond its storage": [
      () => tensorsOf(bin({ offset: 1 })),
      /a tensor \[2, 3\] with strides \[3, 1\] at 1 reaches beyond the 6 elements/,
    ],
    "a view stretched over one number": [() => tensorsOf(bin({ shape: [1e6, 1e6], strides: [0, 0] })), /repeats elements/],
    "a size beyond all numbers": [() => tensorsOf(bin({ shape: [2 ** 50, 2 ** 50] })), /reaches beyond/],
    "strides that do not fit": [() => tensorsOf(bin({ strides: [1] })), /as many strides as sizes/],
    "a hundred axes": [() => tensorsOf(bin({ shape: Array<number>(100).fill(1) })), /100 axes; at most 16/],
    "a storage of another size": [
      () => tensorsOf(bin({ elements: 7 })),
      /its storage "0" should hold 7 float32, 28 bytes; the entry holds 24/,
    ],
    "a storage type of tomorrow": [() => tensorsOf(bin({ storage: "Float8Storage" })), /its pickle names "torch\.Float8Storage"/],
    "a byteorder that is none": [() => opened(FILE, joined(torchBin([bin()], { byteorder: "middle" }))), /byteorder is "middle"/],
    "a name twice": [() => opened(FILE, joined(zipped([["a/data.pkl", () => []], ["a/data.pkl", () => []]]))), /holds "a\/data\.pkl" twice/], // prettier-ignore
    "a zip that is no checkpoint": [() => opened(FILE, joined(zipped([["readme", () => []]]))), /without a data\.pkl/],
    "no zip at all": [() => opened(FILE, ascii("hello")), /is no zip file, or truncated/],
    "an empty file": [() => opened(FILE, new Uint8Array()), /is no zip file, or truncated/],
    "a pointer of Git LFS": [() => opened(FILE, ascii("version https://git-lfs.github.com/spec/v1\noid sha256:0")), /git lfs pull/],
    "a zip bomb": [() => opened(FILE, joined(torchBin([bin({ shape: [1e6], elements: 1e6, bytes: () => [new Uint8Array(4e6)] })], { deflated: true }))), /a zip bomb/], // prettier-ignore
  };
  for (const [what, [run, says]] of Object.entries(refused))
    it(`refuses ${what}`, async () =>
      expect(await refusal(run))
        .to.match(says)
        .and.match(/^pytorch_model\.bin: /));
});

/** Opens a file and reads all of it. */
async function readAll(bytes: Uint8Array): Promise<[string, Uint8Array][]> {
  const all: [string, Uint8Array][] = [];
  for (const [name, tensor] of await opened(FILE, bytes)) all.push([name, await bytesOfTensor(tensor)]);
  return all;
}

describe("damage", () => {
  const whole = new Map([
    ["stored", joined(torchBin([bin(), bin({ name: "y", strides: [1, 2] })]))],
    ["zip64", joined(torchBin([bin()], { zip64: true }))],
    ["deflated", joined(torchBin([bin({ shape: [600], elements: 600, bytes: () => [floats(...Array.from({ length: 600 }, Math.sin))] })], { deflated: true }))], // prettier-ignore
    ["real", file("views")],
  ]);

  for (const [name, bytes] of whole) {
    it(`${name}: cut anywhere, it is refused`, async () => {
      for (let length = 0; length < bytes.length; length += 1 + Math.floor(bytes.length / 200))
        expect(await refusal(() => readAll(bytes.subarray(0, length)))).to.match(/^pytorch_model\.bin: /);
    });

    it(`${name}: with a byte flipped anywhere, it is refused or reads the same`, async () => {
      const right = await readAll(bytes);
      let refusals = 0;
      for (let at = 0; at < bytes.length; at += 1 + Math.floor(bytes.length / 500)) {
        const flipped = bytes.slice();
        flipped[at] ^= 1 << (at % 8);
        const read = await readAll(flipped).catch((error: unknown) => {
          expect(error, `byte ${at}`).to.be.instanceOf(RangeError);
          expect(String(error), `byte ${at}`).to.match(/^RangeError: pytorch_model\.bin: /);
          refusals++;
        });
        // A flip in the headers' unused fields changes nothing; one in the pickle or in numbers never goes unseen.
        if (read) expect(read, `byte ${at}`).to.deep.equal(right);
      }
      expect(refusals).to.be.above(100);
    });
  }

  it("random pickles are refused with a reason, quickly", () =>
    fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.boolean(), async (random, started) => {
        const pickle = started ? joined([bytesOf([1, 0x80], [1, 2]), random]) : random;
        expect(await refusal(() => readAll(joined(zipped([["a/data.pkl", () => [pickle]]]))))).to.match(/^pytorch_model\.bin: /);
      }),
      { numRuns: 300 },
    ));

  it("pickles of operations in random order too", () => {
    const codes = [0x28, 0x30, 0x31, 0x32, 0x4e, 0x88, 0x29, 0x85, 0x86, 0x87, 0x74, 0x5d, 0x6c, 0x61, 0x65, 0x7d, 0x73, 0x75, 0x94, 0x52, 0x81, 0x51, 0x62, 0x93]; // prettier-ignore
    const words = [...codes.map((code) => bytesOf([1, code])), ascii("ccollections\nOrderedDict\n"), ascii("ctorch\nFloatStorage\n"), bytesOf([1, 0x4b], [1, 7]), bytesOf([1, 0x68], [1, 0]), bytesOf([1, 0x71], [1, 0]), bytesOf([1, 0x8c], [1, 1], [1, 0x61])]; // prettier-ignore
    return fc.assert(
      fc.asyncProperty(fc.array(fc.constantFrom(...words), { maxLength: 60 }), async (program) => {
        const pickle = joined([...program, ascii(".")]);
        const found = await readAll(joined(zipped([["a/data.pkl", () => [pickle]]]))).catch((error: unknown) => {
          expect(String(error)).to.match(/^RangeError: pytorch_model\.bin: /);
        });
        if (found) expect(found).to.deep.equal([]); // an empty dictionary is all that they can make
      }),
      { numRuns: 500 },
    );
  });

  it("calls nothing but the names it was given, and those with a tuple", async () => {
    const storage = joined([ascii("(X"), bytesOf([4, 7]), ascii("storagectorch\nFloatStorage\nX"), bytesOf([4, 1]), ascii("0X"), bytesOf([4, 3]), ascii("cpu"), bytesOf([1, 0x4b], [1, 6]), ascii("tQ")]); // prettier-ignore
    const callees: Record<string, [program: Uint8Array, shown: string]> = {
      None: [ascii("N"), "null"],
      True: [bytesOf([1, 0x88]), "true"],
      "a number": [bytesOf([1, 0x4b], [1, 7]), "7"],
      "a text": [bytesOf([1, 0x8c], [1, 1], [1, 0x61]), '"a"'],
      "a tuple": [ascii(")"), "[]"],
      "a dictionary": [ascii("}"), "(a Map)"],
      "a storage": [storage, "(a StorageOf)"],
    };
    const told = (program: Uint8Array): Promise<string> => {
      const pickle = joined([program, ascii(".")]);
      return refusal(() => readAll(joined(zipped([["a/data.pkl", () => [pickle]], ["a/data/0", () => [new Uint8Array(24)]]])))); // prettier-ignore
    };
    for (const [what, [callee, shown]] of Object.entries(callees))
      for (const call of [0x52, 0x81])
        expect(await told(joined([callee, ascii(")"), bytesOf([1, call])])), what).to.equal(`${FILE}: its pickle is damaged: it calls ${shown} with []`); // prettier-ignore
    expect(await told(ascii("ccollections\nOrderedDict\nNR"))).to.match(/its pickle is damaged: it calls \(a PickleGlobal\) with null$/);
    expect(await told(ascii("ctorch\nHalfStorage\n)R"))).to.equal(`${FILE}: its pickle calls HalfStorage`);
  });

  it("nested twins do not blow up in errors", async () => {
    const twins = Array.from({ length: 64 }, () => [ascii("2"), bytesOf([1, 0x86])]).flat();
    const pickle = joined([ascii(")"), ...twins, ascii("2"), bytesOf([1, 0x93]), ascii(".")]);
    expect(await refusal(() => readAll(joined(zipped([["a/data.pkl", () => [pickle]]]))))).to.match(/it names \[/);
  });
});
