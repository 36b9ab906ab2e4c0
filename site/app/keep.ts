/** What a reader takes along from the playground: the link, models, curves, pictures, and a program of the same run. */
import { download, find } from "./dom.ts";
import { offerPictures } from "./pictures.ts";
import type { Side } from "./protocol.ts";
import type { Settings } from "./settings.ts";
import { sides } from "./settings.ts";
import type { ScriptStrings } from "./strings.ts";

interface Kept {
  /** The settings as the form has them now; they are put into the link first. */
  settings(): Settings;
  keepInLink(): void;
  /** The curves of the run that is shown. */
  csv(): string;
  /** Asks for the model of a column. */
  model(side: Side): void;
  tell(text: string): void;
}

/** Gives the buttons of "Keep and share" their work. */
export function offerKeeping(strings: ScriptStrings, { settings, keepInLink, csv, model, tell }: Kept): void {
  const press = (id: string, act: () => void): void => void (find<HTMLButtonElement>(id).onclick = act);
  press("#copy-link", async () => {
    keepInLink();
    const said = await navigator.clipboard.writeText(location.href).then(() => strings.linkCopied, () => strings.linkNotCopied); // prettier-ignore
    find("#kept").textContent = `${said}${settings().shared.text === "own" ? ` ${strings.ownTextNotInLink}` : ""}`;
  });
  for (const side of sides) press(`#export-${side}`, () => model(side));
  press("#csv", () => download("switchyard.csv", csv(), "text/csv"));
  press("#code", async () => {
    const { programOf } = await import("./code.ts"); // not loaded by those who do not ask for it
    download("mine.ts", programOf(settings()), "text/typescript");
  });
  offerPictures(document.querySelectorAll<HTMLElement>("[data-picture]"), (message) => tell(`${strings.noPicture} ${message}`));
}
