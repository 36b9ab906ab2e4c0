/** A page for every source file, with an anchor for each line: plain HTML, outside of the pages that Vue draws. */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { highlighterOf } from "./highlighter.ts";

const folders = ["src", "examples", "test", "bench", "scripts"];
const shown = /\.(ts|mjs|py)$/;

/** Writes `source/<path>.html` for every file of the project's code; answers the paths. */
export async function writeSourcePages(root: string, out: string): Promise<string[]> {
  const highlighter = await highlighterOf();
  const files = folders
    .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => `${folder}/${name}`))
    .filter((name) => shown.test(name) && !name.includes("node_modules/"))
    .sort();
  for (const file of files) {
    const code = readFileSync(join(root, file), "utf8").trimEnd();
    const html = highlighter.codeToHtml(code, {
      lang: file.endsWith(".py") ? "python" : file.endsWith(".mjs") ? "js" : "ts",
      themes: { light: "github-light", dark: "github-dark" },
      transformers: [
        {
          line(node, line) {
            node.properties["id"] = `L${line}`;
          },
        },
      ],
    });
    const target = join(out, "source", `${file}.html`);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, page(file, html));
  }
  highlighter.dispose();
  return files;
}

function page(file: string, code: string): string {
  const up = "../".repeat(file.split("/").length);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${file} · Switchyard</title>
<link rel="icon" href="${up}logo.svg">
<link rel="stylesheet" href="${up}source.css">
<script>document.documentElement.classList.toggle("dark",(localStorage.getItem("vitepress-theme-appearance")||"auto")==="auto"?matchMedia("(prefers-color-scheme: dark)").matches:localStorage.getItem("vitepress-theme-appearance")==="dark")</script>
</head>
<body>
<header><a href="${up}index.html">Switchyard</a> <span aria-hidden="true">/</span> <h1>${file}</h1></header>
<main tabindex="0" aria-label="${file}">${code}</main>
</body>
</html>
`;
}
