/** What a room says of a training is made of its numbers: curves that differ, that do not, that end, and words for every number. */
import { expect } from "chai";
import { trained } from "../../test/moe/gallery/trained/index.ts";
import type { TwinStep } from "../../test/moe/gallery/trained/twins.ts";
import { TrainingHistory, picturesOf, sentencesOf } from "../app/bugTrainingSummary.ts";
import { trainingEnglish, trainingKorean } from "../app/bugTrainingStrings.ts";

const made = (bits: number, watched: number | null = null, error: string | null = null): TwinStep => ({ bits, watched, error });

/** A training of 40 steps whose right loss is 3 or 3.2 in turn. */
function history(broken: (step: number) => TwinStep | null, as: "count" | "percent" | "number" = "count"): TrainingHistory {
  const told = new TrainingHistory({ name: "fullest", as });
  for (let step = 1; step <= 40; step++) told.add(step, { right: made(3 + 0.2 * (step % 2), 80), broken: broken(step) });
  return told;
}
const said = (of: TrainingHistory, strings = trainingEnglish, language = "en"): string => sentencesOf(of, strings, language).map(({ text }) => text).join("\n"); // prettier-ignore

describe("what is said of a training", () => {
  it("is that the curve does not show a bug whose gap is below the deviation, and that it does above", () => {
    const gap = (by: number) => said(history((step) => made(3 + by + 0.2 * (step % 2), 172.25)));
    expect(gap(0.09))
      .to.contain("3.100 without the bug and 3.190 with it")
      .and.to.contain("The gap of 0.090 is smaller")
      .and.to.contain("0.100: seen alone");
    expect(gap(0.11)).to.contain("0.110 higher").and.to.contain("the loss shows it");
    expect(gap(-0.11)).to.contain("0.110 lower").and.to.contain("looks like an improvement");
    expect(gap(0))
      .to.contain("Both curves are the same, bit for bit.\nTokens that")
      .and.to.contain("computes: 80 without the bug, 172.3 with it.");
  });

  it("is that both curves are the same only where all of their steps are", () =>
    expect(said(history((step) => made(step === 1 ? 9 : 3 + 0.2 * (step % 2), 80)))).to.contain("gap of 0.000 is smaller"));

  it("tells where both agree in what was looked at", () =>
    expect(said(history(() => made(3, 80)))).to.contain("80 in both. This run does not tell them apart."));

  it("compares up to an error, and gives the error as it was", () => {
    const ended = history((step) => (step < 10 ? made(3, null) : step === 10 ? made(NaN, null, "topK: too many") : null));
    expect(said(ended)).to.match(/^In step 10 the model .*:\ntopK: too many\nAfter 9 steps the loss is 3.111 .* last 9\)/);
    expect(said(ended)).to.contain("with it the run had ended before");
    expect(sentencesOf(ended, trainingEnglish, "en").filter(({ error }) => error)).to.have.length(1);
  });

  it("tells from which step on a loss is no number", () =>
    expect(said(history((step) => (step === 1 ? made(NaN, 1) : null), "percent"))).to.match(/^In step 1 the loss with the bug is no number .* 3.100 bits .*\n.*100 % with it\.$/)); // prettier-ignore

  it("says nothing before the first step, and nothing of what nobody looked at", () => {
    expect(said(new TrainingHistory({ name: "fullest", as: "count" }))).to.equal("");
    const early = new TrainingHistory({ name: "fullest", as: "count" });
    early.add(1, { right: made(8), broken: made(8) });
    expect(said(early).split("\n")).to.have.length(2);
  });

  it("has a picture of each, per cent as per cent", () => {
    const [loss, look] = picturesOf(
      history(() => made(3, 0.5), "percent"),
      trainingEnglish,
    );
    expect(loss).to.contain("with the bug: bits per byte 3.000, step 40</desc>");
    expect(look).to.contain("with the bug: per cent 50.000, step 40</desc>");
  });

  it("has words for every number that is looked at, in both languages, and for no other", () => {
    const names = [...new Set(Object.values(trained).map(({ watched }) => watched.name))].sort();
    expect(Object.keys(trainingEnglish.watched).sort()).to.deep.equal(names);
    expect(Object.keys(trainingKorean.watched).sort()).to.deep.equal(names);
    const holes = (text: string): string[] => (text.match(/\{\w+\}/g) ?? []).sort();
    for (const [name, english] of Object.entries(trainingEnglish))
      if (typeof english === "string") expect(holes(String(trainingKorean[name as keyof typeof trainingKorean])), name).to.deep.equal(holes(english)); // prettier-ignore
    expect(
      said(
        history(() => made(3, 80)),
        trainingKorean,
        "ko",
      ),
    ).to.match(/^40스텝 뒤의 손실은.*3\.100.*\n.*[가-힣]/);
  });
});
