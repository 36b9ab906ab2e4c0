/** Everything public says what it is where the cursor is: on the class, function, method or type itself. */
import { expect } from "chai";
import { entries } from "../../scripts/entries.ts";
import { membersOf, publicNames, source } from "./api/sources.ts";
import type { Declaration, Member } from "./api/sources.ts";

/** A thing that must say what it is. */
interface Documented {
  /** "src/autograd/tensor.ts Tensor.softmax". */
  readonly where: string;
  readonly kind: string;
  readonly doc: string | undefined;
}

const kinds: Record<Declaration["node"]["type"], string> = {
  ClassDeclaration: "class",
  ClassExpression: "class",
  FunctionDeclaration: "function",
  FunctionExpression: "function",
  TSDeclareFunction: "function",
  TSEmptyBodyFunctionExpression: "function",
  TSInterfaceDeclaration: "type",
  TSTypeAliasDeclaration: "type",
  Value: "value",
};

/** What an exported name, and each public member of an exported class, says of itself. Constructors are documented by their class. */
function documented(declaration: Declaration): Documented[] {
  const { file, name, node, doc } = declaration;
  const members = membersOf(declaration)
    .filter(({ kind }) => kind === "method" || kind === "accessor")
    .map((member) => ({ where: `${member.owner.file} ${member.owner.name}.${member.name}`, kind: member.kind, doc: member.doc }));
  return [{ where: `${file} ${name}`, kind: kinds[node.type], doc }, ...members];
}

/** A docstring begins with a sentence: "x + y." is one. */
const saysSomething = (doc: string | undefined): boolean => doc !== undefined && /^\S.*?[.:?](\s|$)/.test(doc);

/** A public function, method or constructor: its signature, its body, and what it or its class says of it. */
interface Called {
  readonly where: string;
  readonly head: string;
  readonly body: string;
  readonly doc: string;
}

function called(file: string, where: string, node: NonNullable<Member["function"]>, doc: string): Called {
  const { text } = source(file);
  const body = node.body ?? { start: node.end, end: node.end };
  return { where: `${file} ${where}`, head: text.slice(node.start, body.start), body: text.slice(body.start, body.end), doc };
}

function callsOf(declaration: Declaration): Called[] {
  const { file, name, node, doc } = declaration;
  const own = node.type === "FunctionDeclaration" ? [called(file, name, node, doc ?? "")] : [];
  const members = membersOf(declaration).flatMap(({ kind, owner, name: member, function: fn, doc: said }) =>
    fn && (kind === "method" || kind === "constructor")
      ? [called(owner.file, `${owner.name}.${member}`, fn, `${said ?? ""} ${owner.doc ?? ""}`)]
      : [],
  );
  return [...own, ...members];
}

const takesTensors = ({ head }: Called): boolean => /\bTensor\b/.test(head);
/** [T, E], "any shape", "a scalar", or words for what a shape is made of. */
const saysShapes = ({ doc }: Called): boolean => /\[[^\]]*\]|shape|scalar|element|broadcast|axis|axes/i.test(doc);
const refuses = ({ body }: Called): boolean => /\bcheck\(|checkOptions[<(]|throw new/.test(body);
const saysRefusal = ({ doc }: Called): boolean => /throw|error|refus|must|reject/i.test(doc);

/** Rooms whose exports implement what papers describe: each names its source, but for these. */
const ofPapers = /^src\/(nn|moe)\//;
const withoutSource: Readonly<Record<string, readonly string[]>> = {
  "a base of others, which name theirs": ["Module", "Optimizer", "PositionBias", "Router", "Experts", "ModuleExperts"],
  "plain algebra or arithmetic": [
    "Linear",
    "Embedding",
    "fans",
    "constantInitializer",
    "normal",
    "truncatedNormal",
    "gradNorm",
    "clipGradValue",
  ],
  "a textbook's loss": ["crossEntropy", "bceWithLogits", "l1Loss", "mseLoss"],
  "a line, a power or a staircase": ["constant", "linear", "polynomial", "ramp", "staircase"],
  "which pairs are hidden, by definition": ["documentBias", "paddingBias"],
  "runs, reads or writes, and computes nothing of its own": [
    "under",
    "summary",
    "evaluate",
    "generate",
    "generateBatch",
    "readSafetensors",
    "writeSafetensors",
    "fillSpans",
    "splitSpans",
    "readBooks",
    "trace",
    "formatTrace",
  ],
  counts: ["droppedBy", "expertsByClass", "measure"],
  "the rules of a program, which the docstring names": ["beamSearch"],
};

/** "Fedus et al. 2021, arXiv:2101.03961", "Kingma & Ba 2014", "Shannon 1948", or a number of arXiv. */
const namesSource = (doc: string | undefined): boolean =>
  /arXiv:\d{4}\.\d{4,5}|\p{Lu}[\p{L}-]+ (et al\. |& \p{Lu}[\p{L}-]+ )?(18|19|20)\d\d\b/u.test(doc ?? "");

describe("docstrings", () => {
  const counted = new Map<string, number>();
  const calls = new Map<string, Called>();
  const all = new Map<string, Documented>();
  for (const entry of entries)
    for (const { declaration } of publicNames(entry)) {
      for (const thing of documented(declaration)) all.set(thing.where, thing);
      for (const one of callsOf(declaration)) calls.set(one.where, one);
    }
  for (const { kind } of all.values()) counted.set(kind, (counted.get(kind) ?? 0) + 1);

  it(`stand on all that is public: ${[...counted].map(([kind, n]) => `${n} ${kind}`).join(", ")}`, () => {
    const silent = [...all.values()].filter(({ doc }) => !saysSomething(doc)).map(({ where, kind }) => `${kind} ${where}`);
    expect(counted.get("class"), "classes").to.be.above(40);
    expect(counted.get("method"), "methods").to.be.above(150);
    expect(silent.sort()).to.deep.equal([]);
  });

  it("name shapes where tensors come in or go out", () => {
    const tensors = [...calls.values()].filter(takesTensors);
    expect(tensors.length).to.be.above(150);
    expect(tensors.filter((one) => !saysShapes(one)).map(({ where }) => where).sort()).to.deep.equal([]); // prettier-ignore
  });

  it("say what is refused where arguments are checked", () => {
    const strict = [...calls.values()].filter(refuses);
    expect(strict.length).to.be.above(150);
    expect(strict.filter((one) => !saysRefusal(one)).map(({ where }) => where).sort()).to.deep.equal([]); // prettier-ignore
  });

  it("name the paper of every layer, router, loss, position, optimiser, schedule and metric", () => {
    const computed = [...all.values()].filter(({ where, kind }) => ofPapers.test(where) && (kind === "class" || kind === "function"));
    const name = ({ where }: Documented): string => where.slice(where.indexOf(" ") + 1);
    const excepted = Object.values(withoutSource).flat();
    expect(computed.length).to.be.above(110);
    expect(computed.length - excepted.length, "with a source").to.be.above(70);
    // An exception that no longer is one must go: what is compared is the whole list.
    const silent = computed.filter(({ doc }) => !namesSource(doc)).map(name);
    expect(silent.sort()).to.deep.equal(excepted.sort());
  });
});
