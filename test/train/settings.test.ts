/**
 * What the command line takes, and what it makes: `settings.txt`. Each option of each command with values good and bad, and the layers
 * that every router, architecture and variant comes to. A change on purpose is written by
 * `SETTINGS=write npx mocha test/train/settings.test.ts`; read the difference.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { expect } from "chai";
import { Tensor, key } from "switchyard-moe";
import type { Module } from "switchyard-moe/nn";
import { configOf } from "../../examples/train/configuration.ts";
import { buildEncoderDecoder, buildModel } from "../../examples/train/model.ts";
import { helpText, parseCommand, trainDefaults } from "../../examples/train/options.ts";
import { routerNames } from "../../examples/train/routerNames.ts";
import { expertCount } from "../../examples/train/routers.ts";
import type { VariedModel, Variant } from "../../examples/train/variant.ts";

const file = new URL("./settings.txt", import.meta.url);
const COMMANDS = ["train", "finetune", "distil", "fill", "resume", "generate", "trace", "export"];
const TYPED = ["-1", "0", "0.25", "1", "1.5", "2", "none", "no such thing", ""];
/** What a command cannot do without. */
const NEEDED = ["--from", "somewhere"];

/** The names of a command's options, and which of them take no value. */
function optionsOf(command: string): { name: string; isFlag: boolean }[] {
  return [...helpText(command).matchAll(/^ {2}--(\S+) ?( *)(\S*)/gm)].map(([, name, gap, word]) => ({
    name,
    isFlag: gap !== "" || !/^[A-Z]|\|/.test(word),
  }));
}

function outcome(line: readonly string[], of: string): string {
  try {
    const parsed = parseCommand(line);
    const camel = of.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
    return JSON.stringify("options" in parsed ? new Map<string, unknown>(Object.entries(parsed.options)).get(camel) : parsed, plain);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const plain = (_: string, value: unknown): unknown => (value === Infinity ? "Infinity" : value);

/** What comes of each value, those of one outcome together; * stands for the value. */
function* lines(): Generator<string> {
  for (const command of COMMANDS)
    for (const { name, isFlag } of optionsOf(command)) {
      const needs = helpText(command).includes("--from RUN") && name !== "from" ? NEEDED : [];
      const of = new Map<string, string[]>();
      for (const typed of isFlag ? ["", "1"] : TYPED) {
        const given = isFlag && typed === "" ? `--${name}` : `--${name}=${typed}`;
        const came = outcome([command, ...needs, given], name).replace(JSON.stringify(typed), '"*"');
        const known = came === typed ? "*" : came;
        of.set(known, [...(of.get(known) ?? []), JSON.stringify(typed)]);
      }
      for (const [came, typed] of of) yield `${command} --${name} ${typed.join(" ")}  ->  ${came}`;
    }
}

/** The public settings of a module and of its parts: words, numbers, and the sizes of tensors. */
function* described(module: Module, path = ""): Generator<string> {
  const settings = Object.entries(module).flatMap(([name, value]: [string, unknown]) => {
    if (value instanceof Tensor) return [`${name} [${value.shape.join(", ")}]`];
    return ["number", "string", "boolean"].includes(typeof value) ? [`${name}=${String(value)}`] : [];
  });
  yield `  ${path || "model"}: ${module.constructor.name} ${settings.join(" ")}`.trimEnd();
  for (const [name, part] of module.children()) yield* described(part, path ? `${path}.${name}` : name);
}

const base: VariedModel = configOf({ ...trainDefaults(), width: 8, heads: 2, layers: 2, hidden: 16, experts: 4, length: 16 }).model;
const variants: readonly Variant[] = [
  { routerDeviation: 0.02, routerPrecision: "tokens", inputDropout: 0.1, temperature: 1, kind: "swiglu", choices: 3 },
  { finer: 2, shared: true, importance: 0.3, load: 0.2, biasRate: 0.01, choices: 2 },
  { sparsePlaces: "both", sparseStack: "decoder" },
  { sparsePlaces: "attention", sparseStack: "encoder" },
];

function* models(): Generator<string> {
  const shapes: [string, VariedModel][] = [
    ...["dense" as const, ...routerNames].map((router): [string, VariedModel] => [router, { ...base, router }]),
    ...routerNames.map((router): [string, VariedModel] => [
      `${router}, all else`,
      { ...base, router, layers: 1, sparseEvery: 1, experts: 3, alpha: 0.5, zLoss: 0.25, jitter: 0.125, initScale: 0.5, dropout: 0.1, expertDropout: 0.4, capacityFactor: Infinity, group: "sequence" }, // prettier-ignore
    ]),
    ...variants.flatMap((variant) =>
      (["switch", "top-k", "noisy-top-k", "loss-free"] as const).map((router): [string, VariedModel] => [
        `${router}, ${JSON.stringify(variant)}`,
        { ...base, router, layers: 1, sparseEvery: 1, variant },
      ]),
    ),
  ];
  for (const [name, config] of shapes) {
    yield `${name}: ${"router" in config ? expertCount(config) : 0} experts`;
    yield* described(buildModel(config, key(1)));
  }
  for (const variant of [undefined, ...variants.slice(2)]) {
    yield `two stacks, ${JSON.stringify(variant)}`;
    yield* described(buildEncoderDecoder({ ...base, architecture: "encoder-decoder", router: "switch", layers: 1, sparseEvery: 1, ...(variant && { variant }) }, key(1))); // prettier-ignore
  }
}

describe("what is set", () => {
  it("by the command line and in the models that it makes is as it was", () => {
    const text = `${[...lines(), "", ...models(), "", helpText()].join("\n")}\n`;
    if (process.env["SETTINGS"] === "write") writeFileSync(file, text);
    expect(text.split("\n")).to.deep.equal(readFileSync(file, "utf8").split("\n"));
  });

  it("tries the options of every command", () => {
    for (const command of COMMANDS) expect(optionsOf(command), command).to.not.have.length(0);
    expect(new Set(optionsOf("train").map(({ isFlag }) => isFlag)).size).to.equal(2);
  });
});
