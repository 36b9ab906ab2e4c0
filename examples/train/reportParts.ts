/** Parts that the reports of all kinds of runs share. */
import type { Module } from "switchyard-moe/nn";
import type { LayerFinding } from "./findings.ts";
import { sentence } from "./findings.ts";
import type { Observations } from "./information.ts";
import { expertShares } from "./information.ts";
import type { LoadCourse, RunReport } from "./report.ts";
import { sparseLayerNames } from "./routers.ts";
import type { Run } from "./run.ts";
import { kilobytes, milliseconds } from "./wireAccount.ts";
import type { Point } from "./svg/index.ts";
import type { Corpus } from "./text.ts";

/** Shares of each expert over time, layer by layer. */
export function loadOf<M extends Module>({ measurements, trainer }: Run<M>): LoadCourse[] {
  const names = sparseLayerNames(trainer.model);
  const steps = measurements.map(({ step }) => step);
  return (measurements[0]?.layers ?? []).map((first, layer) => ({
    layer: names[layer],
    steps,
    shares: first.map((_, expert) =>
      measurements.map(({ layers }) => layers[layer][expert] / layers[layer].reduce((sum, n) => sum + n, 0)),
    ),
  }));
}

/** What experts know of each class, before and after. */
export function specialisationOf(
  { unit, classes }: Pick<Corpus, "unit" | "classes">,
  layers: readonly LayerFinding[],
  {
    names,
    before,
    after,
  }: { readonly names: readonly string[]; readonly before: readonly Observations[]; readonly after: readonly Observations[] },
): NonNullable<RunReport["specialisation"]> {
  return {
    sentence: sentence(layers, { unit, classes }),
    unit,
    languages: classes.map(({ name }) => name),
    layers: layers.map((layer, l) => ({
      layer: names[l],
      before: expertShares(before[l]),
      after: expertShares(after[l]),
      informationBefore: layer.untrained,
      informationAfter: layer.trained,
    })),
  };
}

/** What every report of a run has: what was typed, its settings, and its curves. */
export function courseOf<M extends Module>({ config, measurements }: Run<M>) {
  return {
    command: ["npm start --", ...process.argv.slice(2)].join(" "),
    settings: { ...config.model, ...config.training, ...config.sharing, backend: config.backend.description },
    training: measurements.map(({ step, training }): Point => [step, training]),
    validation: measurements.flatMap(({ step, validation }): Point[] => (validation === null ? [] : [[step, validation]])),
  };
}

/** What crossed the wire between the processes of a run; nothing where there was one. */
export function wireTables<M extends Module>({ wire, processes }: Run<M>): RunReport["tables"] {
  if (!wire || !processes) return [];
  const waited = wire.inside.map((share) => `${(100 * share).toFixed(1)} %`).join(", ");
  const waits = "inside collectives, moving numbers and waiting for others, by process";
  const times = `a step took ${milliseconds(wire.seconds)} ms; ${waits}: ${waited}`;
  return [
    {
      caption: `What the first of ${processes.description} sent in a step (mean of ${wire.steps}); ${times}`,
      columns: ["collective", "calls", "sent", "ms, of the process that waited least", "most"],
      rows: wire.rows.map(({ name, calls, bytes, least, most }) => [
        name,
        calls.toFixed(1),
        kilobytes(bytes),
        milliseconds(least),
        milliseconds(most),
      ]),
    },
  ];
}

/** How long it took, and what the last batch lost. */
export function trainingFacts<M extends Module>({ measurements }: Run<M>): RunReport["facts"] {
  const last = measurements.at(-1);
  if (!last) return [];
  const time = { name: "training", value: `${last.seconds.toFixed(0)} s`, note: `${last.step} steps` };
  const dropped = { name: "dropped", value: `${(100 * last.dropped).toFixed(1)} %`, note: "of the last batch" };
  return last.layers.length > 0 ? [time, dropped] : [time];
}
