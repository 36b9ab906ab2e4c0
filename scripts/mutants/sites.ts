/** Where a source may be mutated: every single small change of its meaning that a test should notice. Types and error messages are left alone. */
import { parseSync, visitorKeys } from "oxc-parser";
import type { Node } from "oxc-parser";

export const mutationKinds = [
  "operator",
  "comparison",
  "condition",
  "constant",
  "default",
  "statement",
  "argument",
  "method",
  "assignment",
] as const;
export type MutationKind = (typeof mutationKinds)[number];

/** One change: the characters from `start` to `end` of a file become `to`. */
export interface Mutant {
  readonly file: string;
  readonly kind: MutationKind;
  readonly line: number;
  readonly start: number;
  readonly end: number;
  readonly from: string;
  readonly to: string;
}

/** A change before it has a place in a file. */
interface Change {
  readonly kind: MutationKind;
  readonly start: number;
  readonly end: number;
  readonly to: string;
}

interface Place {
  readonly text: string;
  readonly parent: Node | undefined;
}

const swapped: Readonly<Record<string, readonly string[]>> = {
  "+": ["-"],
  "-": ["+"],
  "*": ["/"],
  "/": ["*"],
  "%": ["*"],
  "**": ["*"],
  "<<": [">>"],
  ">>": ["<<"],
  ">>>": ["<<"],
  "&": ["|"],
  "|": ["&"],
  "^": ["&"],
};

const compared: Readonly<Record<string, readonly string[]>> = {
  "<": ["<=", ">="],
  "<=": ["<", ">"],
  ">": [">=", "<="],
  ">=": [">", "<"],
  "===": ["!=="],
  "!==": ["==="],
  "==": ["!="],
  "!=": ["=="],
};

const assigned: Readonly<Record<string, string>> = { "+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=", "|=": "&=", "&=": "|=", "??=": "=" };

const methods: Readonly<Record<string, string>> = Object.fromEntries(
  [
    ["add", "sub"],
    ["mul", "div"],
    ["min", "max"],
    ["minimum", "maximum"],
    ["floor", "ceil"],
    ["every", "some"],
    ["sum", "mean"],
    ["equal", "notEqual"],
    ["less", "lessEqual"],
    ["greater", "greaterEqual"],
    ["shift", "pop"],
    ["find", "findLast"],
    ["sin", "cos"],
  ].flatMap(([a, b]) => [
    [a, b],
    [b, a],
  ]),
);

/** All mutants of one source, in the order of the text. */
export function mutantsOf(file: string, text: string, kinds: readonly MutationKind[] = mutationKinds): Mutant[] {
  const { program, errors } = parseSync(file, text);
  if (errors.length > 0) throw new SyntaxError(`mutants: ${file} cannot be parsed: ${errors[0].message}`);
  const changes: Change[] = [];
  walk(program, undefined, (node, parent) => void changes.push(...changesOf(node, { text, parent })));
  const starts = lineStarts(text);
  return changes
    .filter(({ kind }) => kinds.includes(kind))
    .map(({ kind, start, end, to }) => ({ file, kind, line: lineOf(starts, start), start, end, from: text.slice(start, end), to }))
    .filter(({ from, to }) => from !== to)
    .toSorted((a, b) => a.start - b.start || a.end - b.end);
}

/** The text with the change made. */
export function mutated(text: string, { start, end, to }: Mutant): string {
  return text.slice(0, start) + to + text.slice(end);
}

/** Whether the text is still a program. */
export function parses(file: string, text: string): boolean {
  return parseSync(file, text).errors.length === 0;
}

function walk(node: Node, parent: Node | undefined, visit: (node: Node, parent: Node | undefined) => void): void {
  const wrapsExpression = node.type === "TSAsExpression" || node.type === "TSNonNullExpression" || node.type === "TSSatisfiesExpression";
  if ((node.type.startsWith("TS") && !wrapsExpression) || node.type === "ThrowStatement") return;
  visit(node, parent);
  for (const key of visitorKeys[node.type] ?? []) for (const child of childrenAt(node, key)) walk(child, node, visit);
}

function childrenAt(node: Node, key: string): Node[] {
  const value: unknown = Object.entries(node).find(([name]) => name === key)?.[1];
  return (Array.isArray(value) ? value : [value]).filter(isNode);
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value && typeof value.type === "string";
}

function lineStarts(text: string): number[] {
  return [0, ...[...text.matchAll(/\n/g)].map(({ index }) => index + 1)];
}

function lineOf(starts: readonly number[], at: number): number {
  return starts.findLastIndex((start) => start <= at) + 1;
}

function changesOf(node: Node, place: Place): Change[] {
  const { text, parent } = place;
  const source = ({ start, end }: Node): string => text.slice(start, end);
  const whole = (kind: MutationKind, to: string): Change => ({ kind, start: node.start, end: node.end, to });
  switch (node.type) {
    case "BinaryExpression":
      return binary(node.operator, node.left, node.right, text);
    case "LogicalExpression":
      if (node.operator === "??") return [whole("default", source(node.left)), whole("default", source(node.right))];
      return [between("condition", node.operator, node.left, node.right, text, node.operator === "&&" ? "||" : "&&")];
    case "AssignmentPattern":
      return [whole("default", source(node.left))];
    case "UnaryExpression":
      return ["-", "!", "~"].includes(node.operator)
        ? [whole(node.operator === "!" ? "condition" : "operator", source(node.argument))]
        : [];
    case "UpdateExpression":
      return [whole("assignment", source(node).replace(node.operator, node.operator === "++" ? "--" : "++"))];
    case "AssignmentExpression": {
      const other = assigned[node.operator];
      return other ? [between("assignment", node.operator, node.left, node.right, text, other)] : [];
    }
    case "IfStatement":
    case "ConditionalExpression":
    case "WhileStatement":
    case "DoWhileStatement":
      return [...negated(node.test, text), ...(node.type === "IfStatement" && !node.alternate ? [whole("statement", ";")] : [])];
    case "ForStatement":
    case "ForOfStatement":
    case "ForInStatement":
    case "BreakStatement":
    case "ContinueStatement":
      return [whole("statement", ";")];
    case "ExpressionStatement":
      return node.directive == null && parent?.type !== "ArrowFunctionExpression" ? [whole("statement", ";")] : [];
    case "ReturnStatement":
      return node.argument ? [] : [whole("statement", ";")];
    case "CallExpression":
    case "NewExpression":
      return [...neighbours(node.arguments, text, () => true), ...(node.type === "CallExpression" ? otherMethod(node.callee) : [])];
    case "ArrayExpression":
      return neighbours(node.elements, text, () => true).slice(0, 1);
    case "ObjectExpression":
      // The later one of equal names counts.
      return neighbours(node.properties, text, (a, b) => a.type === "SpreadElement" || b.type === "SpreadElement");
    case "Literal":
      return literal(node.value, source(node)).map((to) => whole("constant", to));
    default:
      return [];
  }
}

function between(kind: MutationKind, operator: string, left: Node, right: Node, text: string, to: string): Change {
  const start = text.slice(0, right.start).lastIndexOf(operator); // parentheses may lie between, another operator not
  return { kind, start: Math.max(start, left.end), end: start + operator.length, to };
}

function binary(operator: string, left: Node, right: Node, text: string): Change[] {
  const joinsText = operator === "+" && [left, right].some((side) => isText(side));
  if (joinsText) return [];
  const kind = operator in compared ? "comparison" : "operator";
  return (compared[operator] ?? swapped[operator] ?? []).map((to) => between(kind, operator, left, right, text, to));
}

function isText(node: Node): boolean {
  return node.type === "TemplateLiteral" || (node.type === "Literal" && typeof node.value === "string");
}

function negated(test: Node, text: string): Change[] {
  if (test.type === "UnaryExpression" && test.operator === "!") return []; // dropping the ! is the same
  return [{ kind: "condition", start: test.start, end: test.end, to: `!(${text.slice(test.start, test.end)})` }];
}

function neighbours(nodes: readonly (Node | null)[], text: string, may: (a: Node, b: Node) => boolean): Change[] {
  return nodes.slice(1).flatMap((b, i): Change[] => {
    const a = nodes[i];
    if (!a || !b || !may(a, b)) return [];
    const [first, middle, second] = [text.slice(a.start, a.end), text.slice(a.end, b.start), text.slice(b.start, b.end)];
    return [{ kind: "argument", start: a.start, end: b.end, to: second + middle + first }];
  });
}

function otherMethod(callee: Node): Change[] {
  if (callee.type !== "MemberExpression" || callee.computed || callee.property.type !== "Identifier") return [];
  const { name, start, end } = callee.property;
  return Object.hasOwn(methods, name) ? [{ kind: "method", start, end, to: methods[name] }] : [];
}

function literal(value: unknown, raw: string): string[] {
  if (typeof value === "boolean") return [String(!value)];
  if (typeof value !== "number") return [];
  if (value === 0) return ["1"];
  return Number.isInteger(value) ? [`${value + 1}`, `${value - 1}`] : ["0", `(2 * ${raw})`];
}
