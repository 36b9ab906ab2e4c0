/** All claims, from the files of their folder. */
import { readdirSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { extname, join } from "node:path";
import { UserError } from "../train/userError.ts";
import type { Claim } from "./claim.ts";

const FOLDER = fileURLToPath(new URL("claims", import.meta.url));

/** Every claim, by number. */
export async function allClaims(): Promise<Claim[]> {
  const ending = extname(import.meta.url); // ".js" where this file was compiled
  const isClaim = (name: string): boolean => /^\d\d-[\w-]+\.\w+$/.test(name) && extname(name) === ending;
  const files = readdirSync(FOLDER).filter(isClaim).toSorted();
  const claims = await Promise.all(
    files.map(async (name) => ((await import(pathToFileURL(join(FOLDER, name)).href)) as { claim: Claim }).claim),
  );
  claims.forEach(({ number }, i) => {
    if (number !== Number(files[i].slice(0, 2))) throw new RangeError(`claims/${files[i]} says that its number is ${number}`);
  });
  return claims;
}

/** Those that were asked for, in the order of their numbers. */
export function chosen(claims: readonly Claim[], asked: readonly string[]): Claim[] {
  const known = claims.map(({ number }) => String(number));
  const wanted = asked.map((text) => text.replace(/^0+(?=\d)/, ""));
  const wrong = asked.find((_, i) => !known.includes(wanted[i]));
  if (wrong !== undefined) throw new UserError(`paper: "${wrong}" is no claim; they are ${known.join(", ")}. npm run paper lists them`);
  return claims.filter(({ number }) => wanted.includes(String(number)));
}
