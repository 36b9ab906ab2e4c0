/** Runs of the main job as published checkpoints: what is opened again computes the same. */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { noGrad, tensor } from "switchyard-moe";
import { DecoderLanguageModel, evaluation } from "switchyard-moe/nn";
import { loadPretrained } from "switchyard-moe/pretrained";
import type { Pretrained } from "switchyard-moe/pretrained";
import type { RunConfig } from "../../examples/train/checkpoint.ts";
import { configOf } from "../../examples/train/configuration.ts";
import { exportModel } from "../../examples/train/exportModel.ts";
import { openEncoderDecoder } from "../../examples/train/fillText.ts";
import { trainDefaults } from "../../examples/train/options.ts";
import type { RouterName } from "../../examples/train/routerNames.ts";
import { newRun } from "../../examples/train/run.ts";
import { continueRun } from "../../examples/train/runLoop.ts";
import { UserError } from "../../examples/train/userError.ts";
import { END, PADDING, sentinels } from "../../examples/train/vocabulary.ts";
import { withWork } from "../../examples/train/work.ts";

const small = { languages: "eng,ell", steps: 2, every: 2, width: 8, heads: 2, layers: 2, hidden: 16, experts: 3, length: 24, batch: 4, warmup: 1 }; // prettier-ignore

const twoStacks = (change: { readonly router?: RouterName; readonly sparseEvery?: number } = {}): RunConfig =>
  configOf({ ...trainDefaults(), ...small, architecture: "encoder-decoder", ...change });

describe("the export of a run", function () {
  this.timeout(120_000);
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "switchyard-export-"))));
  afterEach(() => rmSync(folder, { recursive: true }));

  const trained = (config: RunConfig, name = "run"): Promise<void> =>
    withWork(config, async ({ job }) => {
      await continueRun(newRun(join(folder, name), config, job), { screen: { write: (): boolean => true } });
    });

  async function exported(name = "run"): Promise<string> {
    const { log } = console;
    const lines: string[] = [];
    console.log = (line: string) => void lines.push(line);
    try {
      await exportModel({ from: join(folder, name), out: join(folder, "out"), backend: "cpu" });
    } finally {
      console.log = log;
    }
    return lines.join("\n");
  }

  async function refusal(name = "run"): Promise<string> {
    const error: unknown = await exported(name).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).to.be.instanceOf(UserError);
    return error instanceof UserError ? error.message : "";
  }

  const opened = (): Promise<Pretrained> => loadPretrained(join(folder, "out"));

  /** Every bit of the logits of a batch with a padded row, before and after. */
  async function expectSameLogits(name = "run"): Promise<void> {
    const ids = tensor([[72, 105, sentinels.first, 33], [206, 177, PADDING, PADDING]], { dtype: "int32" }); // prettier-ignore
    const mask = tensor([[1, 1, 1, 1], [1, 1, 0, 0]]); // prettier-ignore
    const decoderIds = tensor([[PADDING, sentinels.first, 97], [PADDING, sentinels.first, 98]], { dtype: "int32" }); // prettier-ignore
    const logits = ({ model }: Pick<Pretrained, "model">): Promise<ArrayLike<number>> => {
      if (model instanceof DecoderLanguageModel) throw new Error("the export is a decoder");
      return noGrad(() => model.forward({ ids, mask, decoderIds }, evaluation)).logits.data();
    };
    const [own, again] = await Promise.all([openEncoderDecoder(join(folder, name)), await opened()].map(logits));
    expect(Array.from(again)).to.deep.equal(Array.from(own));
  }

  for (const [title, change] of Object.entries({ "experts in every layer": {}, "in every other": { sparseEvery: 2 } }))
    it(`of two stacks with ${title} is opened as switch_transformers and computes every bit the same`, async () => {
      await trained(twoStacks(change));
      const text = await exported();
      expect(text).to.include("a model of the family switch_transformers").and.include(`${PADDING} is padding`);
      const { family, config } = await opened();
      expect(family).to.equal("switch_transformers");
      expect(config).to.include({ padId: PADDING, startId: PADDING, endId: END });
      await expectSameLogits();
    });

  it("of a dense student is opened as t5", async () => {
    const config = twoStacks();
    await trained(config);
    const goal = { kind: "distil", text: { languages: "eng,ell" }, from: join(folder, "run"), hard: 1, soft: 1, copy: true } as const;
    await trained({ ...config, model: { ...config.model, router: "dense" }, goal }, "student");
    await exported("student");
    expect((await opened()).family).to.equal("t5");
    await expectSameLogits("student");
  });

  it("of a decoder is refused with all reasons, and makes no folder", async () => {
    await trained(configOf({ ...trainDefaults(), ...small }));
    expect(await refusal())
      .to.include(`--from ${join(folder, "run")}: this model has no published family: `)
      .and.include('positions is "distance", the families have "rotary"')
      .and.include("a router is no TopKRouter");
    expect(existsSync(join(folder, "out"))).to.equal(false);
  });

  it("of other routers is refused", async () => {
    await trained(twoStacks({ router: "mixtral" }));
    expect(await refusal()).to.include("a router is no SwitchRouter");
  });

  it("replaces nothing: neither an earlier export nor a run", async () => {
    await trained(twoStacks());
    await exported();
    const before = readdirSync(join(folder, "out")).map((name) => readFileSync(join(folder, "out", name)));
    expect(await refusal()).to.match(/--out .*out: there is config\.json, .* in it: give a new folder$/);
    expect(readdirSync(join(folder, "out")).map((name) => readFileSync(join(folder, "out", name)))).to.deep.equal(before);
    const [from, out] = [join(folder, "run"), join(folder, "run")];
    const error: unknown = await exportModel({ from, out, backend: "cpu" }).catch((thrown: unknown) => thrown);
    expect(error).to.be.instanceOf(UserError).with.property("message").that.includes("there is a run in it: give a new folder");
  });

  it("says in one line that there is nothing to export", async () => {
    expect(await refusal("nothing")).to.include("there is no such file or folder");
  });
});
