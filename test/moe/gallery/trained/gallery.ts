/** The gallery's own broken functions, for those that train a model with them. */
import { chapters } from "../index.ts";
import type { Bug } from "../bug.ts";

export function bugOf(title: string): Bug {
  const found = chapters.flatMap(({ bugs }) => bugs).find((bug) => bug.title === title);
  if (!found) throw new RangeError(`there is no bug "${title}" in the gallery`);
  return found;
}

/** What the broken function of a bug gives in a case, as a list of numbers. */
export function gaveBroken(title: string, ...drawn: readonly unknown[]): number[] {
  const [call] = bugOf(title).calls("broken", drawn);
  return [call.gave].flat(3).map(Number);
}
