/**
 * Reads `pytorch_model.bin`: a zip file with a pickle, which describes each tensor as a view of a storage, and the bytes of the storages. torch.save
 * has written it since PyTorch 1.6 (torch/serialization.py).
 */
import { describe } from "../autograd/arguments.ts";
import { formatShape, sizeOf } from "../autograd/contract.ts";
import type { Pickled, PickleWorld } from "./pickle.ts";
import { PickleGlobal, unpickle } from "./pickle.ts";
import type { Source } from "./source.ts";
import type { Piece, StoredDType, StoredTensor } from "./stored.ts";
import { BYTES, wholeRows } from "./stored.ts";
import type { ZipEntry } from "./zip.ts";
import { Zip } from "./zip.ts";

/** Types of storages, as the pickle names them. */
const storageTypes: Readonly<Record<string, StoredDType>> = {
  DoubleStorage: "float64",
  FloatStorage: "float32",
  HalfStorage: "float16",
  BFloat16Storage: "bfloat16",
  LongStorage: "int64",
  IntStorage: "int32",
  ShortStorage: "int16",
  CharStorage: "int8",
  ByteStorage: "uint8",
  BoolStorage: "bool",
};

/** The longest pickle of a published checkpoint takes about 2 MB. */
const LONGEST_PICKLE = 128 * 2 ** 20;

/** The tensors of a file of `size` bytes. Throws a RangeError that begins with the file's name for damage and for every name that is refused. */
export async function torchFile(source: Source, file: string, size: number): Promise<StoredTensor[]> {
  await requireZip(source, file, size);
  const zip = await Zip.open(source, file, size);
  const pickle = [...zip.entries.values()].find(({ name }) => /^[^/]+\/data\.pkl$/.test(name));
  if (!pickle) throw new RangeError(`${file}: is a zip file without a data.pkl, so PyTorch did not write it`);
  const folder = pickle.name.slice(0, -"data.pkl".length);
  const archive: Archive = { file, zip, folder, bigEndian: await isBigEndian(file, zip, zip.entries.get(`${folder}byteorder`)) };
  const program = await zip.readWhole(pickle, LONGEST_PICKLE);
  try {
    return tensorsIn(archive, unpickle(program, worldOf(archive)));
  } catch (error) {
    if (error instanceof RangeError && !error.message.startsWith(file)) throw new RangeError(`${file}: ${error.message}`);
    throw error;
  }
}

interface Archive {
  readonly file: string;
  readonly zip: Zip;
  /** "archive/" */
  readonly folder: string;
  readonly bigEndian: boolean;
}

const MAGIC = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];

/** Throws for the format before PyTorch 1.6 and for a pointer of Git LFS, which are often taken for such a file. */
async function requireZip(source: Source, file: string, size: number): Promise<void> {
  const first = await source.read(file, 0, Math.min(size, 64));
  if (first.length >= MAGIC.length && MAGIC.every((byte, i) => first[i] === byte))
    throw new RangeError(
      `${file}: was written in the format before PyTorch 1.6, which is not read; open it with PyTorch and save it again: torch.save(torch.load(path), path)`,
    );
  requireNoPointer(file, first);
}

/** A clone without Git LFS has a few lines of text where the weights should be. */
export function requireNoPointer(file: string, first: Uint8Array): void {
  if (new TextDecoder().decode(first).startsWith("version https://git-lfs"))
    throw new RangeError(`${file}: is a pointer of Git LFS, not the weights; run git lfs pull in its folder, or download the file itself`);
}

async function isBigEndian(file: string, zip: Zip, entry: ZipEntry | undefined): Promise<boolean> {
  if (!entry) return false;
  const order = new TextDecoder().decode(await zip.readWhole(entry, 64)).trim();
  if (order !== "little" && order !== "big") throw new RangeError(`${file}: its byteorder is ${describe(order)}; want little or big`);
  return order === "big";
}

function tensorsIn({ file }: Archive, root: Pickled): StoredTensor[] {
  if (!(root instanceof Map)) throw new RangeError(`${file}: holds ${describe(root)}; want a dictionary of tensors`);
  return [...root].map(([name, value]: [unknown, Pickled]) => {
    if (typeof name !== "string") throw new RangeError(`${file}: holds something under ${describe(name)}; want names of tensors`);
    if (!(value instanceof TensorView))
      throw new RangeError(`${file}: holds ${describe(value)} under "${name}"; want tensors alone, as model.state_dict() has them`);
    return value.named(name);
  });
}

// The closed set of names

/** The type in a persistent id; a pickle may name it and may not call it. */
class StorageType extends PickleGlobal {
  readonly dtype: StoredDType;

  constructor(name: string, dtype: StoredDType) {
    super(() => fail(`its pickle calls ${name}`));
    this.dtype = dtype;
  }
}

interface Storage {
  readonly entry: ZipEntry;
  readonly dtype: StoredDType;
  readonly size: number;
}

class StorageOf {
  readonly storage: Storage;

  constructor(storage: Storage) {
    this.storage = storage;
  }
}

function worldOf(archive: Archive): PickleWorld {
  const calls: Record<string, (args: readonly Pickled[]) => Pickled> = {
    "collections OrderedDict": ([items]) => orderedDict(items),
    "torch._utils _rebuild_tensor_v2": (args) => new TensorView(archive, args),
    "torch._utils _rebuild_parameter": ([tensor]) =>
      tensor instanceof TensorView ? tensor : fail(`its pickle makes a parameter of ${describe(tensor)}`),
  };
  const globals = new Map<string, PickleGlobal>(Object.entries(calls).map(([name, call]) => [name, new PickleGlobal(call)]));
  for (const [name, dtype] of Object.entries(storageTypes)) globals.set(`torch ${name}`, new StorageType(name, dtype));
  return { find: (name) => globals.get(name), load: (id) => new StorageOf(storageOf(archive, id)) };
}

function fail(why: string): never {
  throw new RangeError(why);
}

function orderedDict(items: Pickled = null): Map<string | number, Pickled> {
  const made = new Map<string | number, Pickled>();
  for (const item of Array.isArray(items) ? items : []) {
    const [key, value]: Pickled[] = Array.isArray(item) ? item : [];
    if (typeof key !== "string" || value === undefined) fail(`its pickle makes a dictionary of ${describe(item)}`);
    else made.set(key, value);
  }
  return made;
}

/** ("storage", type, key, location, elements) */
function storageOf({ zip, folder }: Archive, id: Pickled): Storage {
  const [kind, type, key, , size]: Pickled[] = Array.isArray(id) ? id : [];
  if (kind !== "storage" || !(type instanceof StorageType) || typeof key !== "string" || !isCount(size))
    return fail(`its pickle refers to ${describe(id)}; want ("storage", type, key, location, elements)`);
  const entry = zip.entries.get(`${folder}data/${key}`) ?? fail(`its storage "${key}" is missing: there is no entry ${folder}data/${key}`);
  const bytes = size * BYTES[type.dtype];
  if (entry.size !== bytes) fail(`its storage "${key}" should hold ${size} ${type.dtype}, ${bytes} bytes; the entry holds ${entry.size}`);
  return { entry, dtype: type.dtype, size };
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function counts(what: string, value: Pickled | undefined): readonly number[] {
  return Array.isArray(value) && value.every(isCount)
    ? value
    : fail(`the ${what} of a tensor is ${describe(value)}; want whole numbers of 0 or more`);
}

const MOST_AXES = 16;

/** A strided view of a storage. */
class TensorView {
  readonly #archive: Archive;
  readonly #storage: Storage;
  readonly #offset: number;
  readonly #shape: readonly number[];
  readonly #strides: readonly number[];

  /** _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks) */
  constructor(archive: Archive, [held, offset, size, stride]: readonly Pickled[]) {
    this.#archive = archive;
    this.#storage = held instanceof StorageOf ? held.storage : fail(`its pickle makes a tensor of ${describe(held)}; want a storage`);
    [this.#offset] = counts("offset", [offset]);
    this.#shape = counts("shape", size);
    this.#strides = counts("strides", stride);
    this.#requireBounds();
  }

  #requireBounds(): void {
    const [shape, strides, { entry, size }] = [this.#shape, this.#strides, this.#storage];
    const shown = `a tensor ${formatShape(shape.slice(0, MOST_AXES))} with strides ${formatShape(strides.slice(0, MOST_AXES))} at ${this.#offset}`;
    if (shape.length > MOST_AXES) fail(`a tensor has ${shape.length} axes; at most ${MOST_AXES} are read`);
    if (strides.length !== shape.length) fail(`${shown}: as many strides as sizes are needed`);
    const length = sizeOf(shape);
    if (length === 0) return;
    if (this.#span() > size - this.#offset) fail(`${shown} reaches beyond the ${size} elements of its storage "${entry.name}"`);
    // With strides of 0, 4 bytes could claim a tensor that fills all memory.
    if (length > size) fail(`${shown} repeats elements of its storage "${entry.name}", which holds ${size}`);
  }

  /** Elements from the first to the last, both included. */
  #span(): number {
    return this.#shape.reduce((sum, n, axis) => sum + (n - 1) * this.#strides[axis], 1);
  }

  named(name: string): StoredTensor {
    const { file } = this.#archive;
    const { entry, dtype } = this.#storage;
    const place = `${file} ${entry.name} ${this.#offset} ${this.#shape.join()} ${this.#strides.join()}`;
    return { name, file, dtype, shape: this.#shape, place, pieces: () => this.#pieces() };
  }

  async *#pieces(): AsyncGenerator<Piece> {
    const { zip, bigEndian } = this.#archive;
    const { entry, dtype } = this.#storage;
    const width = BYTES[dtype];
    if (sizeOf(this.#shape) === 0) return;
    const [begin, end] = [this.#offset * width, (this.#offset + this.#span()) * width];
    const pieces = zip.pieces(entry, begin, end);
    const ordered = isRowMajor(this.#shape, this.#strides) ? pieces : this.#gathered(pieces, end - begin, width);
    if (!bigEndian) return yield* ordered;
    for await (const { at, bytes } of wholeRows(ordered, width)) yield { at, bytes: swapped(bytes, width) };
  }

  /** Row-major, of a view that is not: all that it spans is read first. */
  async *#gathered(pieces: AsyncIterable<Piece>, span: number, width: number): AsyncGenerator<Piece> {
    const bytes = new Uint8Array(span);
    for await (const piece of pieces) bytes.set(piece.bytes, piece.at);
    const out = new Uint8Array(sizeOf(this.#shape) * width);
    let at = 0;
    const copy = (axis: number, from: number): void => {
      if (axis === this.#shape.length) {
        for (let i = 0; i < width; i++) out[at++] = bytes[from * width + i];
        return;
      }
      for (let i = 0; i < this.#shape[axis]; i++) copy(axis + 1, from + i * this.#strides[axis]);
    };
    copy(0, 0);
    yield { at: 0, bytes: out };
  }
}

/** Whether the view is row-major. Strides of axes of size 1 do not matter. */
function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== step) return false;
    step *= shape[axis];
  }
  return true;
}

function swapped(bytes: Uint8Array, width: number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  for (let at = 0; at < bytes.length; at++) out[at] = bytes[at + width - 1 - 2 * (at % width)];
  return out;
}
