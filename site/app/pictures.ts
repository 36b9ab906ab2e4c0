/** Buttons that give any picture of the page as a file. */
import { download, h } from "./dom.ts";

/** Two buttons under each place where a drawing appears. `failed` hears why a file could not be made. */
export function offerPictures(places: Iterable<HTMLElement>, failed: (message: string) => void): void {
  for (const place of places) {
    const drawing = (): SVGSVGElement | null => place.querySelector("svg");
    const file = (kind: string): string => `switchyard-${place.id}.${kind}`;
    const offer = (kind: string, give: (svg: SVGSVGElement) => Promise<void>): HTMLElement =>
      h("button", { type: "button", "aria-label": `${place.dataset["picture"]}: ${kind}`, onclick: () => {
        const svg = drawing();
        if (svg) give(svg).catch((error: unknown) => failed(String(error)));
      } }, kind); // prettier-ignore
    place.after(
      h(
        "p",
        { class: "picture-files" },
        offer("SVG", async (svg) => download(file("svg"), (await import("./pictureFiles.ts")).standalone(svg), "image/svg+xml")),
        offer("PNG", async (svg) => download(file("png"), await (await import("./pictureFiles.ts")).png(svg), "image/png")),
      ),
    );
  }
}
