import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { writeAtomically } from "../../examples/train/files.ts";
import { claimFolder } from "../../examples/train/folders.ts";
import { UserError } from "../../examples/train/userError.ts";

describe("files and folders of runs", () => {
  const home = process.cwd();
  let folder: string;
  beforeEach(() => process.chdir((folder = mkdtempSync(join(tmpdir(), "switchyard-files-")))));
  afterEach(() => {
    process.chdir(home);
    rmSync(folder, { recursive: true });
  });
  const own = { out: "", overwrite: false };

  it("writes all of a file or nothing, and says in one line why not", () => {
    writeAtomically("a/b/c", "text");
    expect(readFileSync("a/b/c", "utf8")).to.equal("text");
    mkdirSync("a/folder/full", { recursive: true });
    expect(() => writeAtomically("a/folder", "text")).to.throw(UserError, /^a\/folder cannot be written: .*directory/);
    expect(readdirSync("a")).to.have.members(["b", "folder"]);
  });

  it("gives every run a folder of its own", () => {
    const names = Array.from({ length: 3 }, () => claimFolder("switch-many-1", own));
    expect(names).to.deep.equal(["runs/switch-many-1", "runs/switch-many-1-2", "runs/switch-many-1-3"].map((name) => join(name)));
    expect(claimFolder("dense-many-1", own)).to.equal(join("runs", "dense-many-1"));
  });

  it("takes a folder that is asked for if it is new or empty", () => {
    expect(claimFolder("name", { out: "x/y", overwrite: false })).to.equal("x/y");
    expect(claimFolder("name", { out: "x/y", overwrite: false })).to.equal("x/y");
  });

  it("refuses one that holds somebody's files, and a run's", () => {
    mkdirSync("theirs");
    writeFileSync("theirs/model.safetensors", "precious");
    const claim = (overwrite: boolean) => claimFolder("name", { out: "theirs", overwrite });
    expect(() => claim(false)).to.throw(UserError, "--out theirs: there is model.safetensors in it: empty it, give a new folder, or --overwrite to replace it"); // prettier-ignore
    for (const name of ["last.safetensors", "config.json"]) writeFileSync(join("theirs", name), "");
    expect(() => claim(false)).to.throw(UserError, "--out theirs: there is a run in it: resume it, give a new folder");
    expect(readFileSync("theirs/model.safetensors", "utf8")).to.equal("precious");
  });

  it("replaces a run on purpose: what it left is gone, what is not a run's stays", () => {
    mkdirSync("mine");
    for (const name of ["last.safetensors", "model.safetensors", "config.json", "metrics.jsonl", "report.html", "notes.txt"])
      writeFileSync(join("mine", name), "");
    expect(claimFolder("name", { out: "mine", overwrite: true })).to.equal("mine");
    expect(readdirSync("mine")).to.deep.equal(["notes.txt"]);
  });
});
