/** The public names of the package, read from its sources: what each entry exports, where it is declared, and what its docstring says. */
import { readFileSync } from "node:fs";
import { posix } from "node:path";
import { parseSync } from "oxc-parser";
import type { Class, Comment, Function as FunctionNode, Program, TSInterfaceDeclaration, TSType, TSTypeAliasDeclaration } from "oxc-parser";
import type { Entry } from "../../../scripts/entries.ts";

type DeclarationNode =
  Class | FunctionNode | TSInterfaceDeclaration | TSTypeAliasDeclaration | { readonly type: "Value"; readonly start: number };

/** One declaration of a file. Overloads of a function are one. */
export interface Declaration {
  readonly file: string;
  readonly name: string;
  readonly node: DeclarationNode;
  readonly doc: string | undefined;
}

/** A name as users write it: "tensor", "random.uniform". */
export interface PublicName {
  readonly path: string;
  readonly declaration: Declaration;
}

/** A public member of a class, its own or inherited. */
export interface Member {
  readonly owner: Declaration;
  readonly name: string;
  readonly kind: "method" | "constructor" | "field" | "accessor";
  readonly static: boolean;
  readonly overrides: boolean;
  readonly abstract: boolean;
  readonly function: FunctionNode | undefined;
  readonly doc: string | undefined;
}

interface Origin {
  readonly file: string;
  /** "*" for the whole file as a namespace. */
  readonly name: string;
}

interface Source {
  readonly file: string;
  readonly text: string;
  readonly comments: readonly Comment[];
  readonly body: Program["body"];
  readonly declarations: ReadonlyMap<string, Declaration>;
  readonly imports: ReadonlyMap<string, Origin>;
  readonly exports: ReadonlyMap<string, Origin>;
}

const sources = new Map<string, Source>();

/** A parsed file, by its path from the repository's root. */
export function source(file: string): Source {
  let known = sources.get(file);
  if (!known) sources.set(file, (known = parse(file)));
  return known;
}

function parse(file: string): Source {
  const text = readFileSync(new URL(`../../../${file}`, import.meta.url), "utf8");
  const { program, comments, errors } = parseSync(file, text);
  if (errors.length > 0) throw new Error(`${file}: ${errors[0].message}`);
  const declarations = new Map<string, Declaration>();
  const imports = new Map<string, Origin>();
  const exports = new Map<string, Origin>();
  const at = (specifier: string): string => posix.join(posix.dirname(file), specifier);
  const declare = (name: string, node: DeclarationNode, start: number): void => {
    if (!declarations.has(name)) declarations.set(name, { file, name, node, doc: docBefore(text, comments, start) });
  };
  for (const statement of program.body) {
    if (statement.type === "ImportDeclaration" && statement.source.value.startsWith("."))
      for (const part of statement.specifiers)
        imports.set(part.local.name, {
          file: at(statement.source.value),
          name: part.type === "ImportSpecifier" ? nameOf(part.imported) : "*",
        });
    if (statement.type === "ExportAllDeclaration" && statement.exported)
      exports.set(nameOf(statement.exported), { file: at(statement.source.value), name: "*" });
    const exported = statement.type === "ExportNamedDeclaration";
    if (exported && !statement.declaration)
      for (const part of statement.specifiers) {
        const name = nameOf(part.local);
        const from = statement.source ? { file: at(statement.source.value), name } : (imports.get(name) ?? { file, name });
        exports.set(nameOf(part.exported), from);
      }
    const node = exported ? statement.declaration : statement;
    if (!node) continue;
    for (const [name, declared] of declaredBy(node)) {
      declare(name, declared, statement.start);
      if (exported) exports.set(name, { file, name });
    }
  }
  return { file, text, comments, body: program.body, declarations, imports, exports };
}

function nameOf(node: { readonly type: string; readonly name?: string; readonly value?: unknown }): string {
  return node.name ?? String(node.value);
}

function declaredBy(node: Program["body"][number] | DeclarationNode): [string, DeclarationNode][] {
  switch (node.type) {
    case "ClassDeclaration":
    case "FunctionDeclaration":
    case "TSDeclareFunction":
    case "TSInterfaceDeclaration":
    case "TSTypeAliasDeclaration":
      return node.id ? [[node.id.name, node]] : [];
    case "VariableDeclaration":
      return node.declarations.flatMap(({ id, start }) => (id.type === "Identifier" ? [[id.name, { type: "Value", start }]] : []));
    default:
      return [];
  }
}

/** The text of the docstring that ends where the node begins. */
function docBefore(text: string, comments: readonly Comment[], start: number): string | undefined {
  const last = comments.findLast(({ end }) => end <= start);
  if (!last || last.type !== "Block" || !last.value.startsWith("*") || text.slice(last.end, start).trim() !== "") return undefined;
  return last.value
    .split("\n")
    .map((line) => line.replace(/^\s*\*+ ?/, "").trim())
    .join(" ")
    .trim();
}

/** Where a name of a file comes from, through imports and re-exports. */
export function lookUp(file: string, name: string): Declaration | undefined {
  const { declarations, imports } = source(file);
  const own = declarations.get(name);
  if (own) return own;
  const origin = imports.get(name);
  return origin && resolve(origin);
}

function resolve({ file, name }: Origin): Declaration | undefined {
  const { declarations, exports } = source(file);
  const own = declarations.get(name);
  if (own) return own;
  const origin = exports.get(name);
  return origin && (origin.file !== file || origin.name !== name) ? resolve(origin) : undefined;
}

/** Everything that an entry exports; of a namespace, its parts. */
export function publicNames({ source: entry }: Entry): PublicName[] {
  return namesOf(entry.replace(/^\.\//, ""), "");
}

function namesOf(file: string, prefix: string): PublicName[] {
  return [...source(file).exports].flatMap(([name, origin]): PublicName[] => {
    if (origin.name === "*") return namesOf(origin.file, `${prefix}${name}.`);
    const declaration = resolve(origin);
    if (!declaration) throw new Error(`${file}: ${name} is exported, and declared nowhere`);
    return [{ path: prefix + name, declaration }];
  });
}

/** The public members of a class; those of the classes under it too, unless it overrides them. */
export function membersOf(owner: Declaration): Member[] {
  const { node, file } = owner;
  if (node.type !== "ClassDeclaration") return [];
  const own = node.body.body.flatMap((part) => memberOf(owner, part));
  const base = node.superClass?.type === "Identifier" ? lookUp(file, node.superClass.name) : undefined;
  const named = new Set(own.map(({ name }) => name));
  return [...own, ...(base ? membersOf(base) : []).filter(({ name }) => !named.has(name))];
}

function memberOf(owner: Declaration, part: Class["body"]["body"][number]): Member[] {
  const method = part.type === "MethodDefinition" || part.type === "TSAbstractMethodDefinition";
  if (!method && part.type !== "PropertyDefinition" && part.type !== "TSAbstractPropertyDefinition") return [];
  if (part.key.type !== "Identifier" || part.computed || part.accessibility === "private" || part.accessibility === "protected") return [];
  const { text, comments } = source(owner.file);
  const doc = docBefore(text, comments, part.start) ?? inheritedDoc(owner, part.key.name);
  if (doc?.includes("@internal")) return [];
  const kind = !method ? "field" : part.kind === "get" || part.kind === "set" ? "accessor" : part.kind;
  return [
    {
      owner,
      name: part.key.name,
      kind,
      static: part.static,
      overrides: part.override ?? false,
      abstract: part.type.startsWith("TSAbstract"),
      function: method ? part.value : undefined,
      doc,
    },
  ];
}

/** What the class under it, or an interface that it implements, says of a member: editors show that where the member is silent. */
function inheritedDoc({ file, node }: Declaration, member: string): string | undefined {
  if (node.type !== "ClassDeclaration") return undefined;
  const base = node.superClass?.type === "Identifier" ? lookUp(file, node.superClass.name) : undefined;
  const said = base && membersOf(base).find(({ name }) => name === member)?.doc;
  if (said !== undefined) return said;
  for (const { expression } of node.implements ?? [])
    for (const found of expression.type === "Identifier" ? interfaceDocs(lookUp(file, expression.name), member) : []) return found;
  return undefined;
}

function interfaceDocs(declaration: Declaration | undefined, member: string): string[] {
  if (declaration?.node.type !== "TSInterfaceDeclaration") return [];
  const { text, comments } = source(declaration.file);
  return declaration.node.body.body.flatMap((part) => {
    const named = (part.type === "TSMethodSignature" || part.type === "TSPropertySignature") && part.key.type === "Identifier";
    const doc = named && part.key.type === "Identifier" && part.key.name === member ? docBefore(text, comments, part.start) : undefined;
    return doc === undefined ? [] : [doc];
  });
}

/** The parameters of a function, in order: name, type as written, whether it may be left out. */
export interface Parameter {
  readonly name: string;
  readonly type: TSType | undefined;
  readonly optional: boolean;
  readonly rest: boolean;
}

export function parametersOf(node: Pick<FunctionNode, "params">): Parameter[] {
  return node.params.map((written): Parameter => {
    if (written.type === "RestElement") {
      const name = written.argument.type === "Identifier" ? written.argument.name : "rest";
      return { name, type: written.typeAnnotation?.typeAnnotation, optional: true, rest: true };
    }
    const pattern = written.type === "TSParameterProperty" ? written.parameter : written;
    const optional = pattern.type === "AssignmentPattern" || ("optional" in pattern && Boolean(pattern.optional));
    const bound = pattern.type === "AssignmentPattern" ? pattern.left : pattern;
    const name = bound.type === "Identifier" ? bound.name : "options";
    return { name, type: "typeAnnotation" in bound ? bound.typeAnnotation?.typeAnnotation : undefined, optional, rest: false };
  });
}
