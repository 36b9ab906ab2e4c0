/** The API reference: one folder of pages for each entry of the package, made by TypeDoc from the sources. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Application } from "typedoc";
import type { TypeDocOptions } from "typedoc";
import type { PluginOptions } from "typedoc-plugin-markdown";

interface Manifest {
  readonly exports: Readonly<Record<string, string | { readonly source: string }>>;
}

export async function writeApi(root: string, pages: string): Promise<void> {
  const { exports }: Manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const sources = Object.values(exports).flatMap((target) => (typeof target === "string" ? [] : [join(root, target.source)]));
  const options: Partial<TypeDocOptions & PluginOptions> & Record<string, unknown> = {
    entryPoints: sources,
    basePath: join(root, "src"),
    tsconfig: join(root, "tsconfig.build.json"),
    plugin: ["typedoc-plugin-markdown", "typedoc-vitepress-theme"],
    out: join(pages, "api"),
    docsRoot: pages,
    name: "API",
    readme: "none",
    outputFileStrategy: "modules",
    githubPages: false,
    excludePrivate: true,
    excludeInternal: true,
    excludeExternals: true,
    disableSources: true,
    hidePageHeader: true,
    hideBreadcrumbs: false,
    skipErrorChecking: true,
    logLevel: "Error",
    sort: ["source-order"],
  };
  const app = await Application.bootstrapWithPlugins(options);
  const project = await app.convert();
  if (!project) throw new Error("site: TypeDoc could not read the sources");
  await app.generateOutputs(project);
}
