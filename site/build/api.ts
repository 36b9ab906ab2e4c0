/** The API reference, made by TypeDoc from the sources: a page for each export of each entry, outside of the pages that Vue draws. */
import { readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { Application, Comment, CommentTag, PageEvent, RendererEvent } from "typedoc";
import type { ProjectReflection, SourceReference, TypeDocOptions } from "typedoc";
import { sourceLink } from "./directives.ts";

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly source: string }>>;
}

/** The sources of what the package exports, in its order. */
function entriesOf(root: string): string[] {
  const { exports }: Manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return Object.values(exports).flatMap((target) => (typeof target === "string" ? [] : [join(root, target.source)]));
}

function optionsOf(root: string, out: string): Partial<TypeDocOptions> {
  return {
    entryPoints: entriesOf(root),
    sortEntryPoints: false,
    basePath: root,
    tsconfig: join(root, "tsconfig.build.json"),
    out,
    name: "Switchyard API",
    readme: "none",
    githubPages: false,
    hideGenerator: true,
    excludePrivate: true,
    excludeInternal: true,
    excludeExternals: true,
    // Both are wanted where there is no repository to link to; the addresses are set below.
    disableGit: true,
    sourceLinkTemplate: "/source/{path}.html#L{line}",
    navigation: { includeFolders: false },
    navigationLinks: { Guide: "/guide/1-what-moe-is.html", 한국어: "/ko/", Playground: "/playground/index.html" },
    customCss: join(root, "site/public/api.css"),
    favicon: join(root, "site/public/logo.svg"),
    titleLink: "/index.html",
    skipErrorChecking: true,
    logLevel: "Error",
    sort: ["source-order"],
  };
}

/** Writes the reference into the folder `out`; answers the page of each export, by its name, as a path within that folder. */
export async function writeApi(root: string, out: string): Promise<ReadonlyMap<string, string>> {
  const app = await Application.bootstrap(optionsOf(root, out));
  const project = await app.convert();
  if (!project) throw new Error("site: TypeDoc could not read the sources");
  for (const entry of project.children ?? []) entry.name = entry.name.replace(/^src/, "switchyard-moe");
  introduce(root, project);
  linkGuide(root, project);
  linkSources(root, project);
  const pages = new Map<string, string>();
  app.renderer.on(RendererEvent.BEGIN, () => pagesOf(app, project).forEach(([name, page]) => pages.set(name, page)));
  app.renderer.on(PageEvent.END, (page: PageEvent) => (page.contents = accessible(page.contents ?? "")));
  await app.generateDocs(project, out);
  return pages;
}

/** The page of each export, by its name. The addresses are there only while TypeDoc writes. */
function pagesOf({ renderer: { router } }: Application, project: ProjectReflection): [string, string][] {
  if (!router) throw new Error("site: TypeDoc has given its pages no addresses");
  const exports = (project.children ?? []).flatMap(({ children = [] }) => children);
  // Those of namespaces come first, so that an entry's own export of the same name stands.
  return [...exports.flatMap(({ children = [] }) => children), ...exports].flatMap((one): [string, string][] =>
    router.hasUrl(one) ? [[one.name, router.getFullUrl(one)]] : [],
  );
}

/** What each entry says of itself stands on its page, and its first sentence on the first page. */
function introduce(root: string, project: ProjectReflection): void {
  const rows = (project.children ?? []).map((entry, i) => {
    const text = headOf(entriesOf(root)[i]);
    entry.comment = new Comment([{ kind: "text", text }]);
    const address = `modules/${entry.name.replaceAll("/", "_")}.html`;
    return `| [${entry.name}](${address}) | ${/^.*?\.(?=\s|$)/.exec(text.replaceAll("\n", " "))?.[0] ?? ""} |`;
  });
  const intro = "Every public class, function and type, by the entry of the package that exports it.";
  project.readme = [
    { kind: "text", text: [intro, "", "## Entries", "", "| import from | what it holds |", "| --- | --- |", ...rows].join("\n") },
  ];
}

/** The comment at the top of a file, without the entry's own name. */
function headOf(file: string): string {
  const head = /^\/\*\*([\s\S]*?)\*\//.exec(readFileSync(file, "utf8"))?.[1];
  if (head === undefined) throw new Error(`site: ${file} does not say what it is`);
  const text = head.replaceAll(/^ *\* ?/gm, "").trim().replace(/^`[\w/-]+`: /, ""); // prettier-ignore
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Exports that the guide shows get a link to the place. */
function linkGuide(root: string, project: ProjectReflection): void {
  for (const [name, places] of shownInGuide(root))
    for (const reflection of Object.values(project.reflections).filter((one) => one.name === name && one.parent?.isDeclaration())) {
      reflection.comment ??= new Comment();
      for (const { page, title } of places)
        reflection.comment.blockTags.push(new CommentTag("@see", [{ kind: "text", text: `[The guide: ${title}](/guide/${page}.html)` }]));
    }
}

/** Where each export is written: in the site's own pages of the sources. What comes from JavaScript itself has no such page. */
function linkSources(root: string, project: ProjectReflection): void {
  for (const reflection of Object.values(project.reflections)) {
    if (!("sources" in reflection)) continue;
    const { sources = [] } = reflection as { sources?: SourceReference[] };
    const own = sources.filter(({ fullFileName }) => !fullFileName.includes("node_modules"));
    for (const source of own) source.url = sourceLink(relative(root, source.fullFileName), source.line);
    Object.assign(reflection, { sources: own });
  }
}

/** What a screen reader needs and TypeDoc leaves out: a main landmark, names of navigations, headings in order, no link in a button. */
function accessible(html: string): string {
  const [head = "", ...groups] = html
    .replace('<div class="col-content">', '<div class="col-content" role="main">')
    .replace('<div class="page-menu">', '<div class="page-menu" role="navigation" aria-label="On this page">')
    .replace('<nav id="tsd-sidebar-links"', '<nav id="tsd-sidebar-links" aria-label="Site"')
    .replace(
      /(<summary class="tsd-accordion-summary"[^>]*>[\s\S]*?)<a href="#[^"]*" aria-label="Permalink"[\s\S]*?<\/a>(<\/h\d><\/summary>)/g,
      "$1$2",
    ) // prettier-ignore
    .split(/(?=<details class="tsd-panel-group)/);
  // Above the groups of members there is only the title.
  return [head.replace(/<(\/?)h[45]\b/g, "<$1h2"), ...groups].join("");
}

interface Place {
  readonly page: string;
  readonly title: string;
}

/** The names that pages of the guide take from the sources, and those pages. */
function shownInGuide(root: string): Map<string, Place[]> {
  const folder = join(root, "site/content/en/guide");
  const found = new Map<string, Place[]>();
  for (const file of readdirSync(folder)) {
    const text = readFileSync(join(folder, file), "utf8");
    const title = /^# (.+)$/m.exec(text)?.[1] ?? file;
    const names = new Set([...text.matchAll(/^::source [^#\s]+#(\w+)/gm)].map(([, name = ""]) => name));
    for (const name of names) found.set(name, [...(found.get(name) ?? []), { page: file.slice(0, -3), title }]);
  }
  return found;
}
