/**
 * Sums in float32, by one thread. Added up one after the other, the error of n terms may grow to n 2^-24 times the sum of their sizes. Here more
 * than 16 terms are added in blocks, and more than 1,024 in blocks of blocks: then the factor of 2^-24 is about 2 n^(1/2), or 3 n^(1/3). A sum over
 * 2^20 numbers, which takes three launches of 256, 64 and 64 terms a thread, has 64 (pairwise addition has 20). Compensated sums would have 2, but
 * shader compilers may simplify them away.
 */

/** Adds one term to `total`; `k` is its number. */
export type Add = (total: string, k: string) => string;

/** Statements that add terms 0 to n - 1 to `total`, a variable of that name. */
export function sumOf(total: string, n: number, add: Add): string {
  if (n <= 16) return `for (let k = 0; k < ${n}; k++) { ${add(total, "k")} }`;
  const [near, next, at] = [`${total}Near`, `${total}Next`, `${total}At`];
  const levels = n <= 1024 ? 2 : 3;
  const block = Math.ceil(n ** (1 / levels));
  const inner = (to: string): string => `const stop = Math.min(${at} + ${block}.0, ${n}.0);
    for (let k = ${at}; k < stop; k += 1) { ${add(to, "k")} } ${at} = stop;`;
  const body =
    levels === 2 ? inner(near) : `for (let j = 0; j < ${block}; j++) { let ${next} = 0.0; ${inner(next)} ${near} = ${near} + ${next}; }`;
  return `let ${at} = 0.0; for (let i = 0; i < ${block}; i++) { let ${near} = 0.0; ${body} ${total} = ${total} + ${near}; }`;
}

/** The same of terms `from` to `to` - 1, numbers that the kernel reads: with blocks of 32 of 32, the error is 64 and n / 1024 times 2^-24. */
export function sumBetween(total: string, from: string, to: string, add: Add): string {
  return `for (let i = ${from}; i < ${to}; i += 1024) { let near = 0.0; const last = Math.min(i + 1024.0, ${to});
    for (let j = i; j < last; j += 32) { let next = 0.0; const stop = Math.min(j + 32.0, last);
      for (let k = j; k < stop; k += 1) { ${add("next", "k")} } near = near + next; }
    ${total} = ${total} + near; }`;
}
