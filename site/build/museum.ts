/** The rooms of the museum: the gallery's own words, and the code of both variants as it stands in the gallery. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Highlighter } from "shiki";
import ts from "typescript";
import { chapters } from "../../test/moe/gallery/index.ts";
import type { Room } from "../app/museumPage.ts";
import { declarationsOf } from "./declaration.ts";
import { themes } from "./highlighter.ts";

/** All rooms, in the order of the gallery. */
export function roomsOf(root: string, highlighter: Highlighter): Room[] {
  const code = variantsOf(root);
  const html = (text: string): string => highlighter.codeToHtml(text, { lang: "ts", themes });
  return chapters.flatMap(({ title: chapter, bugs }) =>
    bugs.map(({ title, seen, wrong, unseen, law }) => {
      const variants = code.get(title);
      if (!variants) throw new Error(`site: the gallery has no code for "${title}"`);
      return { chapter, title, seen, wrong, unseen, law, right: html(variants.right), broken: html(variants.broken) };
    }),
  );
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
