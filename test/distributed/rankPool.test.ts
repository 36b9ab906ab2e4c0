/** A pool of ranks, whatever they live in: here in workers that answer at once, never, or end. */
import { expect } from "chai";
import { RankPool } from "../../src/distributed/rankPool.ts";
import type { Assignment, RankWorker, Report } from "../../src/distributed/rankPool.ts";
import { abortWorld } from "../../src/distributed/sharedWorld.ts";

type Answer = (assignment: Assignment<string>, report: (report: Report) => void, gone: (how: string) => void) => void;

const listening = new Set<Answer>();
const worker = (answer: Answer): RankWorker<string> => ({
  assign(assignment, report, gone) {
    listening.add(answer);
    queueMicrotask(() => answer(assignment, report, gone));
    return () => void listening.delete(answer);
  },
  terminate: () => {},
});
const echo: Answer = ({ rank, program, options }, report) => report({ result: `${program} ${rank} ${options.ordered}` });
const failure = (pool: RankPool<string>): Promise<string> => pool.run("a", 1, {}).then(() => "nothing", String);

describe("a pool of ranks", () => {
  it("gives each rank its assignment and returns the results in order of ranks, again and again", async () => {
    const late: Answer = (...given) => setTimeout(() => echo(...given), 5);
    const pool = new RankPool("ranks", [worker(late), worker(echo)]);
    for (const program of ["a", "b"])
      expect(await pool.run(program, 1, { ordered: true })).to.deep.equal([`${program} 0 true`, `${program} 1 true`]);
    expect(listening.size, "nobody listens when a program is done").to.equal(0);
  });

  it("runs one program at a time", async () => {
    const pool = new RankPool("ranks", [worker(echo)]);
    const first = pool.run("a", 1, {});
    expect(await failure(pool)).to.equal("Error: ranks: this world already runs a program; await it first");
    await first;
    expect(await failure(pool)).to.equal("nothing");
  });

  it("tells what the rank said that failed, and goes on", async () => {
    const error = new RangeError("no such token");
    const fails: Answer = ({ world, program }, report) => {
      if (program === "b") report({ result: 1 });
      else {
        abortWorld(world, "rank 1 of 2: no such token");
        report({ error });
      }
    };
    const pool = new RankPool("ranks", [worker((_, report) => report({ error: null })), worker(fails)]);
    const thrown: unknown = await pool.run("a", 1, {}).catch((fault: unknown) => fault);
    expect(String(thrown)).to.equal("Error: rank 1 of 2: no such token");
    expect((thrown as Error).cause).to.equal(error);
    expect(pool.ended).to.equal(false);
  });

  it("ends with a worker that ends, and takes no program then", async () => {
    const pool = new RankPool("ranks", [worker(echo), worker((_, _report, gone) => gone("ended with exit code 3"))]);
    expect(await failure(pool)).to.equal("Error: rank 1 of 2 ended with exit code 3");
    expect(pool.ended).to.equal(true);
    expect(await failure(pool)).to.equal("Error: ranks: rank 1 ended with exit code 3; start a new world");
    const closed = new RankPool("ranks", [worker(echo)]);
    await closed.close();
    expect(await failure(closed)).to.equal("Error: ranks: it was closed; start a new world");
  });
});
