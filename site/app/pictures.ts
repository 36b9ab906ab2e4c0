/** Any picture of the page as a file: as SVG with its colours written into it, or drawn as PNG. */
import { download, h } from "./dom.ts";

/** What style sheets decide about a drawing; written into it, so that it looks the same alone. */
const kept = ["fill", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font-size", "font-weight", "font-family", "text-anchor", "text-decoration"]; // prettier-ignore
/** Pixels of a PNG for each of the drawing's own. */
const SCALE = 2;

/** The drawing as a document of its own. */
export function standalone(svg: SVGSVGElement): string {
  const copy = svg.cloneNode(true) as SVGSVGElement;
  const originals = [svg, ...svg.querySelectorAll<SVGElement>("*")];
  [copy, ...copy.querySelectorAll<SVGElement>("*")].forEach((element, i) => {
    const style = getComputedStyle(originals[i]);
    for (const name of kept) element.style.setProperty(name, style.getPropertyValue(name));
  });
  const { width, height } = svg.getBoundingClientRect();
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", String(Math.round(width)));
  copy.setAttribute("height", String(Math.round(height)));
  copy.style.background = getComputedStyle(document.body).backgroundColor;
  return new XMLSerializer().serializeToString(copy);
}

async function png(svg: SVGSVGElement): Promise<Blob> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(standalone(svg))}`;
  await image.decode();
  const canvas = h("canvas", { width: SCALE * image.width, height: SCALE * image.height });
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the browser did not draw the picture"))), "image/png"),
  );
}

/** Two buttons under each place where a drawing appears. `failed` hears why a file could not be made. */
export function offerPictures(places: Iterable<HTMLElement>, failed: (message: string) => void): void {
  for (const place of places) {
    const drawing = (): SVGSVGElement | null => place.querySelector("svg");
    const file = (kind: string): string => `switchyard-${place.id}.${kind}`;
    const offer = (kind: string, give: (svg: SVGSVGElement) => Promise<void> | void): HTMLElement =>
      h("button", { type: "button", "aria-label": `${place.dataset["picture"]}: ${kind}`, onclick: () => {
        const svg = drawing();
        if (svg) Promise.resolve(give(svg)).catch((error: unknown) => failed(String(error)));
      } }, kind); // prettier-ignore
    place.after(
      h(
        "p",
        { class: "picture-files" },
        offer("SVG", (svg) => download(file("svg"), standalone(svg), "image/svg+xml")),
        offer("PNG", async (svg) => download(file("png"), await png(svg), "image/png")),
      ),
    );
  }
}
