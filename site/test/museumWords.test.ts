/** The museum in Korean: every room, chapter and law has its words, and a room that has none yet is shown in English, marked. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import { Coverage } from "../../src/testing/coverage.ts";
import { claims, laws } from "../../src/testing/laws/index.ts";
import { chapters } from "../../test/moe/gallery/index.ts";
import { layoutPages } from "../../test/testing/layoutPages.ts";
import { museumPage } from "../app/museumPage.ts";
import type { Room } from "../app/museumPage.ts";
import { museumKorean } from "../app/museumStrings.ts";
import { numbersInGuide, proofsOf, sentencesOf } from "../build/laws.ts";
import { koreanMuseum, roomText } from "../build/museumWords.ts";
import { dist } from "./surroundings.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const words = koreanMuseum(join(root, "site"));
const rooms = [...chapters.flatMap(({ bugs }) => bugs), ...layoutPages];
const hangul = /[\uac00-\ud7a3]/;
const sorted = (names: Iterable<string>): string[] => [...names].sort();

describe("the museum in Korean", () => {
  it(`has words for all ${rooms.length} rooms, and for none that is not there`, () => {
    expect(sorted(Object.keys(words.rooms))).to.deep.equal(sorted(rooms.map(({ title }) => title)));
    expect(sorted(Object.keys(words.chapters))).to.deep.equal(sorted(chapters.map(({ title }) => title)));
    for (const [title, room] of Object.entries(words.rooms))
      for (const part of [room.title, room.wrong, room.unseen, room.law]) expect(part, title).to.match(hangul);
  });

  it("cites the threads and laws that the gallery cites", () => {
    const cited = (text: string): string[] => sorted(text.match(/#\d+|arXiv:[\d.]+/g) ?? []);
    const numbered = (text: string): string[] => text.match(/\bP\d+/g) ?? [];
    for (const room of rooms) {
      const korean = roomText(words, room);
      expect(cited(korean.seen), room.title).to.deep.equal(cited(room.seen));
      expect(numbered(korean.law), room.title).to.deep.equal(numbered(room.law));
    }
  });

  it("has words for every law that may judge a router, and for what its cases were like", () => {
    expect(sorted(Object.keys(words.laws))).to.deep.equal(sorted([...laws, ...claims].map(({ name }) => name)));
    expect(sorted(Object.keys(words.coverage))).to.deep.equal(sorted(String(new Coverage()).match(/[a-z]+/gi) ?? []));
    for (const [law, korean] of Object.entries(words.laws)) expect(korean.split(":")[0], korean).to.equal(law.split(":")[0]);
  });

  it("has words for every law that the guide shows, which shows no other", () => {
    const [shown, own] = [numbersInGuide(root).flatMap((number) => proofsOf(root, number)), sentencesOf(words)];
    expect(shown).to.have.length.greaterThan(20);
    for (const { statement } of shown) expect(own[statement], statement).to.match(hangul);
    const statements = shown.map(({ statement }) => statement);
    expect(Object.keys(words.tests).filter((title) => !statements.includes(title))).to.deep.equal([]);
    const guide = readdirSync(join(dist, "ko/guide")).map((file) => readFileSync(join(dist, "ko/guide", file), "utf8")).join(); // prettier-ignore
    for (const statement of statements) expect(guide).not.to.contain(`<li>${statement}`);
    expect(guide.match(/라우터 \d+개가/g)).to.have.length.greaterThan(6);
  });

  it("marks a room that was not translated yet", () => {
    const bug = { title: "A new bug", seen: "a thread", wrong: "Wrong.", unseen: "Unseen.", law: "P0: a law" };
    const [fresh, known] = [roomText(words, bug), roomText(words, rooms[0])];
    expect([fresh.foreign, known.foreign, roomText(null, bug).foreign]).to.deep.equal([true, false, false]);
    const room = (text: typeof fresh, title: string): Room => ({ ...text, bug: title, chapter: "", right: "", broken: "", picture: { smallest: "", right: "", broken: "" } }); // prettier-ignore
    const halls = { rooms: [room(fresh, bug.title), room(known, rooms[0].title)], layouts: [], ownRouter: "", words };
    const page = museumPage(museumKorean, "../../", halls);
    expect(page).to.contain(`<h2 lang="en">A new bug</h2>\n<p class="quiet untold">${museumKorean.note}</p>`);
    expect(page).to.contain('<dd lang="en">Wrong.</dd>').and.to.contain(`<h2>${known.title}</h2>\n<dl`);
    expect(page.split(museumKorean.note)).to.have.length(2);
  });

  it("leads to threads, papers and the playground", () => {
    const page = readFileSync(join(dist, "ko/museum/index.html"), "utf8");
    const linksTo = (start: string): number => page.split(`<a href="${start}`).length - 1;
    expect(linksTo("https://github.com/")).to.be.greaterThan(10);
    expect(linksTo("https://arxiv.org/abs/")).to.be.greaterThan(3);
    expect(page.match(/class="button" href="\.\.\/\.\.\/ko\/playground\/index\.html#[^"]/g)).to.have.length.greaterThan(3);
  });

  it("has no room in English on the built page", () => {
    const page = readFileSync(join(dist, "ko/museum/index.html"), "utf8");
    expect(page).not.to.contain(museumKorean.note);
    for (const { title, wrong } of rooms) {
      expect(page).to.contain(words.rooms[title].title.replaceAll("<", "&lt;"));
      expect(page).not.to.contain(wrong);
    }
  });
});
