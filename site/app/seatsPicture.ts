/** Tokens in the queues of experts, drawn: used by the guide's instrument and by the museum. E experts, C slots of each. */

/** One choice of a token on its way to a slot. */
export interface Seated {
  readonly label: string;
  readonly expert: number;
  /** Its place in the expert's queue, from 0. */
  readonly place: number;
  /** Whether it is taken; else it is drawn hatched. */
  readonly kept: boolean;
}

const COLUMN = 62;
const CELL = 22;
const [LEFT, TOP] = [14, 26];
const WIDTH = COLUMN - 14;

/** A column for each expert, a row for each place, a line under the last slot; choices that share a place stand side by side, outlined. */
export function seatsSvg(
  seats: readonly Seated[],
  { experts, capacity, label }: { readonly experts: readonly string[]; readonly capacity?: number; readonly label: string },
): string {
  const deepest = Math.max(capacity ?? 0, 1, ...seats.map(({ place }) => place + 1));
  const tracks = experts.flatMap((_, e) => Array.from({ length: capacity ?? deepest }, (__, place) => box("track", e, place)));
  const heads = experts.map((name, e) => `<text class="label" x="${LEFT + e * COLUMN + WIDTH / 2}" y="16" text-anchor="middle">${name}</text>`); // prettier-ignore
  const marks = seats.map((seat, i) => {
    const same = seats.filter(({ expert, place }) => expert === seat.expert && place === seat.place);
    return mark(seat, { of: same.length, at: seats.slice(0, i).filter((other) => same.includes(other)).length });
  });
  const line = capacity === undefined ? "" : `<path class="limit" d="M8 ${TOP - 2 + capacity * CELL}H${experts.length * COLUMN + 8}"/>`;
  const width = experts.length * COLUMN + 16;
  return `<svg class="drawn" width="${width}" viewBox="0 0 ${width} ${TOP + 14 + deepest * CELL}" role="img" aria-label="${label}">${tracks.join("")}${marks.join("")}${heads.join("")}${line}</svg>`;
}

function box(look: string, expert: number, place: number, { of, at } = { of: 1, at: 0 }): string {
  const width = WIDTH / of;
  return `<rect class="${look}" x="${(LEFT + expert * COLUMN + at * width).toFixed(1)}" y="${TOP + place * CELL}" width="${width.toFixed(1)}" height="${CELL - 4}" rx="3"/>`;
}

/** Slanted lines at both ends of a box, beside its label. */
function hatching(expert: number, place: number, { of, at }: { readonly of: number; readonly at: number }): string {
  const [width, height] = [WIDTH / of, CELL - 4];
  const [left, top] = [LEFT + expert * COLUMN + at * width, TOP + place * CELL];
  const ends = [0, width - height];
  const lines = ends.flatMap((x) => [`M${(left + x + 2).toFixed(1)} ${top + height}l${height - 4} -${height}`, `M${(left + x + 2).toFixed(1)} ${top + height / 2}l${height / 2 - 2} -${height / 2}`]); // prettier-ignore
  return `<path class="hatch" d="${lines.join("")}"/>`;
}

function mark({ label, expert, place, kept }: Seated, share: { readonly of: number; readonly at: number }): string {
  const look = kept ? `fill x${expert % 8}${share.of > 1 ? " clash" : ""}` : "dropped";
  const x = LEFT + expert * COLUMN + ((share.at + 0.5) * WIDTH) / share.of;
  return `${box(look, expert, place, share)}${kept ? "" : hatching(expert, place, share)}<text class="${kept ? "on" : "label"}" x="${x.toFixed(1)}" y="${TOP + place * CELL + 13}" text-anchor="middle">${label}</text>`;
}
