/**
 * `switchyard-moe/testing`: the gradient check, fast-check arbitraries for shapes, arrays and axes, and the laws of routing for a router of
 * your own. It runs under any test runner. Arbitraries make plain data, the property makes tensors of it: a counterexample is then one
 * line, not a tape.
 */
export { checkGradients } from "./gradientCheck.ts";
export type { GradientCheckOptions } from "./gradientCheck.ts";
export { arrays, axesOf, axisOf, broadcastable, distinctArrays, numbers, shapes, toTensor } from "./arrays.ts";
export type { NumberOptions, PlainArray, ShapeOptions } from "./arrays.ts";

// The laws of routing
export { BrokenLaw, routerLaws } from "./routerLaws.ts";
export type { LawOptions, RouterLaw } from "./routerLaws.ts";
export type { RouterCase, RouterSetting, Seats, SeatsByHand, World } from "./cases.ts";
export type { Coverage, Kind as CoverageKind } from "./coverage.ts";
export { capacityByHand, largest, seatByHand } from "./oracle.ts";
export type { SeatingByHand } from "./oracle.ts";

// The laws of layouts
export { BrokenLayout, layoutLaws } from "./layouts/layoutLaws.ts";
export type { LayoutLaw, LayoutLawOptions } from "./layouts/layoutLaws.ts";
export { LayoutCoverage, layoutKinds } from "./layouts/coverage.ts";
export type { LayoutKind } from "./layouts/coverage.ts";
export type { ExpertsSetting, LayoutCase, MakeExperts } from "./layouts/cases.ts";
export { LayoutRun } from "./layouts/run.ts";
export { layoutProgram } from "./layouts/program.ts";
