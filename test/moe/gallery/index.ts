/** All bugs, in the order of the book. */
import type { Bug } from "./bug.ts";
import { gates } from "./gates.ts";
import { losses } from "./losses.ts";
import { seats } from "./seats.ts";

export const chapters: readonly { readonly title: string; readonly bugs: readonly Bug[] }[] = [
  { title: "Slots", bugs: seats },
  { title: "Losses", bugs: losses },
  { title: "Gates and noise", bugs: gates },
];
