/** Links to what the museum cites: the right thread of the right project, and none where the project is not known. */
import { expect } from "chai";
import { linked } from "../app/threads.ts";
import { chapters } from "../../test/moe/gallery/index.ts";
import { layoutPages } from "../../test/testing/layoutPages.ts";

const thread = (repository: string, number: number, text: string): string =>
  `<a href="https://github.com/${repository}/issues/${number}">${text}</a>`;

describe("threads", () => {
  it("of a project that is named in full or by its name alone become links, later ones of it too", () => {
    expect(linked("a/b.c#1, fixed in #2")).to.equal(`${thread("a/b.c", 1, "a/b.c#1")}, fixed in ${thread("a/b.c", 2, "#2")}`);
    expect(linked("Megatron#3, PR#4; vllm PR#5")).to.equal(`${thread("NVIDIA/Megatron-LM", 3, "Megatron#3")}, ${thread("NVIDIA/Megatron-LM", 4, "PR#4")}; ${thread("vllm-project/vllm", 5, "vllm PR#5")}`); // prettier-ignore
  });

  it("of a project that is not known stay text, and so do later ones", () => {
    expect(linked("vllm#1; somebody PR#2, #3")).to.equal(`${thread("vllm-project/vllm", 1, "vllm#1")}; somebody PR#2, #3`);
  });

  it("and papers: those of arXiv", () => {
    expect(linked("see arXiv:2101.03961, eq. 3")).to.equal('see <a href="https://arxiv.org/abs/2101.03961">arXiv:2101.03961</a>, eq. 3');
  });

  it("are linked in nearly all rooms that cite one", () => {
    const cited = [...chapters.flatMap(({ bugs }) => bugs), ...layoutPages].map(({ seen }) => seen).filter((seen) => seen.includes("#"));
    const unlinked = cited.flatMap((seen) => linked(seen).replace(/<a [^>]*>[^<]*<\/a>/g, "").match(/[\w-]+( PR)?#\d+/g) ?? []); // prettier-ignore
    expect(cited.length).to.be.greaterThan(40);
    expect(unlinked).to.deep.equal(["prime-rl PR#1960", "KempnerForge#202", "UniRL PR#158"]);
  });
});
