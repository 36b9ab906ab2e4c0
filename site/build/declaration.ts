/** Code as pages show it: read from the sources when the site is built, so that no page holds a copy that can grow stale. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";

/** One top-level statement of a source file. */
export interface Declaration {
  /** The name it declares; empty for imports and other statements. */
  readonly name: string;
  /** With the comment above it. */
  readonly text: string;
  /** Line of the declaration itself, from 1. */
  readonly line: number;
  readonly exported: boolean;
}

/** All top-level statements of a file, in order; comments belong to what follows them. */
export function declarationsOf(root: string, file: string): Declaration[] {
  const text = readFileSync(join(root, file), "utf8");
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  return source.statements.map((statement) => ({
    name: nameOf(statement),
    text: text.slice(statement.getFullStart(), statement.getEnd()).replace(/^\s*\n/, ""),
    line: source.getLineAndCharacterOfPosition(statement.getStart()).line + 1,
    exported: ts.canHaveModifiers(statement) && (ts.getModifiers(statement) ?? []).some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword),
  }));
}

/** `src/moe/topKRouter.ts#TopKRouter.#gates`: a file, what it declares, and a method of that. */
export function partsOf(anchor: string): { readonly file: string; readonly name: string; readonly member: string | undefined } {
  const [, file = "", name = "", member] = /^([^#]+)#(\w+)(?:\.(#?\w+))?$/.exec(anchor) ?? [];
  if (name === "") throw new Error(`site: "${anchor}": want file#name or file#name.method`);
  return { file, name, member };
}

/**
 * The text of `src/moe/capacity.ts#capacityOf`, or of one method: `src/moe/moeLayer.ts#MoE.forward`. Throws where the file or the
 * name does not exist, so that a renamed function stops the build.
 */
export function declaration(root: string, anchor: string): { readonly text: string; readonly line: number } {
  const { file, name, member } = partsOf(anchor);
  const found = declarationsOf(root, file).find((candidate) => candidate.name === name);
  if (!found) throw new Error(`site: ${file} declares no ${name}`);
  return member === undefined ? found : memberOf(root, file, name, member);
}

function memberOf(root: string, file: string, name: string, member: string): { text: string; line: number } {
  const text = readFileSync(join(root, file), "utf8");
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  const owner = source.statements.filter(ts.isClassDeclaration).find((candidate) => candidate.name?.text === name);
  const found = owner?.members.find((candidate) => candidate.name?.getText() === member);
  if (!found) throw new Error(`site: ${name} of ${file} has no ${member}`);
  const whole = text.slice(found.getFullStart(), found.getEnd()).replace(/^\s*\n/, "");
  return { text: outdented(whole), line: source.getLineAndCharacterOfPosition(found.getStart()).line + 1 };
}

function outdented(text: string): string {
  const indent = /^ */.exec(text)?.[0].length ?? 0;
  return text
    .split("\n")
    .map((line) => (line.slice(0, indent).trim() === "" ? line.slice(indent) : line))
    .join("\n");
}

function nameOf(statement: ts.Statement): string {
  if (ts.isVariableStatement(statement)) return statement.declarationList.declarations[0]?.name.getText() ?? "";
  if (
    ts.isFunctionDeclaration(statement) ||
    ts.isClassDeclaration(statement) ||
    ts.isInterfaceDeclaration(statement) ||
    ts.isTypeAliasDeclaration(statement)
  )
    return statement.name?.text ?? "";
  return "";
}
