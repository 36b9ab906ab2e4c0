/** What the rooms of the museum say in the language of a page. The gallery is English; Korean stands in `content/ko/museum.json`, by title. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** What a room says. */
export interface RoomText {
  readonly title: string;
  readonly seen: string;
  readonly wrong: string;
  readonly unseen: string;
  readonly law: string;
}

/** The texts of a language that is not the gallery's own. */
export interface MuseumWords {
  /** By the English title. */
  readonly chapters: Readonly<Record<string, string>>;
  /** By the English title. Threads are cited alike in both languages; `seen` is there where a sentence stands with them. */
  readonly rooms: Readonly<Record<string, Omit<RoomText, "seen"> & { readonly seen?: string }>>;
  /** Of the laws that judge a router of one's own, by their statement. */
  readonly laws: Readonly<Record<string, string>>;
  /** Of the tests that prove what the guide says, by their titles without numbers. */
  readonly tests: Readonly<Record<string, string>>;
  /** What a law's cases were like: the words of `Coverage`. */
  readonly coverage: Readonly<Record<string, string>>;
}

export function koreanMuseum(site: string): MuseumWords {
  return JSON.parse(readFileSync(join(site, "content/ko/museum.json"), "utf8")) as MuseumWords;
}

/** A room's text in the page's language, or in English where it was not written yet: the page marks that. */
export function roomText(
  words: MuseumWords | null,
  { title, seen, wrong, unseen, law }: RoomText,
): RoomText & { readonly foreign: boolean } {
  const english = { title, seen, wrong, unseen, law };
  const own = words?.rooms[title];
  return { ...english, ...own, foreign: words !== null && own === undefined };
}
