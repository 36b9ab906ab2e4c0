/** How many words or characters must be put in, left out or replaced to make one list of another. Levenshtein 1966. */
export function editDistance(a: readonly string[], b: readonly string[]): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (const [i, x] of a.entries()) {
    const next = [i + 1];
    for (const [j, y] of b.entries()) next.push(Math.min(row[j] + Number(x !== y), row[j + 1] + 1, next[j] + 1));
    row = next;
  }
  return row[b.length];
}
