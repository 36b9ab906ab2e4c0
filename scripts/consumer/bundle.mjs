// Bundles page.mjs with each bundler as its users do, without plugins for this package. What may be missing is the optional peer alone.
import { resolve } from "node:path";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import { rollup } from "rollup";
import { build } from "vite";
import webpack from "webpack";

const entry = resolve("page.mjs");
const folder = (name) => resolve("bundles", name);

/** Throws for a warning that does not speak of the optional peer. */
function accept(bundler, warning) {
  if (!warning.includes("gpu.js")) throw new Error(`${bundler}: ${warning}`);
  console.log(`${bundler}: ${warning.split("\n")[0]}`);
}

async function withVite() {
  const lib = { entry, formats: ["es"], fileName: () => "page.mjs" };
  const customLogger = { info() {}, warn: (text) => accept("vite", text), warnOnce: (text) => accept("vite", text), error: console.error, clearScreen() {}, hasErrorLogged: () => false, hasWarned: false }; // prettier-ignore
  await build({ configFile: false, customLogger, build: { target: "es2022", outDir: folder("vite"), lib } });
}

async function withRollup() {
  const made = await rollup({ input: entry, plugins: [nodeResolve()], onwarn: ({ message }) => accept("rollup", message) });
  await made.write({ dir: folder("rollup"), format: "es", entryFileNames: "page.mjs" });
  await made.close();
}

function withWebpack() {
  const output = { path: folder("webpack"), filename: "page.mjs", module: true, chunkFormat: "module" };
  const compiler = webpack({ mode: "production", target: "web", entry, experiments: { outputModule: true }, output });
  return new Promise((done, fail) => {
    compiler.run((error, stats) => {
      if (error) return fail(error);
      const { errors = [], warnings = [] } = stats.toJson({ all: false, errors: true, warnings: true });
      try {
        for (const { message } of errors) throw new Error(`webpack: ${message}`);
        // Sizes are weighed elsewhere.
        for (const { message } of warnings) if (!/size limit|size exceeds|lazy load/.test(message)) accept("webpack", message);
        compiler.close(() => done());
      } catch (thrown) {
        fail(thrown);
      }
    });
  });
}

await withVite();
await withRollup();
await withWebpack();
