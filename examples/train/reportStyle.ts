import { passageStyle } from "./passage.ts";
import { dark, light, variables } from "./svg/palette.ts";

/** The style sheet of the report. Colours are the drawings' own; every text has at least 4.5:1 against what it stands on. */
export const pageStyle = [
  `:root{color-scheme:light dark;${variables(light)};--well:#eef1f4;--link:#0a5c99}`,
  `@media (prefers-color-scheme:dark){:root{${variables(dark)};--well:#222a32;--link:#7cc0f5}}`,
  "*{box-sizing:border-box}",
  "body{margin:0 auto;padding:1.2rem clamp(.9rem,4vw,2.5rem) 4rem;max-width:68rem;" +
    "background:var(--paper);color:var(--ink);font:1rem/1.55 system-ui,sans-serif}",
  "h1{font-size:clamp(1.5rem,5vw,2.1rem);line-height:1.2;margin:.4rem 0}" +
    "h2{font-size:1.3rem;margin:2.4rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--grid)}",
  "p{max-width:44rem}.lead{font-size:1.1rem}a{color:var(--link)}",
  ":focus-visible{outline:3px solid var(--link);outline-offset:2px}",
  ".skip{position:absolute;left:-100vw}.skip:focus{left:1rem;top:.5rem;background:var(--paper);padding:.4rem .8rem}",
  "nav ul{display:flex;flex-wrap:wrap;gap:.1rem 1.2rem;list-style:none;padding:0;margin:1rem 0 0}" +
    "nav a{display:inline-block;padding:.25rem 0}",
  ".facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.7rem;margin:1.2rem 0}",
  ".facts div{background:var(--well);border-radius:.5rem;padding:.7rem .9rem}.facts dt{font-size:.85rem}",
  ".facts dd{margin:0;font-size:1.55rem;font-weight:650;font-variant-numeric:tabular-nums}" +
    ".facts dd span{display:block;font-size:.8rem;font-weight:400}",
  "figure{margin:0;overflow-x:auto}figure svg{display:block;width:100%;height:auto}.wide{max-width:36rem}",
  ".grid{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,23rem),1fr));gap:1.6rem 2rem;margin:1rem 0}",
  ".scroll{overflow-x:auto;margin:1rem 0}table{border-collapse:collapse;font-variant-numeric:tabular-nums}",
  "caption{text-align:start;font-weight:600;padding:.3rem 0;position:sticky;left:0}" +
    "th,td{padding:.35rem clamp(.5rem,2vw,1rem) .35rem 0;border-bottom:1px solid var(--grid);text-align:end;white-space:nowrap}",
  "th:first-child,td:first-child{text-align:start}thead th{font-size:.85rem;vertical-align:bottom}" +
    "tbody th{font-weight:400;white-space:normal;min-width:7rem}thead th{white-space:normal}" +
    "th:last-child,td:last-child{padding-inline-end:0}",
  // Names of rows stay where a wide table scrolls under a narrow page.
  ".scroll th:first-child{position:sticky;left:0;background:var(--paper)}",
  ".fold{margin:.4rem 0}.fold>summary{font-size:1rem;font-weight:600;padding:.25rem 0}.made{font-size:.85rem;color:var(--muted)}",
  ".texts td,.texts thead th{text-align:start}.texts td{white-space:normal;overflow-wrap:anywhere;min-width:7rem}",
  ".notes li{max-width:44rem;margin:.3rem 0}",
  "figcaption{font-size:.9rem;font-weight:600;margin-top:1.2rem}summary{cursor:pointer;font-size:.9rem;width:max-content}",
  "blockquote{margin:.4rem 0 1rem;padding:.7rem 1rem;background:var(--well);border-radius:.5rem;" +
    "white-space:pre-wrap;overflow-wrap:anywhere;font-size:1.1rem}",
  "pre{background:var(--well);border-radius:.5rem;padding:.8rem 1rem;overflow-x:auto;font:.82rem/1.5 ui-monospace,monospace}",
  ".settings{display:grid;grid-template-columns:repeat(auto-fill,minmax(10rem,1fr));gap:.4rem 1.5rem}" +
    ".settings dt{font-size:.85rem;color:var(--muted)}.settings dd{margin:0;overflow-wrap:anywhere}",
  passageStyle,
].join("\n");
