/** Which libraries are looked for, in which order, and what is said where there is none. What they do: mpi.test.ts. */
import { expect } from "chai";
import { libraryNames, openMpi } from "../../src/distributed/mpiLibrary.ts";

describe("the library of MPI", () => {
  it("is Open MPI before MPICH on Linux; started by MPICH's mpirun, MPICH before Open MPI", () => {
    const [openMpi, mpich] = [["libmpi.so.40", "libmpi.so.20", "libmpi.so"], ["libmpich.so.12", "libmpi.so.12"]]; // prettier-ignore
    expect(libraryNames({}, "linux")).to.deep.equal([...openMpi, ...mpich]);
    expect(libraryNames({ PMI_RANK: "0" }, "linux")).to.deep.equal([...mpich, ...openMpi]);
    // Slurm's launcher sets both
    expect(libraryNames({ PMI_RANK: "0", OMPI_COMM_WORLD_RANK: "0" }, "linux")).to.deep.equal([...openMpi, ...mpich]);
  });

  it("is looked for in the folders of Homebrew too on macOS, name by name", () => {
    const names = libraryNames({}, "darwin");
    expect(names.slice(0, 4)).to.deep.equal(["libmpi.dylib", "/opt/homebrew/lib/libmpi.dylib", "/usr/local/lib/libmpi.dylib", "libmpi.40.dylib"]); // prettier-ignore
    expect(names).to.have.length(15).and.to.include("/opt/homebrew/lib/libmpich.dylib");
    expect(libraryNames({ PMI_RANK: "1" }, "darwin")[0]).to.equal("libmpich.dylib");
  });

  it("is the one that SWITCHYARD_MPI names, and no other; an error lists what was tried and how MPI is installed", async () => {
    const env = { SWITCHYARD_MPI: "/nowhere/libmpi.so", PMI_RANK: "0" };
    for (const platform of ["linux", "darwin"] as const) expect(libraryNames(env, platform)).to.deep.equal(["/nowhere/libmpi.so"]);
    const before = process.env["SWITCHYARD_MPI"];
    process.env["SWITCHYARD_MPI"] = env.SWITCHYARD_MPI;
    try {
      const error = await openMpi().then(() => "it was opened", String);
      expect(error).to.match(
        /^Error: mpi: no MPI library could be opened \(\/nowhere\/libmpi\.so: .+\)\. Install one: Debian and Ubuntu: /,
      );
    } finally {
      if (before === undefined) delete process.env["SWITCHYARD_MPI"];
      else process.env["SWITCHYARD_MPI"] = before;
    }
  });
});
