/**
 * Builds the site in `site/dist`: `npm run site`; `npm run site -- --serve` builds it and serves it at a free port.
 * The site has packages and a lock file of its own, which are installed when they are missing.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const site = join(root, "site");
const known = new Set(["--serve"]);

function run(command: string, ...args: string[]): void {
  const { status, error } = spawnSync(command, args, { cwd: site, stdio: "inherit" });
  if (error) throw error;
  if (status !== 0) throw new Error(`site: ${[command, ...args].join(" ")} ended with ${status}`);
}

const unknown = process.argv.slice(2).find((argument) => !known.has(argument));
if (unknown !== undefined) {
  console.error(`site: there is no option ${unknown}; the options are ${[...known].join(", ")}`);
  process.exit(1);
}
if (!existsSync(join(site, "node_modules", "vitepress"))) run("npm", "ci", "--no-audit", "--no-fund");
run("node", "--import=tsx", "--conditions=source", "build/main.ts", ...process.argv.slice(2));
