/** A process that runs test files of the tree it stands in, each time with the sources as they are then, and says how many tests passed and failed. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import Mocha from "mocha";
import "../seed.mjs";

const { timeout } = JSON.parse(readFileSync(".mocharc.json", "utf8"));

async function run({ version, file, pattern }) {
  const mocha = new Mocha({ bail: true, timeout });
  if (pattern) mocha.grep(new RegExp(pattern));
  mocha.addFile(resolve(file));
  await mocha.loadFilesAsync({ esmDecorator: (url) => `${url}?v=${version}` });
  const { stats, failures } = await new Promise((done) => {
    const failures = [];
    const runner = mocha.run(() => done({ stats: runner.stats, failures }));
    runner.on("fail", ({ title }, error) => failures.push(`${title}: ${error?.stack ?? error}`));
  });
  mocha.dispose();
  return { passing: stats.passes, failing: stats.failures, output: failures.join("\n") };
}

process.on("message", (order) =>
  run(order)
    .catch((error) => ({ passing: 0, failing: 0, output: String(error?.stack ?? error) }))
    .then((verdict) => process.send(verdict)),
);
process.on("disconnect", () => process.exit());
