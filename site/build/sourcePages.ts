/** A page for every source file, with an anchor for each line, and one for every folder: plain HTML, outside of the pages that Vue draws. */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, extname, join, posix } from "node:path";
import { codeHtml } from "./codeHtml.ts";
import { chosenColours } from "../app/pageHead.ts";

const folders = ["src", "examples", "test", "bench", "scripts", "docs", "site/app", "site/build", "site/content", "site/test"];
const endings = new Set([".ts", ".mjs", ".py", ".md", ".json", ".txt"]);
/** Files at the top that documents point to. */
const alone = ["package.json", "CHANGELOG.md"];

/** Writes `source/<path>.html` for every file of the project's code and documents, and the folders' lists; answers the paths of files. */
export function writeSourcePages(root: string, out: string): string[] {
  const files =
    [...folders.flatMap((folder) => readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map((name) => `${folder}/${name}`)), ...alone] // prettier-ignore
      .filter((name) => endings.has(extname(name)) && !name.includes("node_modules/") && !isData(name))
      .sort();
  const write = (path: string, html: string): void => {
    const target = join(out, "source", path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, html);
  };
  for (const file of files) write(`${file}.html`, page(file, codeOf(root, file)));
  for (const [folder, names] of foldersOf(files)) write(join(folder, "index.html"), page(folder, listOf(folder, names)));
  return files;
}

/** Numbers that tests read: nobody reads them as text. */
function isData(name: string): boolean {
  if (name.startsWith("test/fixtures/")) return !/\.(ts|py|md)$/.test(name);
  return name.endsWith(".json") && !/^(bench\/|docs\/|[^/]*$)/.test(name);
}

function codeOf(root: string, file: string): string {
  return codeHtml(readFileSync(join(root, file), "utf8").trimEnd(), extname(file).slice(1), { ids: true });
}

/** What each folder holds: files and folders, by name. */
function foldersOf(files: readonly string[]): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const file of files)
    for (let path = file; path !== "."; path = dirname(path)) {
      const folder = dirname(path);
      const names = found.get(folder) ?? new Set();
      found.set(folder, names.add(path === file ? posix.basename(path) : `${posix.basename(path)}/`));
    }
  return found;
}

function listOf(folder: string, names: ReadonlySet<string>): string {
  const target = (name: string): string => (name.endsWith("/") ? `${name}index.html` : `${name}.html`);
  const rows = [...names].sort().map((name) => `<li><a href="${target(name)}">${name}</a></li>`);
  return `<ul class="folder">${folder === "." ? "" : '<li><a href="../index.html">..</a></li>'}${rows.join("")}</ul>`;
}

function page(path: string, content: string): string {
  const depth = content.startsWith("<ul") ? path.split("/").length + (path === "." ? 0 : 1) : path.split("/").length;
  const up = "../".repeat(depth);
  const title = path === "." ? "source" : path;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title} · Switchyard</title>
<link rel="icon" href="${up}logo.svg">
<link rel="stylesheet" href="${up}colours.css">
<link rel="stylesheet" href="${up}code.css">
<link rel="stylesheet" href="${up}source.css">
${chosenColours}
</head>
<body>
<header><a href="${up}index.html">Switchyard</a> <span aria-hidden="true">/</span> <a href="${up}source/index.html">source</a> <span aria-hidden="true">/</span> <h1>${title}</h1></header>
<main tabindex="0" aria-label="${title}">${content}</main>
</body>
</html>
`;
}
