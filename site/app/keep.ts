/** What a reader takes along from the playground: the link, models, curves, pictures, and a program of the same run. */
import type { programOf as programText } from "./code.ts";
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
  /** Where the site begins. */
  readonly base: string;
  /** Asks for the model of a column. */
  model(side: Side): void;
  tell(text: string): void;
}

/** Gives the buttons of "Keep and share" their work. */
export function offerKeeping(strings: ScriptStrings, { base, settings, keepInLink, csv, model, tell }: Kept): void {
  const press = (id: string, act: () => void): void => void (find<HTMLButtonElement>(id).onclick = act);
  press("#copy-link", async () => {
    keepInLink();
    const said = await navigator.clipboard.writeText(location.href).then(() => strings.linkCopied, () => location.href); // prettier-ignore
    find("#kept").textContent = `${said}${settings().shared.text === "own" ? ` ${strings.ownTextNotInLink}` : ""}`;
  });
  for (const side of sides) press(`#export-${side}`, () => model(side));
  press("#csv", () => download("switchyard.csv", csv(), "text/csv"));
  press("#code", async () => {
    const { programOf } = (await import(`${base}app/code.js`)) as { readonly programOf: typeof programText }; // a bundle of its own: others do not load it
    download("mine.ts", programOf(settings()), "text/typescript");
  });
  offerPictures(document.querySelectorAll<HTMLElement>("[data-picture]"), (message) => tell(`${strings.noPicture} ${message}`));
}
