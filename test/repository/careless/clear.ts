/** What a clear error is. */

/** How JavaScript speaks of a value that did not fit. */
const engine =
  /cannot (read|set|convert|destructure|mix|access)|is not (iterable|a function|defined|a constructor|callable|extensible|an object)|of undefined|undefined (is|has)|is undefined|invalid (array|typed array|string) length|maximum call stack|allocation failed|out of bounds|out of memory|reduce of empty|\[object |NaN of|must (have|be) an? |called on (null|non)|requires that/i;

/** Errors begin with who speaks: `slice: …`, `SwitchRouter: …`, `random.uniform: …`, or name a tensor by its label. */
const grammar = /^[\w."“”$ ()[\],-]{1,90}?(: | was | has | is | cannot | lives )/;

/** Whether an error says who was given what, in the words of the library. */
export function isClear(error: unknown): boolean {
  return error instanceof Error && !engine.test(error.message) && grammar.test(error.message);
}
