/** The API reference, made by TypeDoc from the sources: a page for each export of each entry, outside of the pages that Vue draws. */
import { readFileSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { Application, Comment, CommentTag, PageEvent } from "typedoc";
import type { ProjectReflection, SourceReference, TypeDocOptions } from "typedoc";
import { sourceLink } from "./directives.ts";

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly source: string }>>;
}

function optionsOf(root: string, out: string): Partial<TypeDocOptions> {
  const { exports }: Manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return {
    entryPoints: Object.values(exports).flatMap((target) => (typeof target === "string" ? [] : [join(root, target.source)])),
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
  linkGuide(root, project);
  linkSources(root, project);
  app.renderer.on(PageEvent.END, (page: PageEvent) => (page.contents = accessible(page.contents ?? "")));
  await app.generateDocs(project, out);
  const { router } = app.renderer;
  const exports = (project.children ?? []).flatMap(({ children = [] }) => children);
  return new Map(exports.flatMap((one) => (router?.hasUrl(one) ? [[one.name, router.getFullUrl(one)]] : [])));
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
