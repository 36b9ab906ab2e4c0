/** Everything public says what it is where the cursor is: on the class, function, method or type itself. */
import { expect } from "chai";
import { entries } from "../../scripts/entries.ts";
import { membersOf, publicNames } from "./api/sources.ts";
import type { Declaration } from "./api/sources.ts";

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

describe("docstrings", () => {
  const counted = new Map<string, number>();
  const all = new Map<string, Documented>();
  for (const entry of entries)
    for (const { declaration } of publicNames(entry)) for (const thing of documented(declaration)) all.set(thing.where, thing);
  for (const { kind } of all.values()) counted.set(kind, (counted.get(kind) ?? 0) + 1);

  it(`stand on all that is public: ${[...counted].map(([kind, n]) => `${n} ${kind}`).join(", ")}`, () => {
    const silent = [...all.values()].filter(({ doc }) => !saysSomething(doc)).map(({ where, kind }) => `${kind} ${where}`);
    expect(counted.get("class"), "classes").to.be.above(40);
    expect(counted.get("method"), "methods").to.be.above(150);
    expect(silent.sort()).to.deep.equal([]);
  });
});
