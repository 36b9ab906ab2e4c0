/** A prompt with everything of the package imported and `await` at hand: npm run repl. */
import { start } from "node:repl";
import { entries } from "./entries.ts";

const loaded: Record<string, unknown> = {};
for (const { specifier } of entries) {
  const found: Record<string, unknown> = await import(specifier);
  Object.assign(loaded, found);
  console.log(`${specifier}: ${Object.keys(found).join(" ")}`);
}
Object.assign(start({ prompt: "> " }).context, loaded);
