/** All laws. */
import type { Law } from "./law.ts";
import { seating } from "./seating.ts";
import { symmetry } from "./symmetry.ts";
import { time } from "./time.ts";
import { transport } from "./transport.ts";

export { claims } from "./claims.ts";
export const laws: readonly Law[] = [...seating, ...transport, ...symmetry, ...time];
