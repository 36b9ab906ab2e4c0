/** Which lesson somebody asks for. */

export interface Lesson {
  readonly file?: string;
  /** Why there is none, with the list of those that there are. */
  readonly error?: string;
}

/** `asked` is a number (1 and 01 are the same lesson), or the name of a file or its beginning ("07-load", "07-load-balance.ts"). */
export function lessonOf(asked: string | undefined, files: readonly string[]): Lesson {
  const lessons = files.filter((name) => /^\d\d-.*\.ts$/.test(name)).toSorted();
  const list = `The lessons are:\n  ${lessons.join("\n  ")}`;
  if (asked === undefined) return { error: `npm run example NUMBER: which lesson? ${list}` };
  const found = lessons.filter((name) => (/^\d+$/.test(asked) ? Number(name.slice(0, 2)) === Number(asked) : name.startsWith(asked)));
  const [file] = found;
  if (file === undefined) return { error: `npm run example: there is no lesson ${JSON.stringify(asked)}. ${list}` };
  return found.length === 1 ? { file } : { error: `npm run example: ${JSON.stringify(asked)} could be ${found.join(" or ")}` };
}
