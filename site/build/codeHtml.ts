/**
 * Code as coloured HTML. TypeScript and JavaScript are read by TypeScript's own parser, which takes a tenth of the time of a grammar of
 * regular expressions on the hundreds of source pages; other languages stay plain.
 */
import ts from "typescript";

/** A piece of text and its class in code.css: keyword, string, comment, number, type or function; empty for the rest. */
interface Piece {
  readonly text: string;
  readonly kind: "" | "k" | "s" | "c" | "n" | "t" | "f";
}

export interface CodeOptions {
  /** Whether line n gets the id `Ln`. */
  readonly ids?: boolean;
  /** Lines, from 0, that are marked as changed. */
  readonly changed?: (line: number) => boolean;
  /** Classes and attributes of the `pre`. */
  readonly pre?: string;
}

const parsed = new Set(["ts", "js", "mjs", "typescript", "javascript"]);

/** The text in lines; `language` is the ending of a file or the word after a fence. */
export function codeHtml(text: string, language: string, { ids = false, changed, pre = 'class="code"' }: CodeOptions = {}): string {
  const pieces: readonly Piece[] = parsed.has(language) ? piecesOf(text) : [{ text, kind: "" }];
  const rows = linesOf(pieces).map((line, i) => {
    const id = ids ? ` id="L${i + 1}"` : "";
    return `<span class="line${changed?.(i) ? " changed" : ""}"${id}>${line}</span>`;
  });
  return `<pre ${pre} tabindex="0"><code>${rows.join("\n")}</code></pre>`;
}

function linesOf(pieces: readonly Piece[]): string[] {
  const lines = [""];
  for (const { text, kind } of pieces)
    text.split("\n").forEach((part, i) => {
      if (i > 0) lines.push("");
      const shown = part.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
      lines[lines.length - 1] += kind === "" || part.trim() === "" ? shown : `<span class="${kind}">${shown}</span>`;
    });
  return lines;
}

function piecesOf(text: string): Piece[] {
  const source = ts.createSourceFile("code.ts", text, ts.ScriptTarget.Latest, true);
  const pieces: Piece[] = [];
  let at = 0;
  // What stands between tokens is space and comments.
  const gap = (to: number): void => {
    if (to > at) pieces.push({ text: text.slice(at, to), kind: "c" });
    at = Math.max(at, to);
  };
  const visit = (node: ts.Node): void => {
    const children = node.getChildren(source).filter(({ kind }) => kind < ts.SyntaxKind.FirstJSDocNode || kind > ts.SyntaxKind.LastJSDocNode); // prettier-ignore
    if (children.length > 0) return children.forEach(visit);
    if (node.kind === ts.SyntaxKind.SyntaxList) return; // an empty one
    gap(node.getStart(source));
    pieces.push({ text: text.slice(at, node.end), kind: kindOf(node) });
    at = Math.max(at, node.end);
  };
  visit(source);
  gap(text.length);
  return pieces;
}

function kindOf(node: ts.Node): Piece["kind"] {
  const { kind, parent } = node;
  if (kind >= ts.SyntaxKind.FirstKeyword && kind <= ts.SyntaxKind.LastKeyword) return "k";
  if (kind === ts.SyntaxKind.NumericLiteral || kind === ts.SyntaxKind.BigIntLiteral) return "n";
  if (ts.isStringLiteralLike(node) || ts.isTemplateLiteralToken(node) || kind === ts.SyntaxKind.RegularExpressionLiteral) return "s";
  return ts.isIdentifier(node) ? kindOfName(node, parent) : "";
}

function kindOfName(name: ts.Identifier, parent: ts.Node): Piece["kind"] {
  const names = "name" in parent && parent.name === name;
  if (ts.isTypeReferenceNode(parent) || ts.isExpressionWithTypeArguments(parent) || ts.isTypeParameterDeclaration(parent)) return "t";
  if (names && (ts.isClassDeclaration(parent) || ts.isInterfaceDeclaration(parent) || ts.isTypeAliasDeclaration(parent))) return "t";
  if (names && ts.isFunctionLike(parent)) return "f";
  const called: ts.Node = ts.isPropertyAccessExpression(parent) && names ? parent : name;
  return ts.isCallOrNewExpression(called.parent) && called.parent.expression === called ? "f" : "";
}
