/** The interactive pages: bundled from `app`, which uses the library as its users do. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { build, transform } from "esbuild";
import { loadDeclaration } from "../../examples/train/text.ts";
import { loadedWith } from "../../scripts/loadedWith.ts";
import { museumPage } from "../app/museumPage.ts";
import { museumEnglish, museumKorean } from "../app/museumStrings.ts";
import { playgroundPage } from "../app/playgroundPage.ts";
import { english, korean } from "../app/strings.ts";
import { layoutRoomsOf, ownRouterOf, roomsOf, translated } from "./museum.ts";
import { koreanMuseum } from "./museumWords.ts";

/** Writes `app/`, `playground/` and `ko/playground/` into the built site. */
export async function writeApp(root: string, out: string): Promise<void> {
  const app = join(out, "app");
  const bundle = (folder: string, ...names: string[]) =>
    build({
      entryPoints: names.map((name) => join(root, "site/app", `${name}.ts`)),
      outdir: folder,
      conditions: ["source"],
      bundle: true,
      splitting: true,
      format: "esm",
      minify: true,
      target: "es2022",
      chunkNames: "chunks/[name]-[hash]",
      logLevel: "warning",
      metafile: true,
      external: ["node:*", "webgpu", "koffi"],
      absWorkingDir: root,
    });
  // Apart, so that the playground does not load what only the museum's laws use.
  const { metafile } = await bundle(app, "playground", "worker");
  await bundle(app, "museum", "museumWorker", "bugTrainingWorker", "layoutWorker", "rankWorker");
  await bundle(app, "widgets");
  await bundle(app, "code");
  // At the top: a service worker serves nothing above its own place.
  await bundle(out, "isolate");
  const minified = async (file: string): Promise<string> => (await transform(readFileSync(file, "utf8"), { loader: "css", minify: true })).code; // prettier-ignore
  const [colours, styles, ofMuseum] = await Promise.all([join(out, "colours.css"), join(root, "site/app/playground.css"), join(root, "site/app/museum.css")].map(minified)); // prettier-ignore
  writeFileSync(join(app, "playground.css"), styles);
  writeFileSync(join(app, "museum.css"), ofMuseum);
  writeFileSync(join(app, "text.json"), JSON.stringify({ scripts: textOf("scripts"), latin: textOf("latin") }));
  const write = (path: string, html: string): void => {
    mkdirSync(join(out, path), { recursive: true });
    writeFileSync(join(out, path, "index.html"), html);
  };
  const modules = [...loadedWith(metafile.outputs, relative(root, join(app, "playground.js")))].map((path) =>
    relative(app, join(root, path)),
  );
  const parts = { modules, styles: `${colours}${styles}` };
  write("playground", playgroundPage(english, "../", parts));
  write("ko/playground", playgroundPage(korean, "../../", parts));
  const [rooms, ownRouter, words] = [roomsOf(root), ownRouterOf(root), koreanMuseum(join(root, "site"))];
  write("museum", museumPage(museumEnglish, "../", { rooms, ownRouter, layouts: layoutRoomsOf(root, museumEnglish, null), words: null }));
  const layouts = layoutRoomsOf(root, museumKorean, words);
  write("ko/museum", museumPage(museumKorean, "../../", { rooms: translated(rooms, words), ownRouter, layouts, words }));
}

function textOf(languages: string): { name: string; code: string; training: string }[] {
  return loadDeclaration(languages).classes.map(({ name, code, training }) => ({
    name,
    code,
    training: new TextDecoder().decode(training),
  }));
}
