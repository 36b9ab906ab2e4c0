/**
 * Drives the ranks of a room of many processes: lets a law of layouts look at a variant, by the same search as the test that keeps the
 * smallest cases, or trains with it and without it.
 */
import { BrokenLayout } from "switchyard-moe/testing";
import { agree } from "../../src/testing/layouts/compare.ts";
import { layoutLawsOn } from "../../src/testing/layouts/layoutLaws.ts";
import { usualOrder } from "../../src/testing/layouts/program.ts";
import type { LayoutReport } from "../../src/testing/layouts/program.ts";
import type { Numbers } from "../../src/testing/layouts/run.ts";
import { ofCheckpoints } from "../../test/testing/brokenLayouts.ts";
import { faultText } from "../../test/testing/faultText.ts";
import type { LayoutMessage, LayoutRequest, Trained, Which } from "./layoutProtocol.ts";
import { ofShortBatches, trainingOf } from "./layoutTraining.ts";
import { WebRanks } from "./webRanks.ts";

interface WorkerScope {
  postMessage(message: LayoutMessage): void;
  onmessage: ((event: { readonly data: LayoutRequest }) => void) | null;
}
const page = globalThis as unknown as WorkerScope;
const RANKS = 2;
/** As in the test, which tells what is found and how it is made smaller. */
const SEARCH = { ranks: [RANKS], runs: 60, seed: 3 };
/** Seconds that a rank waits for another. Where ranks wait for ever, each case takes as long; elsewhere a slow machine has time. */
const [SHORT, LONG] = [1, 15];
const ranks = new WebRanks(RANKS);

page.onmessage = ({ data }) => {
  // Before the law looks: that a rank does not start is no fault of the code.
  const done = ranks.start().then(() => (data.kind === "refute" ? refute(data) : train(data)));
  done.then(
    (message) => page.postMessage(message),
    (error: unknown) => page.postMessage({ kind: "failed", message: error instanceof Error ? error.message : String(error) }),
  );
};

const exported = (which: Which, variant: string) => ({ module: "gallery", export: which === "broken" ? variant : "LayoutRun" });

async function refute({ variant, which }: LayoutRequest & { kind: "refute" }): Promise<LayoutMessage> {
  let [cases, smaller, shrinking] = [0, 0, false];
  const limit = which === "broken" && ofShortBatches.includes(variant) ? SHORT : LONG;
  const laws = layoutLawsOn(ranks, variant, null, { ...SEARCH, limit, variant: exported(which, variant) }, (c, fault) => {
    if (shrinking) smaller++;
    else cases++;
    page.postMessage({ kind: "tried", case: c, fault: fault === undefined ? null : faultText(fault), shrinking });
    shrinking ||= fault !== undefined;
  });
  const law = ofCheckpoints.includes(variant) ? laws.at(-1) : laws[0];
  try {
    await law?.check();
    return { kind: "kept", cases };
  } catch (error) {
    if (!(error instanceof BrokenLayout)) throw error;
    return { kind: "refuted", case: error.counterexample, fault: faultText(error.cause), cases, smaller };
  }
}

async function train({ variant }: LayoutRequest & { kind: "train" }): Promise<LayoutMessage> {
  const training = trainingOf(variant);
  ranks.training = training;
  const [right, broken] = [await trained("right", variant), await trained("broken", variant)];
  const weights = right.parameters && broken.parameters ? largestGap(right.parameters, broken.parameters) : null;
  return { kind: "trained", training, right, broken, weights };
}

function largestGap(some: Numbers, others: Numbers): number {
  const gaps = Object.entries(some).flatMap(([name, values]) => values.map((x, i) => Math.abs(x - others[name][i])));
  return gaps.reduce((most, gap) => Math.max(most, gap), 0);
}

async function trained(which: Which, variant: string): Promise<Trained & { readonly parameters: Numbers | null }> {
  const losses: number[] = [];
  ranks.heard = (step, loss) => {
    losses[step] = loss;
    page.postMessage({ kind: "step", which, step, loss });
  };
  const { case: of, steps, saved } = trainingOf(variant);
  const order = { ...usualOrder, case: of, precision: "float32", variant: exported(which, variant) } as const;
  const setting = { ordered: false, limit: ofShortBatches.includes(variant) ? SHORT : LONG };
  try {
    const part = saved ? steps / 2 : steps;
    const folder = "checkpoint";
    let reports = await ranks.carryOut({ ...order, steps: part, save: saved ? folder : null }, setting);
    if (saved) reports = await ranks.carryOut({ ...order, steps: part, load: folder }, setting);
    return { losses, apart: apartOf(reports), ended: null, parameters: reports[0].parameters };
  } catch (error) {
    return { losses, apart: null, ended: faultText(error), parameters: null };
  }
}

function apartOf(reports: readonly LayoutReport[]): string | null {
  try {
    agree(reports);
    return null;
  } catch (error) {
    return faultText(error);
  }
}
