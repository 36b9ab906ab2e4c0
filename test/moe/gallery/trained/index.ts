/** Every bug of the gallery, switched on in training, by its title. */
import { gates } from "./gates.ts";
import type { Trained } from "./look.ts";
import { losses } from "./losses.ts";
import { seats } from "./seats.ts";

export const trained: Readonly<Record<string, Trained>> = { ...seats, ...losses, ...gates };

/** How a bug is trained; throws for a title that is not in the table. */
export function trainedOf(title: string): Trained {
  const found = Object.hasOwn(trained, title) ? trained[title] : undefined;
  if (!found) throw new RangeError(`there is no bug "${title}" that can be trained`);
  return found;
}
