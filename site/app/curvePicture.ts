/** Two curves over one axis: a run as it should be, solid, and one with a bug, dashed. */
import { curve } from "../../examples/train/svg/curve.ts";
import type { Series } from "../../examples/train/svg/curve.ts";

/** What the picture is told; words come in the language of the page. */
export interface CurvePicture {
  readonly title: string;
  /** The first is drawn solid, the second dashed and above it, so that both are seen where they agree. */
  readonly right: Series;
  readonly broken: Series;
  /** Names of the axes with their units: "step", "bits per byte". */
  readonly x: string;
  readonly y: string;
  /** Digits of the numbers in the description that screen readers read. Default 3. */
  readonly digits?: number;
}

/** The picture as SVG with a title, a description, a legend and named axes. Numbers that are not finite are left out. */
export function curvePicture({ title, right, broken, x, y, digits = 3 }: CurvePicture): string {
  const said = ({ name, points }: Series): string => {
    const last = points.at(-1);
    return last ? `${name}: ${y} ${last[1].toFixed(digits)}, ${x} ${last[0]}` : `${name}: –`;
  };
  return curve({ title, description: `${said(right)}; ${said(broken)}`, series: [right, broken], x, y, height: 210 });
}
