/** The page on which a browser measures gpu.js. */
import { figuresOf } from "./gpuFigures.ts";

declare global {
  var measure: typeof figuresOf;
}

globalThis.measure = figuresOf;
