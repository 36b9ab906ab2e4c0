/** All laws. */
import type { Law } from "./law.ts";
import { seating } from "./seating.ts";
import { transport } from "./transport.ts";

export const laws: readonly Law[] = [...seating, ...transport];
