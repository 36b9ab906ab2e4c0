/** Do experts know topics or grammar? Measure what an untrained router already seems to know, and what chance gives. */
import { key, noGrad, tensor } from "switchyard-moe";
import { buildModel } from "../train/model.ts";
import { contingency, mutualInformation } from "../train/information.ts";
import { lessonDefaults } from "../train/lesson.ts";
import { configOf } from "../train/configuration.ts";
import { loadDeclaration } from "../train/text.ts";
import { draws, seeded, shuffled } from "../train/uniform.ts";
import type { Routing } from "switchyard-moe/moe";

const corpus = loadDeclaration("scripts");
const model = buildModel(configOf(lessonDefaults()).model, key(1));
const length = 64;
const rows = corpus.classes.flatMap(({ training }) => [0, 1, 2, 3].map((part) => training.slice(600 * part, 600 * part + length)));
const ids = tensor(Int32Array.from(rows.flatMap((row) => Array.from(row))), { shape: [rows.length, length] });
const [routing] = noGrad(() => model.forward(ids, {}, { training: false, random: key(0) })).routings as Routing[];
const expert = Array.from(routing.books.expertOfChoice.dataSync());
const language = expert.map((_, i) => Math.floor(i / length / 4));

const information = (of: readonly number[]): string =>
  mutualInformation(contingency(of, language, routing.layout.experts, corpus.classes.length)).toFixed(3);
console.log("I(expert; language) of a router that has learnt nothing:", information(expert), "bits");
console.log("the same with experts dealt out at random:              ", information(shuffled(expert, draws(seeded(1)))), "bits");
