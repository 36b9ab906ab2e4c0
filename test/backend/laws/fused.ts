import type { Law } from "../conformance.ts";
export const fused: Record<string, Law> = {};
