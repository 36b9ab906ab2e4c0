/** Which version made a report, and when: numbers without them cannot be compared later. */
import { readFileSync } from "node:fs";

export function madeBy(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
  return `Made on ${new Date().toISOString().slice(0, 10)} (UTC) by switchyard-moe ${version} on Node ${process.versions.node}.`;
}
