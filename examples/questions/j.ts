/** Fine-tuning: what can be frozen? Count what stands in routers, experts and the rest of a small Switch model. */
import { key } from "switchyard-moe";
import { buildModel } from "../train/model.ts";
import { lessonDefaults } from "../train/lesson.ts";
import { configOf } from "../train/configuration.ts";

const model = buildModel(configOf(lessonDefaults()).model, key(1));
const parts = { router: 0, experts: 0, rest: 0 };
for (const [name, parameter] of model.namedParameters())
  parts[name.includes(".router.") ? "router" : name.includes(".experts.") ? "experts" : "rest"] += parameter.size;
const all = parts.router + parts.experts + parts.rest;
for (const [name, count] of Object.entries(parts))
  console.log(`${name.padEnd(8)} ${count.toLocaleString("en").padStart(9)}  ${((100 * count) / all).toFixed(1)} %`);
