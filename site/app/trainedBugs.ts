/** Bugs that settings of the playground can switch on: A trains with the bug, B without it. */
import { defaults } from "./settings.ts";
import type { Column, Settings } from "./settings.ts";

const against = (broken: Partial<Column>, right: Partial<Column> = {}): Settings => ({
  ...defaults,
  a: { ...defaults.a, ...broken },
  b: { ...defaults.a, ...right },
});

/** By the title in the gallery. */
export const trainedBugs: Readonly<Record<string, Settings>> = {
  "The capacity that was never enforced": against({ capacityFactor: 0 }),
  "All sparse, no loss": against({ alpha: 0 }),
  "A coefficient used as a switch": against({ alpha: 1 }),
  "The loss that grows with k": against({ router: "top-k", k: 4, alpha: 0.04 }, { router: "top-k", k: 4 }),
  "The router that cannot learn": against({ router: "mixtral", k: 1 }, { router: "dropless" }),
  "A model that reads the answer": against({ router: "expert-choice" }),
};
