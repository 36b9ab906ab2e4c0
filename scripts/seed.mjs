/** Random tests draw other cases on each run. With `FAST_CHECK_SEED` they all draw the same, so that a failure comes from the change that is checked. */
import { createRequire } from "node:module";
import * as imported from "fast-check";

const given = process.env.FAST_CHECK_SEED ?? "";
if (given !== "") {
  const seed = Number(given);
  if (!Number.isInteger(seed)) throw new Error(`FAST_CHECK_SEED "${given}": want a whole number`);
  // Mocha may load a test file either way, and each way has a copy of the package with settings of its own.
  const required = createRequire(import.meta.url)("fast-check");
  for (const fc of [imported, required]) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
}
