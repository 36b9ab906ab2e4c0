/** The beginning of a page that is no document of the site: playground and museum. */

/** Light or dark before anything is drawn, as the reader chose on any page of the site, else as the system has it. */
export const chosenColours = `<script>document.documentElement.classList.toggle("dark",(localStorage.getItem("vitepress-theme-appearance")||"auto")==="auto"?matchMedia("(prefers-color-scheme: dark)").matches:localStorage.getItem("vitepress-theme-appearance")==="dark")</script>`;

/** Style sheets by their paths. */
export const linkedStyles = (base: string, ...paths: readonly string[]): string =>
  paths.map((path) => `<link rel="stylesheet" href="${base}${path}">`).join("\n");

/** Everything before the body. `scripts` stand last; text comes escaped. The colours are those that the reader chose in the documents. */
export function pageHead(
  { language, title, lead }: { readonly language: string; readonly title: string; readonly lead: string },
  base: string,
  { scripts, styles }: { readonly scripts: string; readonly styles: string },
): string {
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="base" content="${base}">
<meta name="description" content="${lead}">
<title>${title} · Switchyard</title>
<link rel="icon" href="${base}logo.svg">
${styles}
${chosenColours}
${scripts}
</head>`;
}
