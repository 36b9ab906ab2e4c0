/** As much of mocha as the conformance suite needs, on a page: declares tests, runs them in order, reports what became of each. */

export interface Outcome {
  readonly title: string;
  readonly state: "passed" | "skipped" | "failed";
  readonly message?: string;
}

type Body = (this: { skip(): never; timeout(milliseconds: number): void }) => void | Promise<void>;

const skipped = Symbol("skipped");
const tests: { title: string; body: Body | undefined }[] = [];
const hooks: { before: Body[]; after: Body[] } = { before: [], after: [] };
let path: readonly string[] = [];

function describe(title: string, declare: () => void): void {
  const outer = path;
  path = [...path, title];
  declare();
  path = outer;
}

function it(title: string, body: Body): void {
  tests.push({ title: [...path, title].join(" > "), body });
}
it.skip = (title: string): void => void tests.push({ title: [...path, title].join(" > "), body: undefined });

Object.assign(globalThis, {
  describe,
  it,
  before: (body: Body) => hooks.before.push(body),
  after: (body: Body) => hooks.after.push(body),
});

const scope = {
  skip(): never {
    throw skipped;
  },
  /** The test around the page has the only limit. */
  timeout(): void {},
};

/** Runs every test declared so far. */
export async function runAll(): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const body of hooks.before) await body.call(scope);
  for (const { title, body } of tests) outcomes.push(await run(title, body));
  for (const body of hooks.after) await body.call(scope);
  return outcomes;
}

async function run(title: string, body: Body | undefined): Promise<Outcome> {
  if (!body) return { title, state: "skipped" };
  try {
    await body.call(scope);
    return { title, state: "passed" };
  } catch (error) {
    if (error === skipped) return { title, state: "skipped" };
    return { title, state: "failed", message: error instanceof Error ? error.message : String(error) };
  }
}
