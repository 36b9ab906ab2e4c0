import { defineConfig } from "vitepress";
import type { DefaultTheme } from "vitepress";
import { fileURLToPath } from "node:url";
import { codeHtml } from "../build/codeHtml.ts";
import { lessonsOf } from "../build/directives.ts";
import { summariesOf } from "../build/lessonPages.ts";

interface Labels {
  readonly guide: string;
  readonly chapters: readonly string[];
  readonly questions: string;
  readonly more: string;
  readonly use: string;
  readonly playground: string;
  readonly museum: string;
  readonly lessons: string;
  readonly reference: string;
  readonly concepts: string;
  readonly properties: string;
  readonly bugs: string;
  readonly paper: string;
  readonly distributed: string;
  readonly pretrained: string;
  readonly bench: string;
  readonly architecture: string;
}

const [root, site] = ["../..", ".."].map((up) => fileURLToPath(new URL(up, import.meta.url)));

/** Every lesson by its title in the language of `prefix`. */
function lessonItems(prefix: string): DefaultTheme.SidebarItem[] {
  const summaries = summariesOf(site, prefix === "" ? "en" : "ko");
  return lessonsOf(root).map(({ name, number, title }) => ({ text: `${Number(number)}. ${summaries[number]?.title ?? title}`, link: `${prefix}/lessons/${name}` })); // prettier-ignore
}

const slugs = ["1-what-moe-is", "2-gates", "3-switch", "4-recipe", "5-balance", "6-capacity", "7-expert-choice"];

function themed(prefix: string, labels: Labels): DefaultTheme.Config {
  const at = (path: string): string => `${prefix}${path}`;
  const guide = [
    { text: labels.guide, items: slugs.map((slug, i) => ({ text: labels.chapters[i] ?? slug, link: at(`/guide/${slug}`) })) },
    {
      text: labels.more,
      items: [
        { text: labels.questions, link: at("/questions") },
        { text: labels.use, link: at("/use") },
      ],
    },
  ];
  const reference = [
    { text: "API", link: "/api/index.html", target: "_self" },
    { text: labels.concepts, link: at("/docs/concepts") },
    { text: labels.properties, link: at("/docs/properties") },
    { text: labels.bugs, link: at("/docs/bugs-in-the-wild") },
    { text: labels.paper, link: at("/docs/paper") },
    { text: labels.distributed, link: at("/docs/distributed") },
    { text: labels.pretrained, link: at("/docs/pretrained") },
    { text: "PyTorch", link: at("/docs/pytorch") },
    { text: "WebAssembly", link: at("/docs/wasm") },
    { text: "GPU", link: at("/docs/gpu") },
    { text: labels.bench, link: at("/docs/bench") },
    { text: labels.architecture, link: at("/docs/architecture") },
  ];
  return {
    nav: [
      { text: labels.guide, link: at("/guide/1-what-moe-is") },
      { text: labels.questions, link: at("/questions") },
      { text: labels.playground, link: at("/playground/index.html"), target: "_self" },
      { text: labels.museum, link: at("/museum/index.html"), target: "_self" },
      { text: labels.lessons, link: at("/lessons/") },
      { text: labels.reference, items: reference },
    ],
    sidebar: {
      [at("/guide/")]: guide,
      [at("/questions")]: guide,
      [at("/use")]: guide,
      [at("/lessons/")]: [{ text: labels.lessons, link: at("/lessons/"), items: lessonItems(prefix) }],
      [at("/docs/")]: [{ text: labels.reference, items: reference }],
    },
    outline: { level: [2, 3] },
  };
}

export default defineConfig({
  title: "Switchyard",
  description: "Mixture-of-Experts from first principles, in TypeScript",
  srcDir: ".pages",
  outDir: "dist",
  cacheDir: ".cache",
  cleanUrls: false,
  lastUpdated: false,
  // Written after these pages, and looked up by a test of the whole site.
  ignoreDeadLinks: [/^\/source\//, /^\/api\//, /\/(playground|museum)\/index/],
  // VitePress reads the path of a link from its element, and links in pictures (SVG) have none; a phone also pays for pages it never opens.
  router: { prefetchLinks: false },
  head: [
    ["link", { rel: "icon", href: "/logo.svg" }],
    ["link", { rel: "stylesheet", href: "/colours.css" }],
    ["link", { rel: "stylesheet", href: "/code.css" }],
  ],
  vue: { template: { compilerOptions: { isCustomElement: (tag) => tag.startsWith("sy-") || tag.startsWith("mjx-") } } },
  markdown: {
    math: true,
    highlight: (text, language) => codeHtml(text.trimEnd(), language, { pre: 'v-pre class="code"' }),
    // As GitHub makes them, so that links of the documents hold in both places.
    anchor: {
      slugify: (title) =>
        title
          .trim()
          .toLowerCase()
          .replace(/[^\p{L}\p{N}\- ]/gu, "")
          .replaceAll(" ", "-"),
    },
  },
  themeConfig: {
    logo: "/logo.svg",
    search: {
      provider: "local",
      options: {
        locales: {
          ko: {
            translations: {
              button: { buttonText: "검색", buttonAriaLabel: "검색" },
              modal: {
                displayDetails: "자세히 보기",
                resetButtonTitle: "검색어 지우기",
                backButtonTitle: "검색 닫기",
                noResultsText: "찾은 것이 없습니다:",
                footer: { selectText: "열기", navigateText: "이동", closeText: "닫기" },
              },
            },
          },
        },
      },
    },
  },
  locales: {
    root: {
      label: "English",
      lang: "en",
      themeConfig: themed("", {
        guide: "Guide",
        chapters: [
          "What a mixture of experts is",
          "Gates",
          "The Switch layer",
          "The training recipe",
          "Balance",
          "Capacity",
          "Expert Choice",
        ],
        questions: "Questions",
        more: "More",
        use: "Use it in your own code",
        playground: "Playground",
        museum: "Museum of bugs",
        lessons: "Lessons",
        reference: "Reference",
        concepts: "Concepts",
        properties: "Properties",
        bugs: "Bugs in the wild",
        paper: "The papers' claims",
        distributed: "Many processes",
        pretrained: "Published checkpoints",
        bench: "Measurements",
        architecture: "Architecture",
      }),
    },
    ko: {
      label: "한국어",
      lang: "ko",
      themeConfig: {
        ...themed("/ko", {
          guide: "안내서",
          chapters: ["전문가 혼합이란", "게이트", "스위치 층", "학습 방법", "부하 균형", "전문가 용량", "전문가 선택"],
          questions: "질문",
          more: "더 보기",
          use: "내 코드에서 쓰기",
          playground: "실험장",
          museum: "버그 박물관",
          lessons: "레슨",
          reference: "참고 자료",
          concepts: "개념",
          properties: "속성",
          bugs: "실제로 있었던 버그",
          paper: "논문의 주장",
          distributed: "여러 프로세스",
          pretrained: "공개된 체크포인트",
          bench: "측정 결과",
          architecture: "구조",
        }),
        outline: { level: [2, 3], label: "이 페이지에서" },
        docFooter: { prev: "이전", next: "다음" },
        darkModeSwitchLabel: "화면 모드",
        lightModeSwitchTitle: "밝은 화면으로",
        darkModeSwitchTitle: "어두운 화면으로",
        sidebarMenuLabel: "목차",
        returnToTopLabel: "맨 위로",
        langMenuLabel: "언어",
        skipToContentLabel: "본문으로 건너뛰기",
      },
    },
  },
});
