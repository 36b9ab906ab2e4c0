/** What `npm run mutants` is asked to do. */
import { parseArgs } from "node:util";
import { check, oneOf, whole } from "../../src/backend/arguments.ts";
import type { Draw } from "./laboratory.ts";
import { mutationKinds } from "./sites.ts";

export const HELP = `npm run mutants -- [options]
  --folder FOLDER   sources to change, a folder or one file (src)
  --count N         how many mutants (50)
  --seed N          the same seed, the same mutants (1)
  --kind KIND       one of ${mutationKinds.join(", ")}; may be given several times (all)
  --all             run all other tests on what the near ones did not notice
  --jobs N          trees that are tried side by side (1)
  --limit N         seconds for one test; one that takes longer has noticed (60)
  --list            print the mutants, run nothing`;

export interface Settings extends Draw {
  readonly all: boolean;
  readonly jobs: number;
  readonly limit: number;
  readonly list: boolean;
}

/** Undefined where help is wanted. */
export function settingsOf(args: readonly string[]): Settings | undefined {
  const { values } = parseArgs({
    args: [...args],
    options: {
      folder: { type: "string", default: "src" },
      count: { type: "string", default: "50" },
      seed: { type: "string", default: "1" },
      kind: { type: "string", multiple: true, default: [...mutationKinds] },
      all: { type: "boolean", default: false },
      jobs: { type: "string", default: "1" },
      limit: { type: "string", default: "60" },
      list: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return undefined;
  const [count, seed, jobs, limit] = (["count", "seed", "jobs", "limit"] as const).map((name) => {
    const value = Number(values[name]);
    check("mutants", `--${name}`, value, whole(name === "seed" ? 0 : 1));
    return value;
  });
  const folder = values.folder.replace(/^\.\/|\/$/g, "");
  const kinds = values.kind.map((kind) => {
    check("mutants", "--kind", kind, oneOf(...mutationKinds));
    return mutationKinds.find((known) => known === kind) ?? mutationKinds[0];
  });
  return { folder, count, seed, kinds, all: values.all, jobs, limit: 1000 * limit, list: values.list };
}
