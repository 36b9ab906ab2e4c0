/** The few words that the build itself writes, in each language. */
export interface Words {
  readonly source: string;
  readonly line: string;
  readonly law: string;
  readonly provedBy: string;
  /** What a law met: {routers} and {cases}. */
  readonly held: string;
  /** What a claim was shown of: {routers}. */
  readonly shown: string;
  readonly lesson: string;
  readonly lessons: string;
  readonly expect: string;
  readonly printed: string;
  /** How an output came about: {version}, {date}, {node} and {seconds}. */
  readonly recorded: string;
  readonly program: string;
  /** The heading of a note, and what it says where a page or a part of it is in English. */
  readonly note: string;
  readonly englishOnly: string;
  readonly englishParts: string;
  /** What a section of the concepts names, in a language other than English: code, property, example, picture. */
  readonly facts: Readonly<Record<string, string>>;
}

export const english: Words = {
  source: "Source",
  line: "line",
  law: "Law",
  provedBy: "Proved by",
  held: "Kept by {routers} routers ({cases}).",
  shown: "Shown by a case of each of {routers} routers.",
  lesson: "Lesson",
  lessons: "Lessons",
  expect: "Expect",
  printed: "What it prints",
  recorded: "Run in full with version {version} on {date}, Node {node}, in {seconds} s.",
  program: "The program",
  note: "Note",
  englishOnly: "",
  englishParts: "",
  facts: {},
};

/** Kinds of cases that laws met, by the names of `Coverage`. */
export const englishKinds: Readonly<Record<string, string>> = {
  drops: "dropped tokens",
  emptyExperts: "empty experts",
  padding: "padding",
  tiedTokens: "equal tokens",
  tiedExperts: "equal experts",
  oneExpert: "one expert",
  fewTokens: "few tokens",
  dropless: "no capacity",
};

export const korean: Words = {
  source: "소스",
  line: "줄",
  law: "법칙",
  provedBy: "증명:",
  held: "라우터 {routers}개가 지켰습니다({cases}).",
  shown: "라우터 {routers}개에서 그런 경우를 찾아 보였습니다.",
  lesson: "레슨",
  lessons: "레슨",
  expect: "예상 결과",
  printed: "출력",
  recorded: "버전 {version}, {date}, Node {node}에서 끝까지 실행한 결과입니다({seconds}초).",
  program: "프로그램",
  note: "안내",
  englishOnly: "이 페이지는 아직 영어로만 있습니다.",
  englishParts: "예상 결과와 출력, 프로그램은 영어로 되어 있습니다.",
  facts: { code: "코드", property: "속성", example: "레슨", picture: "그림" },
};
