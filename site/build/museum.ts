/** The rooms of the museum: the gallery's own words, and the code of both variants as it stands in the gallery. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import type { LayoutCase } from "../../src/testing/index.ts";
import { chapters } from "../../test/moe/gallery/index.ts";
import { layoutPages } from "../../test/testing/layoutPages.ts";
import type { LayoutRoom, Room } from "../app/museumPage.ts";
import { layoutPicture } from "../app/layoutPicture.ts";
import type { MuseumStrings } from "../app/museumStrings.ts";
import { bugPictureOf } from "./bugPictures.ts";
import { codeHtml } from "./codeHtml.ts";
import { declaration, declarationsOf } from "./declaration.ts";
import type { MuseumWords } from "./museumWords.ts";
import { roomText } from "./museumWords.ts";

/** All rooms, in the order of the gallery. */
export function roomsOf(root: string): Room[] {
  const code = variantsOf(root);
  return chapters.flatMap(({ title: chapter, bugs }) =>
    bugs.map((bug) => {
      const variants = code.get(bug.title);
      if (!variants) throw new Error(`site: the gallery has no code for "${bug.title}"`);
      return { chapter, bug: bug.title, ...roomText(null, bug), ...compared(variants), picture: bugPictureOf(bug) };
    }),
  );
}

/** The same rooms with the texts of another language. */
export function translated(rooms: readonly Room[], words: MuseumWords): Room[] {
  return rooms.map((room) => ({ ...room, ...roomText(words, room), chapter: words.chapters[room.chapter] ?? room.chapter }));
}

/** Both codes as HTML; lines that only one of them has are marked. */
function compared({ right, broken }: { readonly right: string; readonly broken: string }) {
  const lines = (text: string): Set<string> => new Set(text.split("\n").map((line) => line.trim()));
  const html = (text: string, other: ReadonlySet<string>): string => {
    const own = text.split("\n");
    return codeHtml(text, "ts", { changed: (n) => !other.has((own[n] ?? "").trim()) });
  };
  return { right: html(right, lines(broken)), broken: html(broken, lines(right)) };
}

/** The bugs of layouts: classes that override a method of the run that laws hold, with the smallest case that a test keeps of each. */
export function layoutRoomsOf(root: string, strings: MuseumStrings, words: MuseumWords | null): LayoutRoom[] {
  const file = "test/testing/brokenLayouts.ts";
  const smallest = read<LayoutCase>(root, "test/testing/smallestLayouts.json");
  const faults = read<string>(root, "test/testing/layoutFaults.json");
  const classes = new Map(declarationsOf(root, file).map(({ name, text }) => [name, text]));
  return layoutPages.map(({ variant, ...page }) => {
    const [text, of, fault] = [classes.get(variant), smallest[variant], faults[variant]];
    if (text === undefined || of === undefined || fault === undefined) throw new Error(`site: ${variant} has no class, case or fault`);
    const broken = text.replace(/^\s*\/\*\*[\s\S]*?\*\/\n/, "").trimEnd();
    const methods = [...broken.matchAll(/^ {2}(?:protected )?override (?:async )?(\w+)/gm)].map(([, method = ""]) => method);
    const right = methods.map((method) => declaration(root, `src/testing/layouts/run.ts#LayoutRun.${method}`).text.trimEnd()).join("\n\n");
    return {
      bug: page.title,
      variant,
      ...roomText(words, page),
      smallest: layoutPicture(of, strings),
      fault,
      ...compared({ right, broken: bodyOf(broken) }),
    };
  });
}

function read<T>(root: string, file: string): Readonly<Record<string, T>> {
  return JSON.parse(readFileSync(join(root, file), "utf8")) as Record<string, T>;
}

/** What stands in a class, as far left as it goes. */
function bodyOf(text: string): string {
  return text.split("\n").slice(1, -1).map((line) => line.slice(2)).join("\n"); // prettier-ignore
}

/** The properties `right` and `broken` of every `bug({ ... })`, by its title. */
function variantsOf(root: string): Map<string, { right: string; broken: string }> {
  const folder = join(root, "test/moe/gallery");
  const found = new Map<string, { right: string; broken: string }>();
  for (const name of readdirSync(folder).filter((file) => file.endsWith(".ts"))) {
    const text = readFileSync(join(folder, name), "utf8");
    const source = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true);
    const visit = (node: ts.Node): void => {
      if (ts.isCallExpression(node) && node.expression.getText() === "bug") {
        const [page] = node.arguments;
        if (page && ts.isObjectLiteralExpression(page)) {
          const member = (key: string): ts.ObjectLiteralElementLike | undefined =>
            page.properties.find((one) => one.name?.getText() === key);
          const title = member("title");
          if (title && ts.isPropertyAssignment(title) && ts.isStringLiteralLike(title.initializer))
            found.set(title.initializer.text, { right: codeOf(member("right"), text), broken: codeOf(member("broken"), text) });
        }
      }
      ts.forEachChild(node, visit);
    };
    visit(source);
  }
  return found;
}

/** The text of a member; where it only names a constant of the file, that constant's. */
function codeOf(member: ts.ObjectLiteralElementLike | undefined, text: string): string {
  if (!member) return "";
  const whole = member.getText();
  const name = ts.isPropertyAssignment(member) && ts.isIdentifier(member.initializer) ? member.initializer.text : undefined;
  const constant = name === undefined ? undefined : new RegExp(`^const ${name}\\b[\\s\\S]*?;\\n(?=\\n|[a-z/])`, "m").exec(text)?.[0];
  return constant ? constant.trimEnd() : outdented(whole);
}

function outdented(text: string): string {
  return text.replaceAll("\n    ", "\n");
}

/** The router of lesson 21 as a program for the empty room. */
export function ownRouterOf(root: string): string {
  const file = "examples/21-your-own-router.ts";
  const text = readFileSync(join(root, file), "utf8");
  const imports = [...text.matchAll(/^import .*;$/gm)].map(([line]) => line).filter((line) => !line.includes("./train/"));
  const own = declarationsOf(root, file).find(({ name }) => name === "MyRouter");
  if (!own) throw new Error(`site: ${file} declares no MyRouter`);
  return `${imports.join("\n")}\n\n${own.text.trimEnd()}\n\nexport default (setting: RouterSetting) => new MyRouter(setting);\n`;
}
