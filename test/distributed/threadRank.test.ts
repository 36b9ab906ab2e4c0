/** What a rank in its thread reports: results as copies, and each way in which a program fails. */
import { expect } from "chai";
import { ThreadWorld } from "../../src/distributed/index.ts";
import { serveRank } from "../../src/distributed/threadRank.ts";

const module = new URL("programs.ts", import.meta.url).href;

describe("a rank in its thread", function () {
  this.timeout(120_000);
  let world: ThreadWorld;
  before(async () => (world = await ThreadWorld.start(1)));
  after(() => world.close());

  const failure = (name: string): Promise<string> => world.run({ module, export: name }).then(() => "nothing was thrown", String);

  it("says which function a module lacks", async () => {
    expect(await failure("nothingOfThatName")).to.match(/^Error: rank 0 of 1, .*TypeError: threads: file:.*programs\.[jt]s exports no function nothingOfThatName$/); // prettier-ignore
    expect(await failure("crossingNames"), "what is exported is no function").to.include("exports no function crossingNames");
  });

  it("tells a thrown value that is no error, and a result that cannot be copied", async () => {
    expect(await failure("throwsText")).to.equal("Error: rank 0 of 1, no collective yet: only words");
    expect(await failure("returnsFunction")).to.match(/^Error: rank 0 of 1, its end: DataCloneError/);
  });

  it("answers with a copy of what the program returns, or what its promise holds", async () => {
    expect(await world.run({ module, export: "answersLater", data: { a: [1, NaN] } })).to.deep.equal([{ a: [1, NaN] }]);
  });

  it("is served in a thread only", () => {
    expect(() => serveRank()).to.throw("serveRank: this is no worker thread; use threads(n, program)");
  });
});
