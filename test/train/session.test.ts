/** A run from its first step to its account: what is said, when it is concluded, and how long it listens for signals. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { configOf } from "../../examples/train/configuration.ts";
import { corpusOf, languageJob } from "../../examples/train/languageWork.ts";
import { trainDefaults } from "../../examples/train/options.ts";
import { COLUMNS } from "../../examples/train/progress.ts";
import { begin, goOn } from "../../examples/train/session.ts";
import { signals } from "../../examples/train/stopping.ts";

const config = configOf({ ...trainDefaults(), languages: "eng,ell", steps: 4, every: 2, width: 8, heads: 2, layers: 1, hidden: 16, experts: 3, length: 16, batch: 4, warmup: 1 }); // prettier-ignore
const job = languageJob(config, corpusOf({ languages: "eng,ell" }));
const unchanged = { steps: 0, seconds: 0, every: 0 };
/** SIGINT is left out: mocha answers it too. */
const SIGNAL = "SIGTERM";
const listening = (): number[] => [...Object.keys(signals).map((name) => process.listenerCount(name)), process.stdout.listenerCount("error")]; // prettier-ignore

describe("a run from begin to end", () => {
  let folder: string;
  let lines: string[];
  /** What listened while the run was trained. */
  let during: number[];
  let signalled: boolean;
  const work = {
    job,
    name: "run",
    describe: () => void lines.push("(described)"),
    conclude: () => Promise.resolve(void lines.push("(concluded)")),
  };

  /** Uses the terminal's place; the first line of progress sends a signal, where one is wanted. */
  async function run(use: () => Promise<unknown>, signal = false): Promise<string[]> {
    const { log } = console;
    const { write } = process.stdout;
    [lines, during, signalled] = [[], [], signal];
    console.log = (...values: unknown[]) => void lines.push(values.join(" "));
    process.env[COLUMNS] = "80"; // a terminal, which sees a line at each step
    process.stdout.write = () => {
      during = listening();
      if (signalled) process.emit(SIGNAL);
      return !(signalled = false);
    };
    try {
      await use();
    } finally {
      console.log = log;
      process.stdout.write = write;
      delete process.env[COLUMNS];
    }
    return lines;
  }

  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "switchyard-session-"))));
  afterEach(() => {
    rmSync(folder, { recursive: true });
    process.exitCode = 0;
  });

  const first = (signal?: boolean) => run(() => begin(work, config, { out: folder, overwrite: false }), signal);
  const next = (change = {}) => run(() => goOn(work, folder, { ...unchanged, ...change }));

  it("is described, trained and concluded, and listens for signals and lost readers only while it is trained", async () => {
    const before = listening();
    expect(await first()).to.deep.equal(["(described)", "(concluded)"]);
    expect(during).to.deep.equal(before.map((count) => count + 1));
    expect(listening()).to.deep.equal(before);
    expect(process.exitCode ?? 0).to.equal(0);
  });

  it("that a signal interrupts is not concluded, says how to go on, and goes on", async () => {
    const before = listening();
    const [described, said, ...more] = await first(true);
    expect([described, ...more]).to.deep.equal(["(described)"]);
    expect(said).to.equal(`interrupted after step 1; saved. Go on with: npm start -- resume --from ${folder}`);
    expect(process.exitCode).to.equal(signals[SIGNAL]);
    expect(listening()).to.deep.equal(before);
    expect(await next()).to.deep.equal([`going on with ${folder} after step 1 of 4`, "(concluded)"]);
  });

  it("that has done all says so, and gives its account once more", async () => {
    await first();
    expect(await next()).to.deep.equal([`${folder} has taken all of its 4 steps; --steps N adds more. Its account once more:`, "(concluded)"]); // prettier-ignore
    await first(true).catch(() => {}); // the folder is taken: nothing is trained
    expect(lines).to.deep.equal([]);
  });

  it("that has used its time says so", async () => {
    await first();
    const [said, concluded] = await next({ steps: 9, seconds: 1e-9 });
    expect(said).to.equal(`${folder} has used its 1e-9 seconds after step 4 of 9; --seconds N gives more. Its account once more:`);
    expect(concluded).to.equal("(concluded)");
  });
});
