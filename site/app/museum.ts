/** The museum's page: each room lets the law look at its bug, and the last room judges a router that is written there. */
import { offerTraining } from "./bugTraining.ts";
import { find, h } from "./dom.ts";
import type { MuseumReport, MuseumRequest, Tried } from "./museumProtocol.ts";
import { filled, museumEnglish, museumKorean } from "./museumStrings.ts";
import { isolated } from "./isolation.ts";
import { layoutEnglish, layoutKorean } from "./layoutStrings.ts";
import { openLayoutRooms } from "./museumLayouts.ts";
import { beginWorker, endWorker } from "./oneWorker.ts";

const korean = document.documentElement.lang === "ko";
const strings = korean ? museumKorean : museumEnglish;
const base = find<HTMLMetaElement>('meta[name="base"]').content;
await isolated(base); // ranks share memory
openLayoutRooms({ museum: strings, layout: korean ? layoutKorean : layoutEnglish }, base);
/** Laws by their statement, and words of their cases, on a page that is not English. */
const words = JSON.parse(document.querySelector("#words")?.textContent ?? "{}") as Readonly<Record<string, string>>;
const told = (coverage: string): string => coverage.replace(/[a-z]+/gi, (word) => words[word] ?? word);
const LIMIT = 60_000;
const STEPS_SHOWN = 14;
let limit = 0;

/** Sends a request to a worker of its own and ends it when it takes too long. */
function ask(request: MuseumRequest, receive: (report: MuseumReport) => void): void {
  clearTimeout(limit);
  const worker = beginWorker(`${base}app/museumWorker.js`, () => {
    clearTimeout(limit);
    receive({ kind: "failed", message: strings.otherBegan });
  });
  worker.onmessage = ({ data }: MessageEvent<MuseumReport>) => {
    if (data.kind !== "law") {
      clearTimeout(limit);
      endWorker(worker);
    }
    receive(data);
  };
  worker.onerror = (event) => receive({ kind: "failed", message: event.message, lang: "en" });
  limit = window.setTimeout(() => {
    endWorker(worker);
    receive({ kind: "failed", message: filled(strings.tooLong, { seconds: LIMIT / 1000 }) });
  }, LIMIT);
  worker.postMessage(request);
}

for (const room of document.querySelectorAll<HTMLElement>("[data-bug]")) {
  const title = room.dataset["bug"] ?? "";
  const out = find<HTMLElement>(".verdict", room);
  offerTraining(room, title, base);
  for (const button of room.querySelectorAll<HTMLButtonElement>("button[data-which]"))
    button.onclick = () => {
      const which = button.dataset["which"] === "right" ? "right" : "broken";
      // What this ends says so first.
      ask({ kind: "refute", title, which, seed: 5 }, (report) => {
        room.dataset["verdict"] = report.kind;
        out.replaceChildren(...verdictOf(report));
      });
      out.replaceChildren(strings.looking);
      room.dataset["verdict"] = "";
    };
}

function verdictOf(report: MuseumReport): (Node | string)[] {
  switch (report.kind) {
    case "kept":
      return [h("p", {}, filled(strings.kept, { cases: report.cases }))];
    case "refuted":
      return [
        h("p", {}, filled(strings.refuted, { cases: report.cases, tried: report.tried.length })),
        h("ol", { class: "shrink" }, ...thinned(report.tried).map(stepView)),
        h("p", { class: "smallest" }, `${strings.smallest} `, h("code", {}, report.smallest)),
        ...drawnCase(report.arguments),
      ];
    case "failed":
      return [h("p", { class: "bad", lang: report.lang ?? strings.language }, report.message)];
    default:
      return [];
  }
}

const isNumbers = (x: unknown): x is number[] => Array.isArray(x) && x.length > 0 && x.every((one) => typeof one === "number" || one === null); // prettier-ignore

/** Lists and tables of the smallest case as tokens: a row for each token, a cell for each number, coloured where it names an expert. */
function drawnCase(values: readonly unknown[]): HTMLElement[] {
  return values.flatMap((value) => {
    const rows = isNumbers(value) ? value.map((one) => [one]) : Array.isArray(value) && value.length > 0 && value.every(isNumbers) ? value : null; // prettier-ignore
    return rows ? [caseTable(rows)] : [];
  });
}

function caseTable(rows: readonly (readonly number[])[]): HTMLElement {
  const single = rows.every((row) => row.length === 1);
  const head = single ? [strings.value] : (rows[0] ?? []).map((_, e) => String(e));
  const cell = (value: number): HTMLElement => {
    const expert = single && Number.isInteger(value) && value >= 0;
    return h("td", expert ? { class: `seat x${value % 8}` } : {}, String(value));
  };
  return h("table", { class: "case" }, h("thead", {}, h("tr", {}, ...[strings.token, ...head].map((name) => h("th", { scope: "col" }, name)))), h("tbody", {}, ...rows.map((row, t) => h("tr", {}, h("th", { scope: "row" }, String(t)), ...row.map(cell))))); // prettier-ignore
}

/** The first and the last steps; the last failing one is the smallest case. */
function thinned(tried: readonly Tried[]): Tried[] {
  const failing = tried.filter(({ fails }) => fails);
  return failing.length <= STEPS_SHOWN ? failing : [...failing.slice(0, STEPS_SHOWN / 2), ...failing.slice(-STEPS_SHOWN / 2)];
}

function stepView({ shown, fails }: Tried): HTMLElement {
  const text = shown.length > 160 ? `${shown.slice(0, 160)}…` : shown;
  return h("li", { class: fails ? "fails" : "passes" }, h("code", {}, text));
}

// The empty room

const code = find<HTMLTextAreaElement>("#own-router");
const verdicts = find<HTMLElement>("#own-verdicts");
const state = find<HTMLElement>("#own-state");
find<HTMLButtonElement>("#judge").onclick = () => {
  ask({ kind: "judge", code: code.value, runs: 14 }, (report) => {
    if (report.kind === "law")
      verdicts.append(
        h(
          "li",
          { class: report.broken === null ? "good" : "bad" },
          h("strong", {}, `${report.broken === null ? strings.lawKept : strings.lawBroken}: `),
          words[report.statement] ?? report.statement,
          report.broken === null
            ? h("span", { class: "quiet" }, ` (${told(report.coverage)})`)
            : h("div", {}, h("code", { lang: "en" }, report.broken)),
        ),
      );
    else if (report.kind === "judged") {
      document.body.dataset["judged"] = `${report.kept}/${report.all}`;
      state.textContent = filled(strings.judged, { kept: report.kept, all: report.all });
    } else if (report.kind === "failed") state.replaceChildren(h("span", { lang: report.lang ?? strings.language }, report.message));
  });
  verdicts.replaceChildren();
  state.textContent = strings.looking;
  document.body.dataset["judged"] = "";
};
code.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) find<HTMLButtonElement>("#judge").click();
});

find<HTMLButtonElement>("#theme").onclick = () => {
  const dark = document.documentElement.classList.toggle("dark");
  localStorage.setItem("vitepress-theme-appearance", dark ? "dark" : "light");
};
