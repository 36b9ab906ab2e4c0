/** The playground's page as HTML: one for each language, whole before any script runs. */
import { TRIED } from "./isolation.ts";
import { pageHead } from "./pageHead.ts";
import type { Strings } from "./strings.ts";
import { written } from "./strings.ts";

/**
 * What happens before the page's own script: the worker starts to load and to make its device ready, unless the page is about to be loaded
 * again; and the script runs when the page was drawn once as it stands here.
 */
function earlyScripts(base: string, modules: readonly string[]): string {
  const preloads = modules.map((name) => `<link rel="modulepreload" href="${base}app/${name}">`);
  const device = String.raw`(/\bbackend=(\w+)/.exec(location.hash)||[])[1]||"wasm"`;
  return `${preloads.join("")}<link rel="preload" as="fetch" crossorigin href="${base}app/text.json">
<script>if(crossOriginIsolated||sessionStorage.getItem("${TRIED}"))(early=new Worker("${base}app/worker.js",{type:"module",name:${device}})).onerror=()=>early=0</script>
<script type="module">requestAnimationFrame(()=>setTimeout(()=>import("${base}app/${modules[0]}")))</script>`;
}

interface Parts {
  /** The page's script and what it imports, as paths in `app`. */
  readonly modules: readonly string[];
  /** CSS, in the page: nothing has to be asked for before it is drawn. */
  readonly styles: string;
}

export function playgroundPage(strings: Strings, base: string, { modules, styles }: Parts): string {
  const other = strings.language === "ko" ? `${base}playground/index.html` : `${base}ko/playground/index.html`;
  const home = strings.language === "ko" ? `${base}ko/` : base;
  const button = (id: string, text: string): string => `<button type="button" id="${id}">${text}</button>`;
  const card = (id: string, title: string, { hint = "", after = "", picture = false } = {}): string =>
    `<section class="card"><h3>${title}</h3>${hint === "" ? "" : `<p class="quiet">${hint}</p>`}<div class="live" id="${id}"${picture ? ` data-picture="${title}"` : ""}></div>${after}</section>`;
  const side = (
    name: "a" | "b",
  ): string => `<div class="side ${name}"><h2 id="title-${name}">${name.toUpperCase()}</h2><p class="caution" id="caution-${name}"></p>
<section class="card"><div class="live" id="numbers-${name}"></div></section>
${card(`load-${name}`, strings.load, { hint: strings.loadHint, picture: true })}
${card(`passage-${name}`, strings.passage, { hint: strings.passageHint, after: `<p class="detail" id="detail-${name}" aria-live="polite"></p>` })}
${card(`languages-${name}`, strings.byLanguage)}
${card(`bytes-${name}`, strings.byByte, { hint: strings.byByteHint })}
${card(`flow-${name}`, strings.flow, { picture: true })}
${card(`wrote-${name}`, strings.writing)}</div>`;
  const forScript = Object.fromEntries(Object.entries(strings).filter(([name]) => !(written as readonly string[]).includes(name)));
  const scripts = `<script type="application/json" id="strings">${JSON.stringify(forScript).replaceAll("<", "\\u003c")}</script>
${earlyScripts(base, modules)}`;
  return `${pageHead(strings, base, { scripts, styles: `<style>${styles}</style>` })}
<body data-state="loading">
<header class="top"><a class="home" href="${home}"><img src="${base}logo.svg" alt="" width="24" height="24"> Switchyard</a><nav><a href="${home}guide/1-what-moe-is.html">${strings.guide}</a> <a href="${home}museum/index.html">${strings.museum}</a> <a href="${other}" lang="${strings.language === "ko" ? "en" : "ko"}">${strings.otherLanguage}</a> ${button("theme", strings.theme)}</nav></header>
<main class="playground" inert>
<div class="intro"><h1>${strings.title}</h1>
<p>${strings.lead}</p></div>
<div class="bar"><div class="controls" role="group" aria-label="${strings.title}">
<label>${strings.preset} <select id="preset"></select></label>
${button("run", strings.start)} ${button("step", strings.step)} ${button("reset", strings.reset)}
<label>${strings.speed} <select id="speed"><option value="slow">${strings.speeds[0]}</option><option value="medium">${strings.speeds[1]}</option><option value="full" selected>${strings.speeds[2]}</option></select></label>
<label>${strings.layer} <select id="layer"><option value="0">1</option></select></label>
</div>
<p id="preset-sentence"></p>
<p id="status" role="status">${strings.ready}</p></div>
<details class="settings" open><summary>${strings.settings}</summary><div id="settings"></div>
<div id="own" hidden><label for="own-text">${strings.ownText}</label><textarea id="own-text" rows="5"></textarea><input type="file" id="own-file" aria-label="${strings.ownText}" accept="text/*,.txt,.md"></div></details>
<div class="shown">
<section class="card"><h2 class="unseen">${strings.loss}</h2><div class="live" id="curve" data-picture="${strings.loss}"></div><p class="quiet"><span id="speed-shown"></span><br><span id="engine"></span></p>
<p class="quiet">${strings.fingerprint}: <code id="fingerprint"></code><br>${strings.fingerprintHint}</p></section>
<section class="card"><label for="passage-text">${strings.passageText}</label><textarea id="passage-text" rows="2"></textarea>
<div class="controls"><label>${strings.prompt} <input id="prompt" value="All human beings"></label> ${button("write", strings.write)}</div></section>
<div class="sides">${side("a")}${side("b")}</div>
<section class="card"><h2>${strings.keep}</h2><div class="controls">${button("copy-link", strings.link)} ${button("export-a", strings.model.replace("{side}", "A"))} ${button("export-b", strings.model.replace("{side}", "B"))} ${button("csv", strings.csv)} ${button("code", strings.code)}</div><p class="quiet">${strings.modelHint}</p><p id="kept" role="status"></p></section>
</div>
</main>
</body>
</html>
`;
}
