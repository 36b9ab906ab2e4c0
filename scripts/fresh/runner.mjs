/** A process that runs test files of the tree it stands in, each time with the sources as they are then, and says how many tests passed and failed. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import Mocha from "mocha";
import "../seed.mjs";

const { timeout } = JSON.parse(readFileSync(".mocharc.json", "utf8"));

async function run({ version, file, pattern }) {
  const mocha = new Mocha({ bail: true, timeout });
  if (pattern) mocha.grep(new RegExp(pattern));
  // As mocha loads a file, but it would try `require` first, which loads each module once.
  const path = resolve(file);
  mocha.suite.emit("pre-require", globalThis, path, mocha);
  await import(`${pathToFileURL(path).href}?v=${version}`);
  mocha.suite.emit("post-require", globalThis, path, mocha);
  process.send("goes on");
  const { stats, failures } = await new Promise((done) => {
    const failures = [];
    const runner = mocha.run(() => done({ stats: runner.stats, failures }));
    runner.on("fail", (failed, error) => failures.push({ failed, error }));
    for (const end of ["test end", "hook end"]) runner.on(end, () => process.send("goes on"));
  });
  mocha.dispose();
  const output = failures.map(({ failed, error }) => `${failed.title}: ${error?.stack ?? error}`).join("\n");
  const [{ failed } = {}] = failures;
  const title = (failed?.type === "hook" ? failed.parent : failed)?.fullTitle() || undefined;
  return { passing: stats.passes, failing: stats.failures, title, output };
}

process.on("message", (order) =>
  run(order)
    .catch((error) => ({ passing: 0, failing: 0, output: String(error?.stack ?? error) }))
    .then((verdict) => process.send(verdict)),
);
process.on("disconnect", () => process.exit());
