/** The up to `limit` words that take the fewest edits to reach from `word`, nearest first; words that share little are left out. */
export function nearest(word: string, words: readonly string[], limit = 3): string[] {
  const asked = word.toLowerCase();
  return words
    .map((candidate) => ({ candidate, edits: editDistance(asked, candidate.toLowerCase()) }))
    .filter(({ candidate, edits }) => edits <= Math.max(1, Math.min(asked.length, candidate.length) / 2))
    .toSorted((x, y) => x.edits - y.edits)
    .slice(0, limit)
    .map(({ candidate }) => candidate);
}

/** Fewest insertions, deletions and replacements that turn x into y. Wagner and Fischer 1974, one row at a time. */
export function editDistance(x: string, y: string): number {
  let row = Array.from({ length: y.length + 1 }, (_, j) => j);
  for (let i = 1; i <= x.length; i++) {
    const next = [i];
    for (let j = 1; j <= y.length; j++) {
      const replaced = row[j - 1] + (x[i - 1] === y[j - 1] ? 0 : 1);
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, replaced));
    }
    row = next;
  }
  return row[y.length];
}
