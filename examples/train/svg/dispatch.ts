import { drawing, hatching, label, line, WIDTH, type Captions } from "./drawing.ts";
import { element, escape, fitted } from "./markup.ts";
import { colourClass } from "./palette.ts";

// T tokens, E experts, C capacity: slots per expert.

/** A token's choice of an expert. */
export interface Choice {
  /** Index of the token. */
  readonly token: number;
  readonly expert: number;
  /** Its place in the expert's buffer, or -1 where there was none left. */
  readonly slot: number;
  readonly gate?: number;
}

export interface DispatchOptions extends Captions {
  readonly tokens: readonly string[]; // [T]
  readonly experts: number;
  /** null: no slots, each expert has as many rows as tokens came. */
  readonly capacity: number | null;
  readonly choices: readonly Choice[];
}

const CELL_HEIGHT = 24;
const GAP = 6;

/** Experts as columns, slots as cells, tokens in their cells; below the line of capacity, hatched, the tokens that found no slot. */
export function dispatch({ tokens, experts, capacity, choices, ...captions }: DispatchOptions): string {
  check(tokens.length, experts, capacity, choices);
  const width = Math.max(46, Math.min(90, (WIDTH + GAP) / experts - GAP));
  const overflow = Array.from({ length: experts }, (_, e) => choices.filter(({ expert, slot }) => expert === e && slot < 0));
  const deepest = Math.max(0, ...overflow.map((dropped) => dropped.length));
  const rows = capacity ?? Math.max(0, ...choices.map(({ slot }) => slot + 1));
  const brim = 22 + rows * CELL_HEIGHT;
  const bottom = brim + 8 + deepest * CELL_HEIGHT;
  const across = experts * (width + GAP) - GAP;
  return drawing("dispatch", captions, (id) => {
    const column = (expert: number) => {
      const x = expert * (width + GAP);
      const seated = choices.filter((choice) => choice.expert === expert);
      return element(
        "g",
        { class: colourClass(expert) },
        ...columnMarks(x, width, { expert, capacity, seated, overflow: overflow[expert], tokens, hatch: `url(#${id}-hatch)`, brim }),
      );
    };
    const edge = capacity === null ? "" : line(0, brim + 3.5, across, brim + 3.5, { class: "axis", "stroke-width": 1.5 });
    const note = label(noteText(tokens.length, capacity, choices), 0, bottom + 16, { class: "muted small" });
    const marks = [...Array.from({ length: experts }, (_, expert) => column(expert)), edge, note];
    return { width: Math.max(WIDTH, Math.ceil(across)), height: bottom + 24, marks, definitions: [hatching(`${id}-hatch`)] };
  });
}

/** What the signs mean, and what became of the tokens: counted from the choices that are drawn. */
function noteText(tokens: number, capacity: number | null, choices: readonly Choice[]): string {
  const dropped = choices.filter(({ slot }) => slot < 0).length;
  const without = tokens - new Set(choices.map(({ token }) => token)).size;
  const fate = [
    ...(dropped > 0 ? [`hatched, below: ${dropped} of ${choices.length} choices dropped`] : []),
    ...(without > 0 ? [`${without} of ${tokens} tokens at no expert`] : []),
  ];
  const signs = capacity === null ? "no slots: as many rows as tokens came" : `line: capacity ${capacity}; dashed: empty slot`;
  return [signs, ...(fate.length > 0 ? fate : ["nothing dropped"])].join("; ");
}

interface Column {
  readonly expert: number;
  readonly capacity: number | null;
  readonly seated: readonly Choice[];
  readonly overflow: readonly Choice[];
  readonly tokens: readonly string[];
  readonly hatch: string;
  readonly brim: number;
}

function columnMarks(x: number, width: number, { expert, capacity, seated, overflow, tokens, hatch, brim }: Column): string[] {
  const head = label(fitted(width > 60 ? `expert ${expert}` : `e${expert}`, width, 11), x + width / 2, 13, {
    "text-anchor": "middle",
    class: "strong",
    "font-size": 11,
  });
  const across = { x: x + 1, width: width - 2 }; // the outline of the first column stays inside of the picture
  const slots = Array.from({ length: capacity ?? seated.length }, (_, slot) => {
    const choice = seated.find((one) => one.slot === slot);
    const at = { ...across, y: 22 + slot * CELL_HEIGHT, height: CELL_HEIGHT - 3 };
    return choice === undefined ? emptySlot(at) : tokenMark(at, tokens[choice.token], hint(choice, tokens), {});
  });
  const dropped = overflow.map((choice, i) => {
    const at = { ...across, y: brim + 9 + i * CELL_HEIGHT, height: CELL_HEIGHT - 3 };
    return tokenMark(at, tokens[choice.token], hint(choice, tokens), { fill: hatch, "stroke-dasharray": "3 2" });
  });
  return [head, ...slots, ...dropped];
}

function hint({ token, expert, slot, gate }: Choice, tokens: readonly string[]): string {
  const weight = gate === undefined ? "" : `, gate ${gate.toFixed(2)}`;
  return `token ${token} (${tokens[token]}): expert ${expert}, ${slot < 0 ? "dropped" : `slot ${slot}`}${weight}`;
}

type Place = Readonly<Record<"x" | "y" | "width" | "height", number>>;

function emptySlot(at: Place): string {
  return element("rect", { ...at, rx: 3, fill: "none", stroke: "var(--muted)", "stroke-dasharray": "3 3" });
}

function tokenMark(at: Place, token: string, title: string, look: Readonly<Record<string, string>>): string {
  const tint = look["fill"] === undefined ? element("rect", { ...at, rx: 3, class: "area", "fill-opacity": 0.16 }) : "";
  const box = element("rect", { ...at, rx: 3, class: look["fill"] === undefined ? "outline" : undefined, stroke: "var(--c)", ...look });
  const halo = { stroke: "var(--paper)", "stroke-width": 6, "stroke-linejoin": "round", "paint-order": "stroke" };
  const name = label(fitted(token, at.width - 6, 12), at.x + at.width / 2, at.y + at.height / 2 + 4, {
    "text-anchor": "middle",
    ...(look["fill"] === undefined ? {} : halo),
  });
  return element("g", {}, element("title", {}, escape(title)), tint, box, name);
}

function check(tokens: number, experts: number, capacity: number | null, choices: readonly Choice[]): void {
  for (const { token, expert, slot } of choices) {
    if (!(token >= 0 && token < tokens)) throw new RangeError(`dispatch: token ${token} is not one of ${tokens}`);
    if (!(expert >= 0 && expert < experts)) throw new RangeError(`dispatch: expert ${expert} is not one of ${experts}`);
    if (capacity === null && slot < 0) throw new RangeError(`dispatch: token ${token} is dropped, but no capacity is given`);
    if (capacity !== null && slot >= capacity)
      throw new RangeError(`dispatch: slot ${slot} of expert ${expert} lies beyond the capacity of ${capacity}`);
  }
}
