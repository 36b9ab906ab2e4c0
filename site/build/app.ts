/** The interactive pages: bundled from `app`, which uses the library as its users do. */
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { loadDeclaration } from "../../examples/train/text.ts";
import { playgroundPage } from "../app/playgroundPage.ts";
import { english, korean } from "../app/strings.ts";

/** Writes `app/`, `playground/` and `ko/playground/` into the built site. */
export async function writeApp(root: string, out: string): Promise<void> {
  const app = join(out, "app");
  await build({
    entryPoints: [join(root, "site/app/playground.ts"), join(root, "site/app/worker.ts")],
    outdir: app,
    conditions: ["source"],
    bundle: true,
    splitting: true,
    format: "esm",
    minify: true,
    target: "es2022",
    chunkNames: "chunks/[name]-[hash]",
    logLevel: "warning",
    external: ["gpu.js", "node:*", "webgpu"],
    absWorkingDir: root,
  });
  cpSync(join(root, "site/app/playground.css"), join(app, "playground.css"));
  writeFileSync(join(app, "text.json"), JSON.stringify({ scripts: textOf("scripts"), latin: textOf("latin") }));
  for (const [folder, strings] of [
    ["playground", english],
    ["ko/playground", korean],
  ] as const) {
    mkdirSync(join(out, folder), { recursive: true });
    writeFileSync(join(out, folder, "index.html"), playgroundPage(strings, folder === "playground" ? "../" : "../../"));
  }
}

function textOf(languages: string): { name: string; code: string; training: string }[] {
  return loadDeclaration(languages).classes.map(({ name, code, training }) => ({
    name,
    code,
    training: new TextDecoder().decode(training),
  }));
}
