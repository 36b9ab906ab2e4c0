/**
 * The tape. Each recorded operation is a line that hangs from its result; `new Tape(root)` is the Wengert list of one tensor: its reachable
 * lines sorted by time. Creation order is a topological order, so walk.ts needs no recursion.
 */
import { formatShape } from "../backend/shape.ts";
import { check, having, requireTensor } from "./arguments.ts";
import type { Kind } from "./arguments.ts";
import type { Storage } from "./storage.ts";
import type { Tensor } from "./tensor.ts";

/**
 * Computes the cotangents of a line's inputs from `g`, that of its output: null where `needed` is false or there is no gradient. `spare`: g is
 * not read afterwards, so its memory may be written to.
 */
export type Pull = (g: Tensor, line: Line, needed: readonly boolean[], spare: boolean) => readonly (Tensor | null)[];

/** One recorded operation of the tape: its name, its inputs and its output, tensors of any shape, and how gradients flow back. */
export class Line {
  /** The operation: "mul", "softmax". */
  readonly name: string;
  readonly inputs: readonly Tensor[];
  readonly output: Tensor;
  /** Its derivative rules. */
  readonly pull: Pull;
  /** What a fused operation kept from its forward run. */
  readonly saved: readonly Storage[];
  /** Creation order, which is a topological order. */
  readonly time: number;
  /** Versions of the inputs at the time: `assign` must not come between use and walk. */
  readonly versions: readonly number[];

  constructor(name: string, inputs: readonly Tensor[], output: Tensor, pull: Pull, saved: readonly Storage[] = []) {
    this.name = name;
    this.inputs = inputs;
    this.output = output;
    this.pull = pull;
    this.saved = saved;
    this.time = clock++;
    this.versions = inputs.map((input) => input.version);
  }

  /** Throws where an input was assigned after the line was recorded. */
  checkVersions(): void {
    this.inputs.forEach((input, i) => {
      if (input.version !== this.versions[i])
        throw new ReferenceError(
          `backward: ${input.label} was assigned after ${this.name} used it (version ${this.versions[i]}, now ${input.version}); walk the tape before assign, or compute again`,
        );
    });
  }
}

let clock = 0;

/**
 * The recorded operations behind one tensor, in the order they ran (its Wengert list): `String(new Tape(y))` prints them one on a
 * line, `lines` holds them. `root` is a tensor of any shape. Throws where it is no tensor, or `stops` no Set of tensors.
 */
export class Tape {
  /** The tensor that the lines lead to. */
  readonly root: Tensor;
  /** Lines in the order they were recorded. */
  readonly lines: readonly Line[];

  /** `stops` are treated as leaves: the walk does not look behind them. */
  constructor(root: Tensor, stops: ReadonlySet<Tensor> = new Set()) {
    requireTensor("Tape", root, "root");
    check("Tape", "stops", stops, aSet);
    this.root = root;
    const found = new Set<Line>();
    const open: Tensor[] = [root];
    for (let tensor = open.pop(); tensor; tensor = open.pop()) {
      const line = tensor.line;
      if (!line || found.has(line) || stops.has(tensor)) continue;
      found.add(line);
      for (const input of line.inputs) open.push(input);
    }
    this.lines = [...found].sort((a, b) => a.time - b.time);
  }

  /** One line per operation: `%3 = mul(%1, $x) : float32 [2, 3]`; leaves are `$name`, numbers are themselves. */
  toString(): string {
    const names = new Map<Tensor, string>();
    const leaves: string[] = [];
    const nameOf = (tensor: Tensor): string => {
      let name = names.get(tensor);
      if (name === undefined && isNumber(tensor)) name = tensor.name;
      if (name === undefined) {
        name = `$${tensor.name ?? leaves.length}`;
        leaves.push(`${name} : ${tensor.dtype} ${formatShape(tensor.shape)}${tensor.requiresGrad ? "" : " (constant)"}`);
        names.set(tensor, name);
      }
      return name;
    };
    const steps = this.lines.map((line, i) => {
      const inputs = line.inputs.map(nameOf).join(", ");
      names.set(line.output, `%${i}`);
      return `%${i} = ${line.name}(${inputs}) : ${line.output.dtype} ${formatShape(line.output.shape)}`;
    });
    return [...leaves, ...steps].join("\n");
  }
}

/** Whether it was made for a JavaScript number (constants.ts), which is its name. */
function isNumber(tensor: Tensor): boolean {
  return !tensor.requiresGrad && tensor.shape.length === 0 && tensor.name !== undefined && String(Number(tensor.name)) === tensor.name;
}

const aSet: Kind = having("a Set of tensors", "has", "size");
