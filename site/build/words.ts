/** The few words that the build itself writes, in each language. */
export interface Words {
  readonly source: string;
  readonly line: string;
  readonly law: string;
  readonly provedBy: string;
  readonly lesson: string;
  readonly expect: string;
  readonly program: string;
  readonly englishOnly: string;
}

export const english: Words = {
  source: "Source",
  line: "line",
  law: "Law",
  provedBy: "Proved by",
  lesson: "Lesson",
  expect: "Expect",
  program: "The program",
  englishOnly: "",
};

export const korean: Words = {
  source: "소스",
  line: "줄",
  law: "법칙",
  provedBy: "증명:",
  lesson: "레슨",
  expect: "결과",
  program: "프로그램",
  englishOnly: "이 페이지는 아직 영어로만 있습니다.",
};
