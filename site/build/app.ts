/** The interactive pages: bundled from `app`, which uses the library as its users do. */
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { loadDeclaration } from "../../examples/train/text.ts";
import { museumPage } from "../app/museumPage.ts";
import { museumEnglish, museumKorean } from "../app/museumStrings.ts";
import { playgroundPage } from "../app/playgroundPage.ts";
import { english, korean } from "../app/strings.ts";
import { highlighterOf } from "./highlighter.ts";
import { ownRouterOf, roomsOf } from "./museum.ts";

/** Writes `app/`, `playground/` and `ko/playground/` into the built site. */
export async function writeApp(root: string, out: string): Promise<void> {
  const app = join(out, "app");
  await build({
    entryPoints: ["playground", "worker", "museum", "museumWorker", "widgets"].map((name) => join(root, "site/app", `${name}.ts`)),
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
  const write = (path: string, html: string): void => {
    mkdirSync(join(out, path), { recursive: true });
    writeFileSync(join(out, path, "index.html"), html);
  };
  write("playground", playgroundPage(english, "../"));
  write("ko/playground", playgroundPage(korean, "../../"));
  const highlighter = await highlighterOf();
  const rooms = roomsOf(root, highlighter);
  write("museum", museumPage(museumEnglish, "../", rooms, ownRouterOf(root)));
  write("ko/museum", museumPage(museumKorean, "../../", rooms, ownRouterOf(root)));
  highlighter.dispose();
}

function textOf(languages: string): { name: string; code: string; training: string }[] {
  return loadDeclaration(languages).classes.map(({ name, code, training }) => ({
    name,
    code,
    training: new TextDecoder().decode(training),
  }));
}
