/**
 * The system's MPI, opened through koffi. Open MPI's handles are addresses of symbols that the library exports, MPICH's are the integers
 * of its mpi.h; `handlesOf` has a row for each. Which one was loaded, the library itself says.
 */
import type koffi from "koffi";
import type { Flat, Reduction } from "./flat.ts";

type Koffi = typeof koffi;
type Library = ReturnType<Koffi["load"]>;

/** A communicator, a type or an operation as the library takes it. */
export type Handle = bigint | number;
type TypeName = "float" | "double" | "int" | "short" | "byte";

export interface Handles {
  readonly world: Handle;
  readonly inPlace: bigint;
  readonly types: Readonly<Record<TypeName, Handle>>;
  readonly operations: Readonly<Record<Reduction, Handle>>;
}

/** The MPI functions that are used. They return 0; on errors MPI ends the program, which is its default. */
export interface MpiLibrary {
  /** "Open MPI v4.1.4", "MPICH 4.0.2": the library's own first words. */
  readonly version: string;
  readonly handles: Handles;
  call(name: FunctionName, ...given: readonly unknown[]): void;
  /** A communicator that `MPI_Comm_split` writes. */
  newHandle(): { readonly place: Flat | BigInt64Array; read(): Handle };
}

/** Arguments after the name: H a handle, p a buffer, i an int, I an array of ints. */
const signatures = {
  MPI_Initialized: "I",
  MPI_Init: "pp",
  MPI_Finalize: "",
  MPI_Abort: "Hi",
  MPI_Comm_rank: "HI",
  MPI_Comm_size: "HI",
  MPI_Comm_split: "Hiip",
  MPI_Barrier: "H",
  MPI_Bcast: "piHiH",
  MPI_Allgather: "piHpiHH",
  MPI_Allreduce: "ppiHHH",
  MPI_Alltoallv: "pIIHpIIHH",
} as const;
type FunctionName = keyof typeof signatures;

/** Names under which the libraries are installed on a platform, the likelier ones first. */
export function libraryNames(env: Readonly<Record<string, string | undefined>>, platform: string): string[] {
  if (env["SWITCHYARD_MPI"]) return [env["SWITCHYARD_MPI"]];
  const openMpi = platform === "darwin" ? ["libmpi.dylib", "libmpi.40.dylib"] : ["libmpi.so.40", "libmpi.so.20", "libmpi.so"];
  const mpich = platform === "darwin" ? ["libmpich.dylib", "libmpi.12.dylib", "libmpi.dylib"] : ["libmpich.so.12", "libmpi.so.12"];
  const startedByMpich = env["PMI_RANK"] !== undefined && env["OMPI_COMM_WORLD_RANK"] === undefined;
  const names = startedByMpich ? [...mpich, ...openMpi] : [...openMpi, ...mpich];
  return platform === "darwin" ? names.flatMap((name) => [name, `/opt/homebrew/lib/${name}`, `/usr/local/lib/${name}`]) : names;
}

/** Opens the first library that is there. Throws where koffi or every library is missing, and says how to get them. */
export async function openMpi(): Promise<MpiLibrary> {
  const koffi = await loadKoffi();
  // UCX, which MPICH sends through, otherwise replaces libc's memory functions to watch memory that it registers; one run in fifty then ended with
  // a segmentation fault in V8's collector. Messages within a host register none.
  process.env["UCX_MEM_EVENTS"] ??= "n";
  const faults: string[] = [];
  for (const name of libraryNames(process.env, process.platform)) {
    try {
      return bind(koffi, name);
    } catch (error) {
      faults.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  throw new Error(`mpi: no MPI library could be opened (${faults.join("; ")}). ${installation}`);
}

/** How MPI is installed. */
export const installation =
  "Install one: Debian and Ubuntu: apt-get install openmpi-bin; Fedora: dnf install openmpi openmpi-devel, then module load mpi; macOS: brew install open-mpi";

async function loadKoffi(): Promise<Koffi> {
  try {
    return (await import("koffi")).default;
  } catch (error) {
    throw new Error("mpi: the package koffi is not installed; add it: npm install koffi", { cause: error });
  }
}

function bind(koffi: Koffi, name: string): MpiLibrary {
  pin(koffi, name);
  const library = koffi.load(name);
  const version = versionOf(library);
  const open = version.startsWith("Open MPI");
  const handles = handlesOf(library, open);
  const types: Record<string, string> = { H: open ? "void *" : "int", p: "void *", i: "int", I: "int *" };
  const functions = new Map<FunctionName, (...given: unknown[]) => number>();
  for (const [of, signature] of Object.entries(signatures) as [FunctionName, string][])
    functions.set(
      of,
      library.func(
        of,
        "int",
        [...signature].map((kind) => types[kind]),
      ),
    );
  return {
    version,
    handles,
    call(of, ...given) {
      const status = functions.get(of)?.(...given);
      if (status !== 0) throw new Error(`${of}: ${version} answered with error ${status}`);
    },
    newHandle() {
      const place = open ? new BigInt64Array(1) : new Int32Array(1);
      return { place, read: () => place[0] };
    },
  };
}

/**
 * Opens the library for its own plug-ins too, which look for its functions, and keeps it in memory to the end: koffi closes it at exit, while
 * its threads still run. RTLD_NOW, GLOBAL and NODELETE. A library that is missing is named by koffi, which opens it next.
 */
function pin(koffi: Koffi, name: string): void {
  const flags = process.platform === "darwin" ? 0x8a : 0x1102;
  koffi.load(null).func("void *dlopen(const char *, int)")(name, flags);
}

function versionOf(library: Library): string {
  const text = new Uint8Array(8192);
  library.func("MPI_Get_library_version", "int", ["void *", "int *"])(text, new Int32Array(1));
  const [line] = new TextDecoder().decode(text.subarray(0, text.indexOf(0))).split(/[,\n]/);
  return line.replace(/\s*Version:\s*/, " ").trim();
}

function handlesOf(library: Library, open: boolean): Handles {
  if (!open)
    return {
      world: 0x44000000,
      inPlace: 0xffffffffffffffffn,
      types: { float: 0x4c00040a, double: 0x4c00080b, int: 0x4c000405, short: 0x4c000203, byte: 0x4c00010d },
      operations: { max: 0x58000001, min: 0x58000002, sum: 0x58000003 },
    };
  const address = (symbol: string): bigint => BigInt(library.symbol(symbol, "void *") as unknown as bigint);
  const type = (name: TypeName): bigint => address(`ompi_mpi_${name}`);
  const operation = (name: Reduction): bigint => address(`ompi_mpi_op_${name}`);
  return {
    world: address("ompi_mpi_comm_world"),
    inPlace: 1n,
    types: { float: type("float"), double: type("double"), int: type("int"), short: type("short"), byte: type("byte") },
    operations: { sum: operation("sum"), max: operation("max"), min: operation("min") },
  };
}

/** The library's type for the elements of an array. */
export function typeOf({ handles: { types } }: MpiLibrary, data: Flat): Handle {
  if (data instanceof Float32Array) return types.float;
  if (data instanceof Float64Array) return types.double;
  if (data instanceof Int32Array) return types.int;
  return data instanceof Uint16Array ? types.short : types.byte;
}
