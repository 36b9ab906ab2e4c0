/** Kinds of arguments that routers and experts take, beside those of tensors and plain values. */
import type { Kind, Kinds } from "../autograd/arguments.ts";
import { aFloatDtype, aKey, aTensor, callable, finite, oneOf, optional, rate, whole } from "../autograd/arguments.ts";
import type { Init } from "../nn/module.ts";

export * from "../autograd/arguments.ts";
export { aPass } from "../nn/module.ts";

/** A count or a size: 1 or more, and few enough for the index of a tensor. */
export const count: Kind = { ...whole(1, 2 ** 31 - 1), wanted: "a whole number of 1 or more, below 2^31" };

/** A number of choices: at most the number of experts, where that is itself valid. */
export function upTo(experts: unknown): Kind {
  return count.accepts(experts) ? whole(1, Number(experts)) : count;
}

/** A coefficient of a loss: 0 switches it off. */
export const coefficient: Kind = finite(0);

/** The kinds of `Init`, which every layer with weights takes. */
export const initKinds: Kinds<Init> = { random: aKey, dtype: optional(aFloatDtype) };

export const anInitializer: Kind = { ...callable, wanted: "an initializer, such as initializers.normal(0.02)" };

/** "batch", "sequence", or a number of consecutive tokens. */
export const aGroup: Kind = {
  wanted: 'a whole number of 1 or more, "batch" or "sequence"',
  accepts: (value) => count.accepts(value) || value === "batch" || value === "sequence",
};

export const aBalanceScope: Kind = oneOf("batch", "sequence");

export const aPriority: Kind = oneOf("position", "gate", "random");

/** Above 0, Infinity too, or "dropless". */
export const aCapacityFactor: Kind = {
  wanted: 'a number above 0 (Infinity gives every token a slot), or "dropless" (no slots)',
  accepts: (value) => value === "dropless" || (typeof value === "number" && value > 0),
};

/** A tensor with as many axes as `axes` names, "B, T, D" for three; the error shows these names. */
export function tensorOf(axes: string): Kind {
  const known = tensors.get(axes) ?? tensorOfRank(axes, axes.split(",").length);
  tensors.set(axes, known);
  return known;
}

/** Each kind is made once: routers check their tokens at every call. */
const tensors = new Map<string, Kind>();

function tensorOfRank(axes: string, rank: number): Kind {
  return {
    wanted: `a tensor [${axes}]`,
    accepts: (value) => aTensor.accepts(value) && (value as { shape: readonly number[] }).shape.length === rank,
  };
}

const booksOf = (slots: boolean): Kind => ({
  wanted: `the books of a routing: tensors expertOfChoice [T, K], ${slots ? "slotOfChoice [T, K], " : ""}gate [T, K]`,
  accepts(value) {
    const table = tensorOf("T, K");
    const books = Object(value) as Record<string, unknown>;
    return ["expertOfChoice", ...(slots ? ["slotOfChoice"] : []), "gate"].every((name) => table.accepts(books[name]));
  },
});

const [seated, unseated] = [booksOf(true), booksOf(false)];

/** The books of a routing; with `slots`, slotOfChoice must be among them. */
export const someBooks = (slots: boolean): Kind => (slots ? seated : unseated);

/** Plain data of numbers: an array or a typed array. */
export const someNumbers: Kind = {
  wanted: "an array of numbers",
  accepts: (value) =>
    (ArrayBuffer.isView(value) && !(value instanceof DataView)) ||
    (Array.isArray(value) && value.every((entry) => typeof entry === "number")),
};

export { rate };
