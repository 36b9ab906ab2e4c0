/** What two trainings on ranks look like, and what their numbers say: no sentence that they could deny. */
import { T } from "../../src/testing/layouts/sizes.ts";
import { curvePicture } from "./curvePicture.ts";
import { h } from "./dom.ts";
import type { LayoutMessage, Which } from "./layoutProtocol.ts";
import type { LayoutStrings } from "./layoutStrings.ts";
import { filled } from "./strings.ts";

type Losses = Readonly<Record<Which, readonly number[]>>;

/** Dropout makes the loss of one step jump. */
const MEAN_OF = 10;

/** Each number with those before it, at most ten, as their mean. */
export function means(losses: readonly number[]): number[] {
  return losses.map((_, step) => {
    const some = losses.slice(Math.max(0, step + 1 - MEAN_OF), step + 1);
    return some.reduce((sum, loss) => sum + loss, 0) / some.length;
  });
}

/** Both curves in one picture. */
export function drawnTraining({ right, broken }: Losses, strings: LayoutStrings): HTMLElement {
  const figure = h("figure", { class: "training" });
  const points = (losses: readonly number[]) => means(losses).map((loss, step) => [step + 1, loss] as const);
  figure.innerHTML = curvePicture({
    title: strings.curves,
    right: { name: strings.rightCode, points: points(right) },
    broken: { name: strings.brokenCode, points: points(broken) },
    x: strings.step,
    y: filled(strings.loss, { steps: MEAN_OF }),
  });
  return figure;
}

const digits = (x: number): string => (Math.abs(x) < 0.001 && x !== 0 ? x.toExponential(1) : x.toFixed(3));

/** The step, from 1, in which two curves are farthest apart, as far as both go. */
export function farthest(losses: Losses): { readonly step: number; readonly gap: number } {
  const [right, broken] = [means(losses.right), means(losses.broken)];
  const gaps = broken.slice(0, right.length).map((loss, step) => Math.abs(loss - right[step]));
  const gap = Math.max(0, ...gaps);
  return { step: gaps.indexOf(gap) + 1, gap };
}

/** What was trained, and what is seen. */
export function toldTraining(
  { training, right, broken, weights }: LayoutMessage & { kind: "trained" },
  strings: LayoutStrings,
): (Node | string)[] {
  const { steps } = training;
  const { shards, padding } = training.case;
  const tokens = shards.reduce((sum, sequences, s) => sum + sequences * (T - padding[s]), 0);
  const what = [
    filled(strings.what, { tokens, steps }),
    training.saved ? filled(strings.saved, { step: steps / 2 }) : "",
    training.last ? strings.last : "",
  ];
  return [
    h("span", {}, ...what.filter((text) => text !== "").map((text) => `${text} `)),
    h("br"),
    ...seen({ right, broken, weights }, strings),
  ];
}

type Both = Pick<LayoutMessage & { kind: "trained" }, Which | "weights">;

function seen({ right, broken, weights }: Both, strings: LayoutStrings): (Node | string)[] {
  const code = (text: string): HTMLElement => h("code", { class: "bad", lang: "en" }, text);
  if (right.ended !== null) return [`${strings.rightEnded} `, code(right.ended)];
  const { step, gap } = farthest({ right: right.losses, broken: broken.losses });
  const alike = broken.losses.every((loss, at) => loss === right.losses[at]);
  if (broken.ended !== null) {
    const told = broken.losses.length === 0 ? strings.endedAtOnce : alike ? strings.endedAlike : strings.endedEarly;
    return [`${filled(told, { steps: broken.losses.length, gap: digits(gap) })} `, code(broken.ended)];
  }
  const [lastRight = 0, lastBroken = 0] = [means(right.losses).at(-1), means(broken.losses).at(-1)];
  const curves = alike ? strings.same : filled(strings.apart, { steps: MEAN_OF, right: digits(lastRight), broken: digits(lastBroken), step, gap: digits(gap) }); // prettier-ignore
  const ends = weights === 0 ? strings.sameWeights : filled(strings.weights, { gap: digits(weights ?? NaN) });
  return [`${curves} ${ends} `, ...(broken.apart === null ? [strings.alike] : [`${strings.unlike} `, code(broken.apart)])];
}
