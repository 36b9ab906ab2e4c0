/**
 * Drawings as strings: plain data in, one self-contained <svg> out, readable in light and dark, by a screen reader, and
 * without telling colours apart.
 */
export { bars, type Bar, type BarsOptions } from "./bars.ts";
export { curve, type CurveOptions, type Level, type Point, type Series } from "./curve.ts";
export { dispatch, type Choice, type DispatchOptions } from "./dispatch.ts";
export { intervals, type IntervalRow, type IntervalsOptions } from "./intervals.ts";
export { heatMap, type HeatMapOptions } from "./heatMap.ts";
export { ridges, type RidgesOptions } from "./ridges.ts";
export { scatter, type ScatterOptions, type Spot, type SpotGroup } from "./scatter.ts";
export type { Captions } from "./drawing.ts";
