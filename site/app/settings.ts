/**
 * Everything that decides a run of the playground, as one value: what the two columns share, and what each has for itself. The value
 * travels in the link, as the differences from the defaults, so that a link opens the same run.
 */

export const sides = ["a", "b"] as const;

export const routers = [
  "dense",
  "switch",
  "top-k",
  "noisy-top-k",
  "gshard",
  "mixtral",
  "deepseek",
  "loss-free",
  "no-token-left-behind",
  "dropless",
  "dense-softmax",
  "expert-choice",
  "expert-choice-capped",
  "soft",
  "hash",
  "balanced",
] as const;

/** Routers whose number of choices is a setting; the others fix it by what they are. */
export function choosesK(router: Column["router"]): boolean {
  return ["top-k", "noisy-top-k", "gshard", "mixtral", "expert-choice", "expert-choice-capped"].includes(router);
}

export interface Column {
  readonly router: (typeof routers)[number];
  readonly experts: number;
  /** Experts that a token visits, where the router lets one choose: see `choosesK`. */
  readonly k: number;
  /** Infinity, written 0 in forms and links: nothing is dropped. */
  readonly capacityFactor: number;
  readonly alpha: number;
  readonly zLoss: number;
  readonly jitter: number;
  readonly priority: "position" | "gate" | "random";
  readonly group: "batch" | "sequence";
  readonly balanceScope: "batch" | "sequence";
  readonly initScale: number;
}

export interface Shared {
  /** "scripts", "latin", or "own". */
  readonly text: string;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly hidden: number;
  readonly length: number;
  readonly batch: number;
  readonly steps: number;
  readonly lr: number;
  readonly seed: number;
  readonly backend: (typeof devices)[number];
}

const devices = ["wasm", "cpu", "gpu"] as const;
export const isDevice = (name: string): name is Shared["backend"] => devices.some((device) => device === name);

export interface Settings {
  readonly shared: Shared;
  readonly a: Column;
  readonly b: Column;
}

const column: Column = {
  router: "switch",
  experts: 8,
  k: 2,
  capacityFactor: 1.25,
  alpha: 0.01,
  zLoss: 0,
  jitter: 0.01,
  priority: "position",
  group: "batch",
  balanceScope: "batch",
  initScale: 0.1,
};

export const defaults: Settings = {
  shared: { text: "scripts", width: 32, layers: 2, heads: 2, hidden: 64, length: 32, batch: 16, steps: 1000, lr: 3e-3, seed: 1, backend: "wasm" }, // prettier-ignore
  a: column,
  b: { ...column, router: "dense" },
};

/** What a field may hold: numbers in a range, whole or not, or one of some words. */
export type Field =
  | { readonly kind: "number"; readonly least: number; readonly most: number; readonly whole: boolean }
  | { readonly kind: "choice"; readonly choices: readonly string[] };

const whole = (least: number, most: number): Field => ({ kind: "number", least, most, whole: true });
const real = (least: number, most: number): Field => ({ kind: "number", least, most, whole: false });
const choice = (...choices: readonly string[]): Field => ({ kind: "choice", choices });

export const columnFields: Readonly<Record<keyof Column, Field>> = {
  router: choice(...routers),
  experts: whole(1, 64),
  k: whole(1, 64),
  capacityFactor: real(0, 64),
  alpha: real(0, 10),
  zLoss: real(0, 10),
  jitter: real(0, 0.9),
  priority: choice("position", "gate", "random"),
  group: choice("batch", "sequence"),
  balanceScope: choice("batch", "sequence"),
  initScale: real(0.001, 100),
};

export const sharedFields: Readonly<Record<keyof Shared, Field>> = {
  text: choice("scripts", "latin", "own"),
  width: whole(4, 256),
  layers: whole(1, 8),
  heads: whole(1, 16),
  hidden: whole(4, 1024),
  length: whole(4, 256),
  batch: whole(1, 128),
  steps: whole(1, 100_000),
  lr: real(0, 1),
  seed: whole(0, 2 ** 31 - 1),
  backend: choice(...devices),
};

/** What is wrong with a value of a field; null: nothing. */
export function faultOf(name: string, field: Field, value: unknown): string | null {
  if (field.kind === "choice")
    return field.choices.includes(String(value)) ? null : `${name}: "${String(value)}" is not one of ${field.choices.join(", ")}`;
  const fits =
    typeof value === "number" &&
    Number.isFinite(value) &&
    value >= field.least &&
    value <= field.most &&
    (!field.whole || Number.isInteger(value));
  return fits ? null : `${name}: ${String(value)} is not a ${field.whole ? "whole " : ""}number from ${field.least} to ${field.most}`;
}

/** All that is wrong with some settings, a sentence each; they can be run when there is none. */
export function faultsOf({ shared, a, b }: Settings): string[] {
  const faults = [
    ...Object.entries(sharedFields).map(([name, field]) => faultOf(name, field, shared[name as keyof Shared])),
    ...sides.flatMap((side) =>
      Object.entries(columnFields).map(([name, field]) =>
        faultOf(`${side.toUpperCase()} ${name}`, field, { a, b }[side][name as keyof Column]),
      ),
    ),
  ].filter((fault) => fault !== null);
  if (faults.length > 0) return faults;
  if (shared.width % shared.heads !== 0) return [`width ${shared.width} does not divide into ${shared.heads} heads`];
  return sides.flatMap((side) => {
    const { router, k, experts } = { a, b }[side];
    return choosesK(router) && k > experts ? [`${side.toUpperCase()} k: ${k} is more than its ${experts} experts`] : [];
  });
}

/** The settings as the part of a link after "#": only what differs from the defaults. */
export function toHash(settings: Settings): string {
  const parts = new URLSearchParams();
  for (const group of ["shared", "a", "b"] as const)
    for (const [name, value] of Object.entries(settings[group])) {
      const usual: Readonly<Record<string, unknown>> = { ...defaults[group] };
      if (value !== usual[name]) parts.set(group === "shared" ? name : `${group}.${name}`, String(value));
    }
  return parts.toString();
}

/** The settings of a link. Unknown names and impossible values are left out, and named in `faults`. */
export function fromHash(hash: string): { readonly settings: Settings; readonly faults: readonly string[] } {
  const groups = { shared: { ...defaults.shared }, a: { ...defaults.a }, b: { ...defaults.b } };
  const faults: string[] = [];
  for (const [key, text] of new URLSearchParams(hash.replace(/^#/, ""))) {
    const [, side, name = key] = /^([ab])\.(.+)$/.exec(key) ?? [];
    const fields: Readonly<Record<string, Field>> = side ? columnFields : sharedFields;
    const field = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (!field) {
      faults.push(`"${key}" is no setting`);
      continue;
    }
    const value = field.kind === "number" ? Number(text) : text;
    const fault = faultOf(key, field, value);
    if (fault !== null) faults.push(fault);
    else Object.assign(groups[side === "a" || side === "b" ? side : "shared"], { [name]: value });
  }
  return { settings: groups, faults };
}

/** Runs that show something, by name; their sentences stand in strings.ts. */
export const presets: Readonly<Record<string, Settings>> = {
  "switch-dense": defaults,
  collapse: { ...defaults, a: { ...column, alpha: 0, jitter: 0, initScale: 1 }, b: { ...column, initScale: 1 } },
  "small-capacity": { ...defaults, a: { ...column, capacityFactor: 0.5 }, b: column },
  "expert-choice": { ...defaults, a: { ...column, router: "expert-choice" }, b: column },
  "renormalised-top-1": { ...defaults, a: { ...column, router: "mixtral", k: 1 }, b: { ...column, router: "dropless" } },
  "loss-free": { ...defaults, a: { ...column, router: "loss-free" }, b: column },
  "top-2": { ...defaults, a: { ...column, router: "mixtral" }, b: column },
};
