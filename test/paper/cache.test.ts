/** What is kept is whole, belongs to one version of the code, and is never lost. */
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { Cache } from "../../examples/paper/cache.ts";
import { runsOf } from "../../examples/paper/plan.ts";
import type { PlannedRun } from "../../examples/paper/plan.ts";
import type { Program } from "../../examples/paper/program.ts";
import { work } from "../../examples/paper/runner.ts";
import type { Workshop } from "../../examples/paper/runner.ts";
import { hashOf, shortened, trained } from "../../examples/paper/settings.ts";
import type { TrainSettings } from "../../examples/paper/settings.ts";
import type { Claim } from "../../examples/paper/claim.ts";

/** A program that answers with the seed, leaves weights where it is told to, and does what the text of its settings says. */
const code = `
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
process.on("message", async ({ settings, weights, keep }) => {
  if (settings.text === "crash") process.exit(3);
  if (settings.text === "fail") return void process.send({ error: "it does not work" });
  if (keep) {
    await new Promise((resolve) => setTimeout(resolve, 300)); // long enough for whoever does not wait
    mkdirSync(dirname(keep), { recursive: true });
    writeFileSync(keep, "weights");
  }
  const given = Object.values(weights);
  process.send({ result: { values: { seed: settings.seed, given: given.filter((path) => existsSync(path)).length, asked: given.length }, courses: {} }, backend: "fake" });
});
process.on("disconnect", () => process.exit());
`;
const settings = trained()(1);
const result = { values: { bits: 2.5, none: null }, courses: { training: [[1, 8], [2, 7]] as [number, number][] } }; // prettier-ignore
const more = { seconds: 3, backend: "a backend" };

describe("the cache of results", () => {
  let folder: string;
  let cache: Cache;
  let notes: string[];
  const tell = (note: string): void => void notes.push(note);
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "switchyard-paper-"));
    cache = new Cache(join(folder, "results"));
    [program, newer] = ["aaaaaaaaaaaa", "bbbbbbbbbbbb"].map((version): Program => ({ name: "train", version, code, folder }));
    notes = [];
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  let program: Program;
  let newer: Program;
  const home = (): string => cache.home(program);
  const fileOf = (of = settings): string => join(home(), `${hashOf(of)}.json`);

  it("gives back what was written, and nothing for what was not", () => {
    expect(cache.read(program, settings, tell)).to.equal(null);
    const kept = cache.write(program, settings, result, more);
    expect(cache.read(program, settings, tell))
      .to.deep.equal(kept)
      .and.to.include(more);
    expect(cache.read(program, trained()(2), tell)).to.equal(null);
    expect(notes).to.deep.equal([]);
    expect(readdirSync(home())).to.deep.equal([`${hashOf(settings)}.json`]);
  });

  it("does not mix versions, and says that others are there", () => {
    cache.write(program, settings, result, more);
    expect(cache.read(newer, settings, tell)).to.equal(null);
    expect(cache.others([program])).to.equal(null);
    writeFileSync(join(cache.folder, "note.txt"), "somebody's own");
    expect(cache.others([newer]))
      .to.include("1 results")
      .and.to.include("other versions");
    expect(existsSync(fileOf())).to.equal(true);
  });

  for (const [what, damage] of [
    ["cut", (path: string) => truncateSync(path, 40)],
    ["empty", (path: string) => truncateSync(path, 0)],
    ["of something else", (path: string) => writeFileSync(path, '{"format":1}')],
    ["of another format", (path: string) => writeFileSync(path, readFileSync(path, "utf8").replace('"format":1', '"format":99'))],
    ["of another version", (path: string) => writeFileSync(path, readFileSync(path, "utf8").replace("aaaaaaaaaaaa", "cccccccccccc"))],
    ["of other settings", (path: string) => writeFileSync(path, readFileSync(path, "utf8").replace('"seed":1', '"seed":2'))],
  ] as const)
    it(`sets aside a file that is ${what}, names it, and keeps it`, () => {
      cache.write(program, settings, result, more);
      damage(fileOf());
      const left = readFileSync(fileOf(), "utf8");
      expect(cache.read(program, settings, tell)).to.equal(null);
      expect(notes).to.have.length(1);
      expect(notes[0]).to.include(`${fileOf()}.damaged`);
      expect(readFileSync(`${fileOf()}.damaged`, "utf8")).to.equal(left);
      expect(existsSync(fileOf())).to.equal(false);
      expect(cache.read(program, settings, tell)).to.equal(null);
      expect(notes).to.have.length(1);
    });

  it("removes what a killed process had begun to write, and nothing that a living one is writing", () => {
    cache.write(program, settings, result, more);
    const dead = join(home(), "x.json.999999999.tmp");
    const alive = join(home(), `y.json.${process.pid}.tmp`);
    for (const path of [dead, alive]) writeFileSync(path, "half");
    cache.tidy(program);
    expect([dead, alive, fileOf()].map(existsSync)).to.deep.equal([false, true, true]);
  });

  describe("and those who work for it", () => {
    const shop = (change: Partial<Workshop> = {}): Workshop => ({
      cache,
      programs: new Map([["train", program]]),
      lanes: 2,
      screen: { write: () => true },
      interrupted: () => false,
      tell,
      ...change,
    });
    const run = (of: TrainSettings, keep = false): PlannedRun => ({ hash: hashOf(of), settings: of, claim: 5, keep });
    const results = (): string[] => readdirSync(home()).filter((name) => name.endsWith(".json"));

    it("do each run once, and none that is kept", async () => {
      const plan = [1, 2, 3].map((seed) => run(trained()(seed)));
      expect(await work(plan, shop())).to.equal("finished");
      expect(plan.map(({ settings: of }) => cache.read(program, of, tell)?.values["seed"])).to.deep.equal([1, 2, 3]);
      const before = plan.map(({ settings: of }) => readFileSync(fileOf(of as TrainSettings), "utf8"));
      expect(
        await work(
          plan,
          shop({ programs: new Map([["train", { ...program, folder: join(folder, "again"), code: "throw new Error('asked again')" }]]) }),
        ),
      ).to.equal("finished");
      expect(plan.map(({ settings: of }) => readFileSync(fileOf(of as TrainSettings), "utf8"))).to.deep.equal(before);
    });

    const from = trained()(1);
    const tuned = trained({}, { begin: { from, parts: "all" } })(1);
    const claim = {
      number: 5,
      seeds: 1,
      arms: [
        { name: "tuned", settings: () => tuned },
        { name: "first", settings: () => from },
      ],
    } as unknown as Claim;

    it("do first what others build on, and give them its weights", async () => {
      const plan = runsOf([claim], { steps: (n) => n, seeds: () => 1 });
      expect(plan.map(({ hash, keep }) => [hash, keep])).to.deep.equal([[hashOf(from), true], [hashOf(tuned), false]]); // prettier-ignore
      expect(await work(plan, shop())).to.equal("finished");
      expect(cache.read(program, tuned, tell)?.values).to.deep.equal({ seed: 1, given: 1, asked: 1 });
    });

    it("do a run again whose weights are gone where others need them", async () => {
      cache.write(program, from, { values: { seed: -1 }, courses: {} }, more);
      expect(await work([run(from)], shop())).to.equal("finished");
      expect(cache.read(program, from, tell)?.values["seed"]).to.equal(-1);
      expect(await work([run(from, true), run(tuned)], shop())).to.equal("finished");
      expect(cache.read(program, from, tell)?.values["seed"]).to.equal(1);
    });

    it("stop when asked, and go on later", async () => {
      const plan = [1, 2, 3, 4, 5].map((seed) => run(trained()(seed)));
      let asked = 0;
      expect(await work(plan, shop({ lanes: 1, interrupted: () => ++asked > 2 }))).to.equal("interrupted");
      const done = results().length;
      expect(done).to.be.within(1, 4);
      expect(await work(plan, shop())).to.equal("finished");
      expect(results()).to.have.length(5);
    });

    for (const [text, message] of [
      ["fail", "it does not work"],
      ["crash", "code 3"],
    ] as const)
      // prettier-ignore
      it(`keep the results of others where a run ends with "${message}"`, async () => {
        const plan = [run(trained()(1)), run(trained({ text })(2))];
        const error: unknown = await work(plan, shop({ lanes: 1 })).catch((thrown: unknown) => thrown);
        expect(error).to.be.instanceOf(Error).with.property("message").that.includes(message);
        expect(cache.read(program, trained()(1), tell)?.values["seed"]).to.equal(1);
        expect(results()).to.have.length(1);
      });
  });
});

describe("settings", () => {
  it("have a hash that does not depend on the order of keys, and does on everything else", () => {
    const turned = Object.fromEntries(Object.entries(settings).toReversed()) as unknown as TrainSettings;
    expect(hashOf(turned)).to.equal(hashOf(settings));
    const others = [
      trained()(2),
      trained({ text: "eng" })(1),
      trained({ model: { experts: 9 } })(1),
      trained({ training: { steps: 401 } })(1),
      trained({}, { pairs: 3 })(1),
    ];
    expect(new Set([settings, ...others].map(hashOf)).size).to.equal(others.length + 1);
  });

  it("cannot hold a number that JSON does not know", () => {
    expect(() => hashOf(trained({ model: { capacityFactor: Infinity } })(1))).to.throw(RangeError, "cannot be written down");
  });

  it("are shortened with what they build on", () => {
    const tuned = trained({}, { begin: { from: settings, parts: "all" }, teacher: { from: settings, hard: 0, soft: 1 } })(1);
    const two = shortened(tuned, () => 2);
    expect([two, two.begin?.from, two.teacher?.from].map((one) => one?.training.steps)).to.deep.equal([2, 2, 2]);
  });
});
