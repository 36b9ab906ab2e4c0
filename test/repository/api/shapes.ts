/** What a parameter's type asks for, read from the sources: the options of an object, and a plain value that fits. */
import type { TSType } from "oxc-parser";
import { lookUp, source } from "./sources.ts";

/** A type and the file whose names it uses. */
export interface Typed {
  readonly type: TSType;
  readonly file: string;
}

/** One option of an object type. */
export interface Option extends Typed {
  readonly name: string;
  readonly optional: boolean;
}

/** The name of a type reference, and what stands between its angle brackets. */
export function referenceOf(type: TSType): { name: string; given: readonly TSType[] } | undefined {
  if (type.type !== "TSTypeReference" || type.typeName.type !== "Identifier") return undefined;
  return { name: type.typeName.name, given: type.typeArguments?.params ?? [] };
}

/** The options of an object type; undefined where the type is none. */
export function optionsOf({ type, file }: Typed): Option[] | undefined {
  switch (type.type) {
    case "TSTypeLiteral":
      return signatures(type.members, file);
    case "TSIntersectionType": {
      const parts = type.types.flatMap((part) => optionsOf({ type: part, file }) ?? []);
      return parts.length > 0 ? parts : undefined;
    }
    case "TSTypeReference":
      return ofReference({ type, file });
    default:
      return undefined;
  }
}

function ofReference({ type, file }: Typed): Option[] | undefined {
  const reference = referenceOf(type);
  if (!reference) return undefined;
  const { name, given } = reference;
  const inner = given[0] && optionsOf({ type: given[0], file });
  if (name === "Readonly") return inner;
  if (name === "Partial") return inner?.map((option) => ({ ...option, optional: true }));
  if (name === "Omit" || name === "Pick") {
    const names = new Set(literals(given[1]));
    return inner?.filter((option) => names.has(option.name) === (name === "Pick"));
  }
  const declared = lookUp(file, name);
  if (declared?.node.type === "TSTypeAliasDeclaration") return optionsOf({ type: declared.node.typeAnnotation, file: declared.file });
  if (declared?.node.type !== "TSInterfaceDeclaration") return undefined;
  const own = signatures(declared.node.body.body, declared.file);
  const base = declared.node.extends.flatMap((clause) => {
    const { text } = source(declared.file);
    const written = { type: "TSTypeReference", typeName: clause.expression, typeArguments: clause.typeArguments } as unknown as TSType;
    return text && clause.expression.type === "Identifier" ? (optionsOf({ type: written, file: declared.file }) ?? []) : [];
  });
  return [...own, ...base.filter((option) => !own.some(({ name }) => name === option.name))];
}

function literals(type: TSType | undefined): string[] {
  if (type?.type === "TSUnionType") return type.types.flatMap(literals);
  return type?.type === "TSLiteralType" && type.literal.type === "Literal" ? [String(type.literal.value)] : [];
}

interface Signature {
  readonly type: string;
  readonly key?: { readonly type: string; readonly name?: string };
  readonly optional?: boolean;
  readonly typeAnnotation?: { readonly typeAnnotation: TSType } | null;
}

function signatures(members: readonly unknown[], file: string): Option[] {
  return (members as readonly Signature[]).flatMap(({ type, key, optional = false, typeAnnotation }): Option[] =>
    type === "TSPropertySignature" && key?.name !== undefined && typeAnnotation
      ? [{ name: key.name, optional, type: typeAnnotation.typeAnnotation, file }]
      : [],
  );
}

/** Says that no value of a type could be made; the caller then needs one by hand. */
export class Unmade extends Error {}

/** A value that fits the type; `known` makes values of classes and of named types. */
export function valueOf({ type, file }: Typed, known: ReadonlyMap<string, () => unknown>, depth = 0): unknown {
  const make = (inner: TSType): unknown => valueOf({ type: inner, file }, known, depth + 1);
  if (depth > 8) throw new Unmade("too deep");
  switch (type.type) {
    case "TSNumberKeyword":
      return 2;
    case "TSStringKeyword":
      return "a";
    case "TSBooleanKeyword":
      return true;
    case "TSNullKeyword":
      return null;
    case "TSUndefinedKeyword":
    case "TSVoidKeyword":
    case "TSUnknownKeyword":
      return undefined;
    case "TSLiteralType":
      if (type.literal.type === "Literal") return type.literal.value;
      throw new Unmade("literal");
    case "TSParenthesizedType":
    case "TSTypeOperator":
      return make(type.typeAnnotation);
    case "TSArrayType":
      return [make(type.elementType)];
    case "TSTupleType":
      return type.elementTypes.flatMap((part) =>
        part.type === "TSOptionalType" || part.type === "TSRestType"
          ? []
          : [make(part.type === "TSNamedTupleMember" ? (part.elementType as TSType) : part)],
      );
    case "TSFunctionType":
      return () => undefined;
    case "TSUnionType":
      return firstMade(type.types, make);
    case "TSTypeLiteral":
    case "TSIntersectionType":
    case "TSTypeReference":
      return named({ type, file }, known, depth);
    default:
      throw new Unmade(type.type);
  }
}

function firstMade(types: readonly TSType[], make: (type: TSType) => unknown): unknown {
  for (const type of types)
    try {
      return make(type);
    } catch (error) {
      if (!(error instanceof Unmade)) throw error;
    }
  throw new Unmade("union");
}

function named({ type, file }: Typed, known: ReadonlyMap<string, () => unknown>, depth: number): unknown {
  const reference = referenceOf(type);
  const make = reference && known.get(reference.name);
  if (make) return make();
  if (reference && ["Iterable", "ReadonlyArray", "Array"].includes(reference.name) && reference.given[0])
    return [valueOf({ type: reference.given[0], file }, known, depth + 1)];
  const options = optionsOf({ type, file });
  if (options)
    return Object.fromEntries(
      options.filter(({ optional }) => !optional).map((option) => [option.name, valueOf(option, known, depth + 1)]),
    );
  const declared = reference && lookUp(file, reference.name);
  if (declared?.node.type === "TSTypeAliasDeclaration")
    return valueOf({ type: declared.node.typeAnnotation, file: declared.file }, known, depth + 1);
  throw new Unmade(reference?.name ?? type.type);
}
